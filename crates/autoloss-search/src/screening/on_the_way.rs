//! Inputs of branches with predictions as they are on their way through a training.

use autoloss_expr::Shape;

use super::fingerprint::mixed;
use crate::branch::{double, single};
use crate::task::{BranchSample, BranchSpec};

/// State of predictions in a training: a share of the way to targets, which may be those of other positions.
pub(super) struct Place {
    /// Share of the way from the stored predictions.
    share: f32,
    /// Targets that the way leads to.
    goal: Goal,
}

/// Targets of a way, by position.
enum Goal {
    /// Each position's own.
    Own,
    /// Those of the position some rows and columns before: objects of the right form at the wrong place.
    Moved { rows: usize, columns: usize },
    /// Of so many positions in a hundred, that of any other one.
    Mixed { percent: u32 },
}

const fn place(share: f32, goal: Goal) -> Place {
    Place { share, goal }
}

/// Places where gradients are taken. Losses differ most at confident errors, which the stored predictions of an untrained
/// network lack. Chosen by the quality of the predictions of scores (docs/results.md).
pub(super) const PLACES: [Place; 5] = [
    place(0.0, Goal::Own),
    place(0.9, Goal::Own),
    place(
        0.99,
        Goal::Moved {
            rows: 0,
            columns: 2,
        },
    ),
    place(
        0.9,
        Goal::Moved {
            rows: 4,
            columns: 4,
        },
    ),
    place(0.9, Goal::Mixed { percent: 60 }),
];

/// The inputs of each branch at each place for each sample.
pub(super) type OnTheWay = Vec<[Vec<Vec<Vec<f32>>>; PLACES.len()]>;

/// The inputs of a branch with the prediction at a place.
pub(super) fn inputs_at(branch: &BranchSample, spec: &BranchSpec, at: &Place) -> Vec<Vec<f32>> {
    let mut inputs = branch.inputs.clone();
    let target = &branch.inputs[spec.target()];
    let prediction = &mut inputs[spec.prediction()];
    let Shape { n, c, h, w } = branch.shape;
    let (positions, plane) = (n * h * w, h * w);
    let element = |position: usize, channel: usize| {
        (position / plane * c + channel) * plane + position % plane
    };
    for position in 0..positions {
        let other = at.goal.of(position, positions, w);
        for channel in 0..c {
            let prediction = &mut prediction[element(position, channel)];
            *prediction += at.share * (target[element(other, channel)] - *prediction);
        }
    }
    if let Some(derived) = &branch.derived {
        let values = derived.values(&double(&inputs[spec.prediction()]));
        for (place, values) in spec.derived().zip(values) {
            inputs[place] = single(&values);
        }
    }
    inputs
}

impl Goal {
    /// Position whose target the prediction of a position goes to, of so many in rows of a width.
    fn of(&self, position: usize, positions: usize, width: usize) -> usize {
        match self {
            Self::Own => position,
            Self::Moved { rows, columns } => {
                let before = (rows * width + columns) % positions;
                (position + positions - before) % positions
            }
            Self::Mixed { percent } => {
                #[expect(clippy::cast_possible_truncation, reason = "any number will do")]
                let bits = mixed(position as u32) >> 8;
                match bits % 100 < *percent {
                    true => mixed(bits) as usize % positions,
                    false => position,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_are_positions_of_the_field() {
        let moved = |rows, columns| Goal::Moved { rows, columns };
        assert_eq!(moved(0, 2).of(5, 12, 4), 3);
        assert_eq!(moved(1, 1).of(5, 12, 4), 0);
        // The first positions take those of the last.
        assert_eq!(moved(0, 2).of(1, 12, 4), 11);
        // Also where there are fewer than it would be moved by.
        assert_eq!(moved(4, 4).of(0, 3, 1), 1);
        assert_eq!(Goal::Own.of(7, 12, 4), 7);
        let others = (0..10_000).filter(|p| Goal::Mixed { percent: 60 }.of(*p, 10_000, 100) != *p);
        assert!((5_700..6_300).contains(&others.count()));
    }
}
