//! Images with objects: boxes, masks and keypoints.

mod batch;
mod coco;
mod person;
mod pixels;
mod scene;
mod skeleton;

pub use batch::{PreparedScene, SceneBatch, SceneLoader, SceneSize};
pub use coco::CocoData;
pub use person::{
    CropMap, Person, PersonAugmentation, PersonBatch, PersonLoader, PersonSize, PreparedPerson,
    decode_heatmaps, persons,
};
pub use pixels::{keypoint_to_coco, within};
pub use scene::{Corners, Keypoints, Object, ObjectData, Scene, outlines};
pub use skeleton::Skeleton;
