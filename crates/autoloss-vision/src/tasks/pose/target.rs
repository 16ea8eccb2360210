//! Heatmaps as the target of a loss: those of keypoints that are not labelled or outside the crop take no part.

use autoloss_data::PersonBatch;
use burn::tensor::{Bool, Device, Tensor, TensorData};

use crate::loss::PartialTarget;

/// The target heatmaps of a batch; 0 where they take no part.
pub(super) struct Heatmaps<'a> {
    pub(super) batch: &'a PersonBatch,
    /// Rows and columns of a heatmap.
    pub(super) size: [usize; 2],
}

impl Heatmaps<'_> {
    /// Flags of the heatmaps that take part, person by person.
    fn counts(&self) -> Vec<bool> {
        self.batch.counts.concat()
    }
}

impl PartialTarget for Heatmaps<'_> {
    fn values(&self) -> Vec<f32> {
        self.batch.heatmaps.clone()
    }

    fn clear(&self, field: &mut [f32]) {
        let heatmaps = field.chunks_exact_mut(self.size[0] * self.size[1]);
        for (heatmap, counts) in heatmaps.zip(self.counts()) {
            if !counts {
                heatmap.fill(0.0);
            }
        }
    }

    fn on_device(&self, device: &Device) -> (Tensor<4>, Tensor<4, Bool>) {
        let keypoints = self.batch.counts.first().map_or(0, Vec::len);
        let [h, w] = self.size;
        let dims = [self.batch.maps.len(), keypoints, h, w];
        let counts = TensorData::new(self.counts(), [dims[0], dims[1], 1, 1]);
        let is_out = Tensor::<4, Bool>::from_data(counts, device).bool_not();
        let y = TensorData::new(self.batch.heatmaps.clone(), dims);
        (Tensor::from_data(y, device), is_out.expand(dims))
    }
}
