//! Tasks on COCO's folder layout: on embedded scenes written in that layout, and on a sample of COCO.

use std::path::Path;

use autoloss_data::{Object, ObjectData, Split, keypoint_to_coco};
use autoloss_scenes::{Digits, DigitsSettings, Figures, FiguresSettings};
use autoloss_search::{EvaluationSet, Interrupt, Job, Outcome};
use serde_json::json;

use super::tests::{evaluate, open, usual};
use super::{TaskName, TaskSettings};

/// Training and validation scenes.
const SCENES: [usize; 2] = [12, 4];
/// Rows and columns of a scene.
const SIZE: usize = 64;

/// An object as COCO's annotations have it.
fn annotation(id: usize, image: i64, object: &Object, unused: usize) -> serde_json::Value {
    let [left, top, right, bottom] = object.corners;
    let mut entry = json!({
        "id": id,
        "image_id": image,
        "category_id": object.class + 1 + unused,
        "bbox": [left, top, right - left, bottom - top],
        "area": object.area,
        "iscrowd": u8::from(object.crowd),
    });
    if let Some(mask) = &object.mask {
        let (size, counts) = ([mask.height(), mask.width()], mask.to_compressed());
        entry["segmentation"] = json!({"size": size, "counts": counts});
    }
    if let Some(keypoints) = &object.keypoints {
        let labelled = keypoints.iter().filter(|point| point[2] > 0.0);
        entry["num_keypoints"] = json!(labelled.count());
        let numbers = keypoints.iter().copied().flat_map(keypoint_to_coco);
        entry["keypoints"] = numbers.collect::<Vec<f64>>().into();
    }
    entry
}

/// Writes a data set in COCO's folder layout, its categories behind `unused` ones without objects.
fn write(data: &dyn ObjectData, dir: &Path, prefix: &str, unused: usize) {
    std::fs::create_dir(dir.join("annotations")).unwrap();
    for (split, part) in [(Split::Train, "train2017"), (Split::Val, "val2017")] {
        std::fs::create_dir(dir.join(part)).unwrap();
        let (mut images, mut annotations) = (Vec::new(), Vec::new());
        for index in 0..data.len(split) {
            let scene = data.scene(split, index).unwrap();
            let file = format!("{index:03}.png");
            let (width, height) = (scene.width as u32, scene.height as u32);
            let image = image::RgbImage::from_raw(width, height, scene.image).unwrap();
            image.save(dir.join(part).join(&file)).unwrap();
            images
                .push(json!({"id": scene.id, "file_name": file, "width": width, "height": height}));
            for object in &scene.objects {
                annotations.push(annotation(annotations.len() + 1, scene.id, object, unused));
            }
        }
        let others = (0..unused).map(|number| format!("unused {number}"));
        let names = others.chain(data.class_names().iter().cloned()).enumerate();
        let categories: Vec<_> = names
            .map(|(class, name)| json!({"id": class + 1, "name": name}))
            .collect();
        let whole = json!({"images": images, "annotations": annotations, "categories": categories});
        let file = format!("annotations/{prefix}_{part}.json");
        std::fs::write(dir.join(file), whole.to_string()).unwrap();
    }
}

/// The settings of an embedded task for a task of COCO's layout, on the data in `dir`.
fn moved(embedded: TaskName, scenes: &str, to: TaskName, dir: &Path) -> [TaskSettings; 2] {
    let [train, val] = SCENES;
    let text = format!(
        "name = \"{embedded}\"\nval_images = 0\n[training]\nsteps = 4\nbatch = 3\n\
         [{scenes}]\ntrain = {train}\nval = {val}\nsize = {SIZE}"
    );
    let embedded = TaskSettings::from_table(&toml::from_str(&text).unwrap()).unwrap();
    let mut table: toml::Table = toml::from_str(&embedded.to_toml()).unwrap();
    table.remove(scenes);
    table.insert("name".to_owned(), to.name().into());
    table.insert("data".to_owned(), dir.to_str().unwrap().into());
    [embedded, TaskSettings::from_table(&table).unwrap()]
}

#[test]
fn scenes_in_cocos_layout_train_as_the_embedded_ones() {
    let [train, val] = SCENES;
    // The network of keypoints has no classes: categories before that of its persons change nothing.
    for (embedded, to, unused) in [
        (TaskName::DigitsDetection, TaskName::CocoDetection, 0),
        (TaskName::DigitsInstances, TaskName::CocoInstances, 0),
        (TaskName::FiguresPose, TaskName::CocoPose, 0),
        (TaskName::FiguresPose, TaskName::CocoPose, 2),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let scenes = match embedded {
            TaskName::FiguresPose => {
                let settings = FiguresSettings {
                    train,
                    val,
                    size: SIZE,
                    ..FiguresSettings::default()
                };
                let data = Figures::new(settings).unwrap();
                write(&data, dir.path(), "person_keypoints", unused);
                "figures"
            }
            _ => {
                let settings = DigitsSettings {
                    train,
                    val,
                    size: SIZE,
                    ..DigitsSettings::default()
                };
                let data = Digits::new(settings).unwrap();
                write(&data, dir.path(), "instances", unused);
                "digits"
            }
        };
        let device = burn::tensor::Device::flex();
        let [one, other] = moved(embedded, scenes, to, dir.path()).map(|settings| {
            let task = settings.open(&device).unwrap();
            // Search scenes have digits of their own, which data that are read have not.
            let job = Job {
                set: EvaluationSet::Validation,
                seed: 3,
                ..Job::default()
            };
            let evaluation = task.evaluate(&usual(&*task), &job, &Interrupt::default());
            let evaluation = evaluation.unwrap();
            assert_eq!(evaluation.outcome, Outcome::Finished, "{to}");
            let samples = task.samples(2, 0).unwrap();
            assert_eq!(samples.len(), 2, "{to}");
            (evaluation.score, evaluation.curve)
        });
        assert_eq!(one, other, "{to}");
    }
}

#[test]
#[ignore = "reads a sample of COCO from the folder COCO_SAMPLE"]
fn tasks_run_on_a_sample_of_coco() {
    let dir = std::env::var("COCO_SAMPLE").expect("COCO_SAMPLE: the folder of a sample of COCO");
    for name in [
        TaskName::CocoDetection,
        TaskName::CocoInstances,
        TaskName::CocoPose,
    ] {
        let training = "val_images = 4\n[training]\nsteps = 3\nbatch = 2\n";
        let task = open(name, &format!("data = {dir:?}\n{training}"));
        let evaluation = evaluate(&*task, &usual(&*task), 0);
        assert_eq!(evaluation.outcome, Outcome::Finished, "{name}");
        assert!((0.0..=1.0).contains(&evaluation.score), "{name}");
        let samples = task.samples(2, 0).unwrap();
        assert_eq!(samples.len(), 2, "{name}");
    }
}
