//! Points and directions in three dimensions, and frames to measure them in.

use std::ops::{Add, Mul, Sub};

/// A point or direction as the viewer sees it: x to the right, y downwards, z towards the viewer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Vector {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) z: f32,
}

impl Vector {
    pub(super) fn new(x: f32, y: f32, z: f32) -> Self {
        Self { x, y, z }
    }

    pub(super) fn dot(self, other: Self) -> f32 {
        self.x * other.x + self.y * other.y + self.z * other.z
    }

    pub(super) fn length(self) -> f32 {
        self.dot(self).sqrt()
    }

    /// This direction, of length 1, bent by an angle towards another; left as it is if the other
    /// is parallel to it.
    pub(super) fn bent(self, towards: Self, angle: f32) -> Self {
        let across = towards - self * self.dot(towards);
        let length = across.length();
        if length < 1e-3 {
            return self;
        }
        self * angle.cos() + across * (angle.sin() / length)
    }
}

impl Add for Vector {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self::new(self.x + other.x, self.y + other.y, self.z + other.z)
    }
}

impl Sub for Vector {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self + other * -1.0
    }
}

impl Mul<f32> for Vector {
    type Output = Self;

    fn mul(self, factor: f32) -> Self {
        Self::new(self.x * factor, self.y * factor, self.z * factor)
    }
}

/// Orientation of a part of a body: three directions of length 1 at right angles. Angles are in radians, about the
/// frame's own directions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    /// To the person's left.
    pub(super) left: Vector,
    /// From head to feet.
    pub(super) down: Vector,
    /// Direction of the face.
    pub(super) front: Vector,
}

impl Frame {
    /// Upright and facing the viewer: the person's left is the viewer's right.
    pub(super) const FACING: Self = Self {
        left: Vector {
            x: 1.0,
            y: 0.0,
            z: 0.0,
        },
        down: Vector {
            x: 0.0,
            y: 1.0,
            z: 0.0,
        },
        front: Vector {
            x: 0.0,
            y: 0.0,
            z: 1.0,
        },
    };

    /// The direction with these shares of the person's left, down and front.
    pub(super) fn at(&self, left: f32, down: f32, front: f32) -> Vector {
        self.left * left + self.down * down + self.front * front
    }

    /// Turned about the spine, the front to the left.
    pub(super) fn turn(self, angle: f32) -> Self {
        let (sin, cos) = angle.sin_cos();
        Self {
            left: self.at(cos, 0.0, -sin),
            front: self.at(sin, 0.0, cos),
            ..self
        }
    }

    /// Leant forward.
    pub(super) fn lean(self, angle: f32) -> Self {
        let (sin, cos) = angle.sin_cos();
        Self {
            down: self.at(0.0, cos, -sin),
            front: self.at(0.0, sin, cos),
            ..self
        }
    }

    /// Tilted sideways, the left downwards.
    pub(super) fn tilt(self, angle: f32) -> Self {
        let (sin, cos) = angle.sin_cos();
        Self {
            left: self.at(cos, sin, 0.0),
            down: self.at(-sin, cos, 0.0),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn near(a: Vector, b: Vector) -> bool {
        (a - b).length() < 1e-5
    }

    #[test]
    fn quarter_turns_worked_by_hand() {
        let quarter = std::f32::consts::FRAC_PI_2;
        let start = Frame::FACING;
        // Turned to their left, a person looks to the viewer's right.
        assert!(near(start.turn(quarter).front, Vector::new(1.0, 0.0, 0.0)));
        // From behind, their left is the viewer's left.
        assert!(near(
            start.turn(2.0 * quarter).left,
            Vector::new(-1.0, 0.0, 0.0)
        ));
        // Bowing to the viewer, the head (against `down`) comes nearer.
        assert!(near(start.lean(quarter).down, Vector::new(0.0, 0.0, -1.0)));
        assert!(near(start.tilt(quarter).left, Vector::new(0.0, 1.0, 0.0)));
        let (right, down) = (start.left, start.down);
        assert!(near(right.bent(down, quarter), down));
        assert!(near(right.bent(right, quarter), right));
    }

    proptest! {
        #[test]
        fn frames_stay_at_right_angles(a in -4.0f32..4.0, b in -4.0f32..4.0, c in -4.0f32..4.0) {
            let frame = Frame::FACING.tilt(a).lean(b).turn(c);
            for (one, other) in [
                (frame.left, frame.down),
                (frame.down, frame.front),
                (frame.front, frame.left),
            ] {
                prop_assert!(one.dot(other).abs() < 1e-5);
                prop_assert!((one.length() - 1.0).abs() < 1e-5);
            }
            let bent = frame.left.bent(Vector::new(0.3, -0.5, 0.7), b);
            prop_assert!((bent.length() - 1.0).abs() < 1e-4);
        }
    }
}
