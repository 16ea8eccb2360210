//! Data sets in the folder layouts of COCO, Roboflow and Label Studio.
//!
//! COCO's layout is `annotations/instances_train2017.json` and so on (or `person_keypoints_…`), and a folder
//! of images named like the file, such as `train2017`. The last of several years counts. The images
//! may also be in another folder whose name begins with `train`, in a folder of `images`, or in
//! `images` itself. Roboflow's is `train/_annotations.coco.json` and `valid/_annotations.coco.json`
//! beside their pictures, Label Studio's `result.json` and `images`.
//!
//! One annotation file alone is training and validation set at once, which is enough for a trial.

mod data;
mod layout;
mod pictures;
mod read;
#[cfg(test)]
mod tests;

pub use data::CocoData;
