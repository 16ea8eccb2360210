//! Flesh and clothes on a skeleton: the shapes to draw, from the farthest to the nearest.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::draw::{Colour, Point, Shape, mix};
use super::pose::{
    ANKLE, Build, EAR, ELBOW, EYE, HIP, KNEE, NOSE, SHOULDER, Skeleton, WRIST, outwards,
};
use super::vector::Vector;

/// Least radius of anything drawn, in pixels: the pixel of a point is then its own.
const LEAST_RADIUS: f32 = 0.75;
/// Skin, from light to dark.
const SKIN: [Colour; 2] = [[0.98, 0.82, 0.7], [0.36, 0.22, 0.15]];
/// Hair: black, brown, red, fair, grey.
const HAIR: [Colour; 5] = [
    [0.08, 0.07, 0.07],
    [0.3, 0.18, 0.1],
    [0.55, 0.25, 0.1],
    [0.85, 0.7, 0.4],
    [0.7, 0.7, 0.7],
];
/// Facing below which an ear is hidden. Ears stand out from the head and are visible a little beyond 0.
pub(super) const HIDDEN_EAR: f32 = -0.3;
/// Least difference of two distinguishable colours, summed over the channels.
const CONTRAST: f32 = 0.5;

/// Part of a body that a shape belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Member {
    Head = 0,
    Trunk = 1,
    LeftArm = 2,
    RightArm = 3,
    LeftLeg = 4,
    RightLeg = 5,
    Skirt = 6,
}

impl Member {
    const ALL: [Self; 7] = [
        Self::Head,
        Self::Trunk,
        Self::LeftArm,
        Self::RightArm,
        Self::LeftLeg,
        Self::RightLeg,
        Self::Skirt,
    ];

    pub(super) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// True if a keypoint is visible at a pixel of this member: clothes hide no joint, another limb does.
    pub(super) fn shows(self, keypoint: usize) -> bool {
        let left = keypoint % 2 == 1;
        let arm = if left { Self::LeftArm } else { Self::RightArm };
        let leg = if left { Self::LeftLeg } else { Self::RightLeg };
        match keypoint {
            NOSE..SHOULDER => self == Self::Head,
            SHOULDER..ELBOW => self == Self::Trunk || self == arm,
            ELBOW..HIP => self == arm,
            HIP..KNEE => self == Self::Trunk || self == Self::Skirt || self == leg,
            KNEE..ANKLE => self == Self::Skirt || self == leg,
            _ => self == leg,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bottoms {
    Trousers,
    Shorts,
    Skirt,
}

/// Colours and clothes of a person.
#[derive(Clone, Debug)]
pub(super) struct Outfit {
    skin: Colour,
    hair: Colour,
    /// Length of hair behind the head, in heads; none for short hair.
    long_hair: Option<f32>,
    shirt: Colour,
    /// Sleeves of upper arm and forearm.
    sleeves: [bool; 2],
    bottoms: Bottoms,
    bottoms_colour: Colour,
    shoes: Colour,
    /// Length of the skirt, from hips (0) to ankles (1).
    skirt: f32,
}

impl Outfit {
    pub(super) fn random(rng: &mut ChaCha8Rng) -> Self {
        let skin = mix(SKIN[0], SKIN[1], rng.random());
        let shirt = unlike(skin, rng);
        let hat = rng.random_bool(0.15);
        Self {
            skin,
            hair: if hat {
                rng.random()
            } else {
                HAIR[usize::from(rng.random_range(0..HAIR.len() as u8))]
            },
            long_hair: rng.random_bool(0.35).then(|| rng.random_range(0.3..0.9)),
            shirt,
            sleeves: match rng.random_range(0..5u8) {
                0 => [false, false],
                1 | 2 => [true, false],
                _ => [true, true],
            },
            bottoms: match rng.random_range(0..10u8) {
                0..6 => Bottoms::Trousers,
                6..8 => Bottoms::Shorts,
                _ => Bottoms::Skirt,
            },
            bottoms_colour: unlike(shirt, rng),
            shoes: mix(rng.random(), [0.1; 3], 0.5),
            skirt: rng.random_range(0.3..0.75),
        }
    }
}

/// A random colour distinguishable from another.
fn unlike(other: Colour, rng: &mut ChaCha8Rng) -> Colour {
    let mut colour: Colour = rng.random();
    for _ in 0..4 {
        let difference: f32 = colour.iter().zip(other).map(|(a, b)| (a - b).abs()).sum();
        if difference >= CONTRAST {
            break;
        }
        colour = rng.random();
    }
    colour
}

/// Place and size of a figure in the picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placement {
    /// The middle between the hips, in pixels.
    pub(super) origin: Point,
    /// Height of the person standing upright, in pixels.
    pub(super) height: f32,
}

impl Placement {
    /// The point of the picture for a point of the skeleton.
    pub(super) fn point(&self, point: Vector) -> Point {
        [
            self.origin[0] + self.height * point.x,
            self.origin[1] + self.height * point.y,
        ]
    }
}

/// A shape of a body.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) shape: Shape,
    pub(super) colour: Colour,
    pub(super) member: Member,
    /// Nearness to the viewer.
    depth: f32,
}

/// All shapes of a figure, in the order to draw them.
pub(super) fn dressed(
    skeleton: &Skeleton,
    build: &Build,
    outfit: &Outfit,
    place: Placement,
) -> Vec<Part> {
    let mut body = Body {
        skeleton,
        build,
        outfit,
        place,
        parts: Vec::with_capacity(40),
    };
    for side in [0, 1] {
        body.leg(side);
        body.arm(side);
    }
    body.trunk();
    body.head();
    body.face();
    let mut parts = body.parts;
    parts.sort_by(|a, b| a.depth.total_cmp(&b.depth));
    parts
}

struct Body<'a> {
    skeleton: &'a Skeleton,
    build: &'a Build,
    outfit: &'a Outfit,
    place: Placement,
    parts: Vec<Part>,
}

impl Body<'_> {
    /// A limb between two points whose radii are shares of the person's height.
    fn limb(
        &mut self,
        member: Member,
        colour: Colour,
        ends: [Vector; 2],
        radii: [f32; 2],
        nearer: f32,
    ) {
        self.parts.push(Part {
            shape: Shape::Limb {
                ends: ends.map(|end| self.place.point(end)),
                radii: radii.map(|radius| (radius * self.place.height).max(LEAST_RADIUS)),
            },
            colour,
            member,
            depth: 0.5 * (ends[0].z + ends[1].z) + nearer,
        });
    }

    /// A limb with this person's girth.
    fn flesh(&mut self, member: Member, colour: Colour, ends: [Vector; 2], radii: [f32; 2]) {
        let girth = self.build.girth;
        self.limb(
            member,
            colour,
            ends,
            radii.map(|radius| radius * girth),
            0.0,
        );
    }

    fn panel(
        &mut self,
        member: Member,
        colour: Colour,
        corners: [Vector; 4],
        radius: f32,
        nearer: f32,
    ) {
        let depth: f32 = corners.iter().map(|corner| corner.z).sum::<f32>() / 4.0;
        let radius = radius * self.build.girth * self.place.height;
        self.parts.push(Part {
            shape: Shape::Panel {
                corners: corners.map(|corner| self.place.point(corner)),
                radius: radius.max(LEAST_RADIUS),
            },
            colour,
            member,
            depth: depth + nearer,
        });
    }

    fn leg(&mut self, side: usize) {
        let member = [Member::LeftLeg, Member::RightLeg][side];
        let Outfit {
            skin,
            bottoms,
            bottoms_colour,
            shoes,
            ..
        } = *self.outfit;
        let joints = &self.skeleton.joints;
        let (hip, knee, ankle) = (
            joints[HIP + side],
            joints[KNEE + side],
            joints[ANKLE + side],
        );
        let toe = self.skeleton.toes[side];
        let bare = |covered: bool| if covered { bottoms_colour } else { skin };
        let thigh = bare(bottoms != Bottoms::Skirt);
        let shin = bare(bottoms == Bottoms::Trousers);
        // Pixels below the ankle belong to the foot; both meet at the ankle.
        self.flesh(member, shoes, [ankle, toe], [0.025, 0.022]);
        self.flesh(member, shin, [knee, ankle], [0.038, 0.023]);
        self.flesh(member, thigh, [hip, knee], [0.052, 0.04]);
    }

    fn arm(&mut self, side: usize) {
        let member = [Member::LeftArm, Member::RightArm][side];
        let Outfit {
            skin,
            shirt,
            sleeves,
            ..
        } = *self.outfit;
        let joints = &self.skeleton.joints;
        let (shoulder, elbow) = (joints[SHOULDER + side], joints[ELBOW + side]);
        let wrist = joints[WRIST + side];
        let [upper, lower] = sleeves.map(|sleeve| if sleeve { shirt } else { skin });
        self.flesh(
            member,
            skin,
            [wrist, self.skeleton.hands[side]],
            [0.017, 0.022],
        );
        self.flesh(member, lower, [elbow, wrist], [0.026, 0.018]);
        self.flesh(member, upper, [shoulder, elbow], [0.036, 0.027]);
    }

    fn trunk(&mut self) {
        let Outfit {
            skin,
            shirt,
            bottoms,
            bottoms_colour,
            skirt,
            ..
        } = *self.outfit;
        let skeleton = self.skeleton;
        let (neck, left) = (skeleton.neck, skeleton.trunk.left);
        let joints = &skeleton.joints;
        let hips = [joints[HIP], joints[HIP + 1]];
        // Left and right of the spine, at a share of the way up.
        let beside = |up: f32, half: f32| [neck * up + left * half, neck * up - left * half];
        let shoulders = beside(0.97, 0.82 * self.build.shoulder);
        let waist = beside(0.42, 0.045);
        let belt = beside(0.1, self.build.hip);
        let between =
            |above: [Vector; 2], below: [Vector; 2]| [above[0], above[1], below[1], below[0]];
        self.panel(Member::Trunk, shirt, between(shoulders, waist), 0.036, 0.02);
        self.panel(Member::Trunk, shirt, between(waist, belt), 0.04, 0.018);
        self.panel(
            Member::Trunk,
            bottoms_colour,
            between(belt, hips),
            0.044,
            0.012,
        );
        if bottoms == Bottoms::Skirt {
            let hem = [0, 1].map(|side| {
                let (knee, ankle) = (joints[KNEE + side], joints[ANKLE + side]);
                // A skirt ends between hips and knees, or between knees and ankles.
                let end = if skirt < 0.5 {
                    hips[side] + (knee - hips[side]) * (2.0 * skirt)
                } else {
                    knee + (ankle - knee) * (2.0 * skirt - 1.0)
                };
                end + skeleton.pelvis.left * (outwards(side) * 0.04)
            });
            self.panel(
                Member::Skirt,
                bottoms_colour,
                between(hips, hem),
                0.035,
                0.03,
            );
        }
        let chin = skeleton.skull + skeleton.head.down * (0.3 * self.build.head);
        self.flesh(Member::Trunk, skin, [neck, chin], [0.03, 0.027]);
    }

    /// The head without the face: hair lies behind or before the skin as the head is turned.
    fn head(&mut self) {
        let Outfit {
            skin,
            hair,
            long_hair,
            ..
        } = *self.outfit;
        let (head, skull, size) = (self.skeleton.head, self.skeleton.skull, self.build.head);
        let at = |down: f32, front: f32| skull + head.at(0.0, down * size, front * size);
        let member = Member::Head;
        let face = [at(-0.1, 0.08), at(0.3, 0.13)];
        self.limb(member, skin, face, [0.34 * size, 0.2 * size], 0.0);
        let hair_ends = [at(-0.12, -0.1), at(0.02, -0.12)];
        self.limb(member, hair, hair_ends, [0.39 * size, 0.36 * size], 0.0);
        if let Some(length) = long_hair {
            let ends = [at(0.0, -0.16), at(0.1 + length, -0.25)];
            self.limb(member, hair, ends, [0.4 * size, 0.3 * size], 0.0);
        }
    }

    /// Ears, eyes, nose and mouth, as far as they face the viewer.
    fn face(&mut self) {
        let Outfit { skin, .. } = *self.outfit;
        let skeleton = self.skeleton;
        let (head, size) = (skeleton.head, self.build.head);
        let member = Member::Head;
        let dot = |radius: f32| [radius * size; 2];
        for (ear, &joint) in skeleton.joints.iter().enumerate().skip(EAR).take(2) {
            if skeleton.facing[ear] > HIDDEN_EAR {
                self.limb(member, skin, [joint; 2], dot(0.1), 0.0);
            }
        }
        // On the surface of the head, hence before the skin.
        for (eye, &joint) in skeleton.joints.iter().enumerate().skip(EYE).take(2) {
            if skeleton.facing[eye] > 0.0 {
                self.limb(member, [0.05; 3], [joint; 2], dot(0.065), 0.03);
            }
        }
        if skeleton.facing[NOSE] > 0.0 {
            let nose = skeleton.joints[NOSE];
            let bridge = nose - head.down * (0.1 * size);
            let darker = mix(skin, [0.4, 0.1, 0.05], 0.35);
            self.limb(
                member,
                darker,
                [bridge, nose],
                [0.03 * size, 0.05 * size],
                0.03,
            );
            let mouth = [0.07, -0.07].map(|left| nose + head.at(left * size, 0.17 * size, -0.03));
            self.limb(member, [0.6, 0.15, 0.15], mouth, dot(0.03), 0.03);
        }
    }
}
