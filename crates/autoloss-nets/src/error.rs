//! Errors of building a network.

use super::weights::WeightsError;

/// Error of building a network.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// An unknown name of a network.
    #[error("unknown network `{name}`; did you mean `{nearest}`? known: {known}")]
    UnknownName {
        /// The name given.
        name: String,
        /// The known name nearest to it.
        nearest: String,
        /// All the names known.
        known: String,
    },
    /// An output stride the network does not offer.
    #[error("output_stride {output_stride}: {network} offers {offered:?}")]
    OutputStride {
        /// The stride given.
        output_stride: usize,
        /// The network.
        network: String,
        /// The strides it offers.
        offered: [usize; 3],
    },
    /// A momentum outside [0, 1].
    #[error("batch_norm_momentum {0}: expected a number from 0 to 1")]
    Momentum(f64),
    /// A network without classes.
    #[error("a network needs at least one class, got 0")]
    NoClasses,
    /// Embedded weights, which are those of the slim backbone, for another one.
    #[error(
        "weights \"digits\": these are of the slim backbone, {0} has another; expected \"random\" or a file that ends in .safetensors, .pth or .pt"
    )]
    SlimWeights(String),
    /// Sizes of anchors that do not fit the network.
    #[error(
        "anchor_sizes {sizes:?}: {network} has {levels} pyramid levels; expected 1 to {levels} positive sizes in pixels"
    )]
    AnchorSizes {
        /// The sizes given.
        sizes: Vec<f32>,
        /// The network.
        network: String,
        /// Levels of its feature pyramid.
        levels: usize,
    },
    /// A canonical size that is not a positive number.
    #[error("canonical_size {0}: expected a positive number of pixels")]
    CanonicalSize(f32),
    /// The weights cannot be used.
    #[error(transparent)]
    Weights(#[from] WeightsError),
}
