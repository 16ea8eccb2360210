//! Optimisation of a block.

use super::Run;
use crate::compute::adam::NotFinite;
use crate::compute::block::Tile;
use crate::compute::kernels::{AdamUpdate, Outlook, View, ViewMut, adam, outlook};

/// Adam steps between two checks of the outlook: a check costs about as much as a step.
const CHECK_EVERY: usize = 16;

impl Run<'_> {
    /// Computes all steps of an optimisation.
    pub(in crate::compute) fn optimise(
        &mut self,
        updates: &[Vec<AdamUpdate>],
    ) -> Result<(), NotFinite> {
        let last = self.schedule.phases.len() - 1;
        if last > 0 {
            self.pass(0);
        }
        for (i, update) in updates.iter().enumerate() {
            for phase in 1..last {
                self.before(phase);
                self.pass(phase);
            }
            if last > 0 {
                self.before(last);
            }
            let check = i % CHECK_EVERY == 0 || i + 1 == updates.len();
            let mut outlook = Outlook {
                finite: true,
                settled: true,
            };
            for tile in self.tiles() {
                self.tile(last, tile);
                if check {
                    let Outlook { finite, settled } = self.outlook(update, tile);
                    outlook.finite &= finite;
                    outlook.settled &= settled;
                }
                self.step(update, tile);
                // The next step's first phase, while the tile is in the cache.
                if last > 0 {
                    self.tile(0, tile);
                }
            }
            if !outlook.finite {
                return Err(NotFinite { step: i + 1 });
            }
            if check && outlook.settled {
                break;
            }
        }
        Ok(())
    }

    /// The outlook of a tile.
    fn outlook(&self, updates: &[AdamUpdate], tile: Tile) -> Outlook {
        let mut all = Outlook {
            finite: true,
            settled: true,
        };
        let gradients = &self.graph.gradients;
        for ((input, _, gradient), update) in gradients.iter().zip(updates) {
            let id = self.graph.input(*input);
            let (at, stride) = self.layout(id, tile);
            fn part(field: &[f32], at: usize, stride: usize) -> View<'_> {
                View {
                    data: &field[at..],
                    stride,
                }
            }
            let now = outlook(
                self.level,
                *update,
                self.rows(id, tile),
                self.view(*gradient, tile),
                part(&self.buffers.moments[*input][0], at, stride),
                part(&self.buffers.block[id], at, stride),
            );
            all.finite &= now.finite;
            all.settled &= now.settled;
        }
        all
    }

    /// Moves a tile of the differentiable inputs.
    fn step(&mut self, updates: &[AdamUpdate], tile: Tile) {
        let gradients = &self.graph.gradients;
        for ((input, _, gradient), update) in gradients.iter().zip(updates) {
            let id = self.graph.input(*input);
            let mut x = std::mem::take(&mut self.buffers.block[id]);
            let [mut m, mut v] = std::mem::take(&mut self.buffers.moments[*input]);
            let (at, stride) = self.layout(id, tile);
            fn part(field: &mut [f32], at: usize, stride: usize) -> ViewMut<'_> {
                ViewMut {
                    data: &mut field[at..],
                    stride,
                }
            }
            adam(
                self.level,
                *update,
                self.rows(id, tile),
                self.view(*gradient, tile),
                part(&mut m, at, stride),
                part(&mut v, at, stride),
                part(&mut x, at, stride),
            );
            self.buffers.block[id] = x;
            self.buffers.moments[*input] = [m, v];
        }
    }

    /// The values of an input after its optimisation.
    pub(in crate::compute) fn moved(&self, input: usize) -> &[f32] {
        &self.buffers.block[self.graph.input(input)]
    }
}
