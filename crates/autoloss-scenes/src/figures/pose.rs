//! The skeleton of a figure: bones of random but plausible proportions at random but plausible
//! angles, seen from the front, from behind or turned.

use std::ops::Range;

use autoloss_metrics::coco::keypoints::PERSON;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::postures::{ARMS, LEGS, Leg, weighted};
use super::vector::{Frame, Vector};

/// Number of COCO's keypoints of a person.
pub(super) const KEYPOINTS: usize = PERSON.len();

// Keypoints in COCO's order. Of a pair the left one is at the constant, the right one after it.
pub(super) const NOSE: usize = 0;
pub(super) const EYE: usize = 1;
pub(super) const EAR: usize = 3;
pub(super) const SHOULDER: usize = 5;
pub(super) const ELBOW: usize = 7;
pub(super) const WRIST: usize = 9;
pub(super) const HIP: usize = 11;
pub(super) const KNEE: usize = 13;
pub(super) const ANKLE: usize = 15;

/// Share of figures seen from behind, and of figures turned well aside.
const BACK: f32 = 0.2;
const TURNED: f32 = 0.25;
/// Largest turn of a figure seen from the front or from behind, either way, in degrees.
const SLIGHTLY: f32 = 25.0;
/// Turn of a figure that is turned aside, in degrees.
const ASIDE: Range<f32> = 25.0..65.0;

/// Lengths of the bones, as shares of the height of the person standing upright.
///
/// The means follow the body segments of Drillis and Contini (1966).
#[derive(Clone, Debug)]
pub(super) struct Build {
    /// From chin to crown.
    pub(super) head: f32,
    /// From the line of the shoulders to the chin.
    pub(super) neck: f32,
    /// From the line of the hips to the line of the shoulders.
    pub(super) trunk: f32,
    /// From the spine to a shoulder.
    pub(super) shoulder: f32,
    /// From the spine to a hip.
    pub(super) hip: f32,
    pub(super) upper_arm: f32,
    pub(super) forearm: f32,
    pub(super) hand: f32,
    pub(super) thigh: f32,
    pub(super) shin: f32,
    /// From the ankle to the ball of the foot.
    pub(super) foot: f32,
    /// Factor of all thicknesses.
    pub(super) girth: f32,
}

impl Build {
    pub(super) fn random(rng: &mut ChaCha8Rng) -> Self {
        let mut about =
            |mean: f32, spread: f32| mean * rng.random_range(1.0 - spread..1.0 + spread);
        Self {
            head: about(0.143, 0.1),
            neck: about(0.042, 0.15),
            trunk: about(0.29, 0.06),
            shoulder: about(0.098, 0.12),
            hip: about(0.054, 0.12),
            upper_arm: about(0.178, 0.07),
            forearm: about(0.15, 0.07),
            hand: about(0.045, 0.1),
            thigh: about(0.245, 0.07),
            shin: about(0.243, 0.07),
            foot: about(0.09, 0.1),
            girth: about(1.0, 0.22),
        }
    }
}

/// Places of the joints of a figure, in heights of the person and measured from the middle between the hips.
#[derive(Clone, Debug)]
pub(super) struct Skeleton {
    pub(super) joints: [Vector; KEYPOINTS],
    /// Facing of the first five keypoints: -1 (away from the viewer) to 1.
    pub(super) facing: [f32; 5],
    pub(super) pelvis: Frame,
    pub(super) trunk: Frame,
    pub(super) head: Frame,
    /// Middle of the line of the shoulders.
    pub(super) neck: Vector,
    /// Middle of the head.
    pub(super) skull: Vector,
    /// Ends of the hands, left and right.
    pub(super) hands: [Vector; 2],
    /// Balls of the feet, left and right.
    pub(super) toes: [Vector; 2],
}

impl Skeleton {
    pub(super) fn random(build: &Build, rng: &mut ChaCha8Rng) -> Self {
        let yaw = random_yaw(rng);
        let mut angle = |range: Range<f32>| rng.random_range(range).to_radians();
        // The viewer looks a little down, which is why feet can be told apart from the front.
        let pelvis = Frame::FACING
            .tilt(angle(-8.0..8.0))
            .lean(angle(2.0..14.0))
            .turn(yaw.to_radians());
        let trunk = pelvis
            .lean(angle(-6.0..16.0))
            .tilt(angle(-10.0..10.0))
            .turn(angle(-12.0..12.0));
        let head = trunk
            .turn(angle(-30.0..30.0))
            .lean(angle(-16.0..10.0))
            .tilt(angle(-12.0..12.0));
        let neck = trunk.down * -build.trunk;
        let skull = neck - trunk.down * build.neck - head.down * (0.5 * build.head);
        let mut skeleton = Self {
            joints: [Vector::default(); KEYPOINTS],
            facing: [0.0; 5],
            pelvis,
            trunk,
            head,
            neck,
            skull,
            hands: [Vector::default(); 2],
            toes: [Vector::default(); 2],
        };
        skeleton.face(build);
        for side in [0, 1] {
            skeleton.arm(side, build, rng);
        }
        skeleton.legs(build, rng);
        skeleton
    }

    fn face(&mut self, build: &Build) {
        let radius = 0.36 * build.head;
        let outwards = [
            self.head.at(0.0, 0.12, 1.0),
            self.head.at(0.42, -0.12, 0.85),
            self.head.at(-0.42, -0.12, 0.85),
            self.head.at(1.05, 0.06, -0.05),
            self.head.at(-1.05, 0.06, -0.05),
        ];
        for (point, out) in outwards.into_iter().enumerate() {
            self.joints[point] = self.skull + out * radius;
            self.facing[point] = out.z / out.length();
        }
    }

    /// Poses an arm; side 0 is the left one.
    fn arm(&mut self, side: usize, build: &Build, rng: &mut ChaCha8Rng) {
        let sign = outwards(side);
        let trunk = self.trunk;
        let kind = &ARMS[weighted(&ARMS.each_ref().map(|arm| arm.weight), rng)];
        let mut angle = |range: &Range<f32>| rng.random_range(range.clone()).to_radians();
        let (raised, forward) = (angle(&kind.raised), angle(&kind.forward));
        let upper = trunk.at(
            sign * raised.sin() * forward.cos(),
            raised.cos(),
            raised.sin() * forward.sin(),
        );
        let [out, down, front] = kind.towards;
        let lower = upper.bent(trunk.at(sign * out, down, front), angle(&kind.bend));
        let shoulder = self.neck + trunk.left * (sign * build.shoulder);
        let elbow = shoulder + upper * build.upper_arm;
        let wrist = elbow + lower * build.forearm;
        self.joints[SHOULDER + side] = shoulder;
        self.joints[ELBOW + side] = elbow;
        self.joints[WRIST + side] = wrist;
        self.hands[side] = wrist + lower * build.hand;
    }

    fn legs(&mut self, build: &Build, rng: &mut ChaCha8Rng) {
        let kind = &LEGS[weighted(&LEGS.each_ref().map(|legs| legs.weight), rng)];
        let swapped = usize::from(rng.random_bool(0.5));
        for side in [0, 1] {
            let Leg {
                spread,
                raised,
                bend,
            } = &kind.legs[side ^ swapped];
            let mut angle = |range: &Range<f32>| rng.random_range(range.clone()).to_radians();
            let (spread, raised, bend) = (angle(spread), angle(raised), angle(bend));
            // All of a leg moves in one plane, which is spread sideways: 0 is down, 90° forward.
            let sign = outwards(side);
            let plane = self.pelvis.tilt(-sign * spread);
            let along = |angle: f32| plane.at(0.0, angle.cos(), angle.sin());
            let hip = self.pelvis.left * (sign * build.hip);
            let knee = hip + along(raised) * build.thigh;
            let ankle = knee + along(raised - bend) * build.shin;
            let sole = along(raised - bend + angle(&(60.0..85.0)));
            let toes_out = plane.left * sign;
            self.joints[HIP + side] = hip;
            self.joints[KNEE + side] = knee;
            self.joints[ANKLE + side] = ankle;
            self.toes[side] = ankle + sole.bent(toes_out, angle(&(0.0..35.0))) * build.foot;
        }
    }

    /// Least x, least y, greatest x and greatest y of the figure, with room for its thickness.
    pub(super) fn extent(&self, build: &Build) -> [f32; 4] {
        let mut extent = [
            f32::INFINITY,
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::NEG_INFINITY,
        ];
        let crown = self.skull - self.head.down * (0.5 * build.head);
        let points = self
            .joints
            .iter()
            .chain(&self.hands)
            .chain(&self.toes)
            .chain([&crown]);
        for point in points {
            extent[0] = extent[0].min(point.x - 0.03);
            extent[1] = extent[1].min(point.y - 0.02);
            extent[2] = extent[2].max(point.x + 0.03);
            extent[3] = extent[3].max(point.y + 0.02);
        }
        extent
    }
}

/// The sign of a side's outward direction along the person's left.
pub(super) fn outwards(side: usize) -> f32 {
    if side == 0 { 1.0 } else { -1.0 }
}

fn random_yaw(rng: &mut ChaCha8Rng) -> f32 {
    let kind: f32 = rng.random();
    let slightly = rng.random_range(-SLIGHTLY..SLIGHTLY);
    if kind < BACK {
        180.0 + slightly
    } else if kind < BACK + TURNED {
        slightly.signum() * rng.random_range(ASIDE)
    } else {
        slightly
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use autoloss_data::{Purpose, stream};

    fn skeletons() -> impl Iterator<Item = (Build, Skeleton)> {
        (0..200).map(|i| {
            let mut rng = stream(5, Purpose::FigureTrain, i);
            let build = Build::random(&mut rng);
            let skeleton = Skeleton::random(&build, &mut rng);
            (build, skeleton)
        })
    }

    #[test]
    fn no_bone_is_stretched() {
        for (build, skeleton) in skeletons() {
            let joints = &skeleton.joints;
            for side in [0, 1] {
                let mut bones = vec![
                    (skeleton.neck, joints[SHOULDER + side], build.shoulder),
                    (
                        joints[SHOULDER + side],
                        joints[ELBOW + side],
                        build.upper_arm,
                    ),
                    (joints[ELBOW + side], joints[WRIST + side], build.forearm),
                    (joints[WRIST + side], skeleton.hands[side], build.hand),
                    (Vector::default(), joints[HIP + side], build.hip),
                    (joints[HIP + side], joints[KNEE + side], build.thigh),
                    (joints[KNEE + side], joints[ANKLE + side], build.shin),
                    (joints[ANKLE + side], skeleton.toes[side], build.foot),
                ];
                bones.push((Vector::default(), skeleton.neck, build.trunk));
                for (from, to, length) in bones {
                    let found = (to - from).length();
                    assert!((found - length).abs() < 1e-4, "{found} instead of {length}");
                }
            }
            let face = joints[..5]
                .iter()
                .map(|&point| (point - skeleton.skull).length());
            assert!(face.into_iter().all(|distance| distance < 0.5 * build.head));
        }
    }

    #[test]
    fn left_is_on_the_right_of_figures_that_face_the_viewer() {
        let (mut front, mut back) = (0, 0);
        for (_, skeleton) in skeletons() {
            let joints = &skeleton.joints;
            let front_direction = skeleton.pelvis.front;
            let yaw = front_direction
                .x
                .atan2(front_direction.z)
                .to_degrees()
                .abs();
            let behind = yaw > 90.0;
            if yaw <= SLIGHTLY || behind {
                for pair in [SHOULDER, HIP] {
                    assert_eq!(joints[pair].x > joints[pair + 1].x, !behind);
                }
                assert_eq!(skeleton.facing[NOSE] > 0.0, !behind);
                *(if behind { &mut back } else { &mut front }) += 1;
            }
        }
        assert!(
            front > 80 && back > 20,
            "{front} from the front, {back} from behind"
        );
    }

    #[test]
    fn people_are_head_up_and_seven_heads_tall() {
        let mut standing = 0;
        for (build, skeleton) in skeletons() {
            let joints = &skeleton.joints;
            assert!(skeleton.skull.y < skeleton.neck.y && skeleton.neck.y < 0.0);
            assert!(joints[KNEE].y > -0.1 && joints[ANKLE].y > joints[HIP].y);
            let upright = |side: usize| joints[ANKLE + side].y > 0.95 * (build.thigh + build.shin);
            if upright(0) && upright(1) {
                let crown = skeleton.skull - skeleton.head.down * (0.5 * build.head);
                let soles = joints[ANKLE].y.max(joints[ANKLE + 1].y) + 0.03;
                let height = soles - crown.y;
                assert!((0.88..1.12).contains(&height), "height {height}");
                assert!((5.8..8.4).contains(&(height / build.head)));
                standing += 1;
            }
        }
        assert!(standing > 40, "{standing} of 200 stand upright");
    }

    #[test]
    fn neither_side_is_preferred() {
        // Wrists above their shoulders.
        let mut raised = [0, 0];
        for (_, skeleton) in skeletons() {
            for (side, count) in raised.iter_mut().enumerate() {
                let (wrist, shoulder) = (WRIST + side, SHOULDER + side);
                *count += usize::from(skeleton.joints[wrist].y < skeleton.joints[shoulder].y);
            }
        }
        assert!(
            raised.iter().all(|count| (30..90).contains(count)),
            "{raised:?}"
        );
    }
}
