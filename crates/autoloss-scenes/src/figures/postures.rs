//! Postures of arms and legs with their frequencies.

use std::ops::Range;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// A posture of an arm: ranges of angles in degrees, and the direction that the elbow bends to.
pub(super) struct Arm {
    /// Relative frequency.
    pub(super) weight: u8,
    /// From hanging down, 0, to stretched upwards, 180.
    pub(super) raised: Range<f32>,
    /// Sideways is 0, forward 90.
    pub(super) forward: Range<f32>,
    /// A straight elbow is 0.
    pub(super) bend: Range<f32>,
    /// Outwards, downwards, forward.
    pub(super) towards: [f32; 3],
}

pub(super) const ARMS: [Arm; 6] = [
    // Hanging.
    Arm {
        weight: 8,
        raised: 3.0..20.0,
        forward: -40.0..80.0,
        bend: 0.0..25.0,
        towards: [0.0, 0.0, 1.0],
    },
    // Bent before the body.
    Arm {
        weight: 4,
        raised: 8.0..35.0,
        forward: 0.0..80.0,
        bend: 50.0..120.0,
        towards: [-0.5, 0.0, 1.0],
    },
    // Hand on the hip.
    Arm {
        weight: 3,
        raised: 32.0..52.0,
        forward: -40.0..10.0,
        bend: 75.0..105.0,
        towards: [-1.0, 0.0, 0.1],
    },
    // Raised.
    Arm {
        weight: 4,
        raised: 110.0..170.0,
        forward: -15.0..50.0,
        bend: 5.0..80.0,
        towards: [-0.4, -1.0, 0.2],
    },
    // Sideways.
    Arm {
        weight: 4,
        raised: 55.0..110.0,
        forward: -20.0..40.0,
        bend: 0.0..90.0,
        towards: [0.0, -1.0, 0.4],
    },
    // Reaching forward.
    Arm {
        weight: 2,
        raised: 45.0..95.0,
        forward: 60.0..100.0,
        bend: 0.0..60.0,
        towards: [-0.2, -1.0, 0.0],
    },
];

/// A posture of the legs.
pub(super) struct Legs {
    /// Relative frequency.
    pub(super) weight: u8,
    /// Both legs; chance decides which one is the left.
    pub(super) legs: [Leg; 2],
}

/// Ranges of angles of one leg, in degrees.
pub(super) struct Leg {
    /// Spread sideways.
    pub(super) spread: Range<f32>,
    /// Thigh raised forward.
    pub(super) raised: Range<f32>,
    /// Knee bent; straight is 0.
    pub(super) bend: Range<f32>,
}

const UPRIGHT: Leg = Leg {
    spread: 0.0..9.0,
    raised: -4.0..6.0,
    bend: 0.0..8.0,
};
const WIDE: Leg = Leg {
    spread: 12.0..28.0,
    raised: -6.0..12.0,
    bend: 0.0..20.0,
};
const SQUATTING: Leg = Leg {
    spread: 5.0..30.0,
    raised: 55.0..95.0,
    bend: 75.0..120.0,
};

pub(super) const LEGS: [Legs; 5] = [
    Legs {
        weight: 7,
        legs: [UPRIGHT, UPRIGHT],
    },
    Legs {
        weight: 6,
        legs: [
            Leg {
                spread: 0.0..10.0,
                raised: 12.0..38.0,
                bend: 0.0..25.0,
            },
            Leg {
                spread: 0.0..10.0,
                raised: -25.0..-8.0,
                bend: 8.0..45.0,
            },
        ],
    },
    Legs {
        weight: 4,
        legs: [WIDE, WIDE],
    },
    Legs {
        weight: 2,
        legs: [SQUATTING, SQUATTING],
    },
    // One knee raised.
    Legs {
        weight: 2,
        legs: [
            UPRIGHT,
            Leg {
                spread: 5.0..25.0,
                raised: 40.0..90.0,
                bend: 45.0..110.0,
            },
        ],
    },
];

/// A random index, with probability in proportion to its weight.
pub(super) fn weighted(weights: &[u8], rng: &mut ChaCha8Rng) -> usize {
    let total: u8 = weights.iter().sum();
    let mut rest = rng.random_range(0..total);
    for (index, &weight) in weights.iter().enumerate() {
        if rest < weight {
            return index;
        }
        rest -= weight;
    }
    weights.len() - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use autoloss_data::{Purpose, stream};

    #[test]
    fn postures_occur_as_often_as_their_weights_say() {
        let mut rng = stream(1, Purpose::FigureTrain, 0);
        let mut counts = [0; 3];
        for _ in 0..4000 {
            counts[weighted(&[1, 0, 3], &mut rng)] += 1;
        }
        assert_eq!(counts[1], 0);
        assert!((900..1100).contains(&counts[0]), "{counts:?}");
    }
}
