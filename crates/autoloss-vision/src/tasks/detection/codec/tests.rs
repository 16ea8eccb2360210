//! Another order of anchors and regions: all that has to do with positions follows.

use autoloss_data::{Augmentation, SceneBatch};
use autoloss_search::Schedule;
use burn::tensor::Device;

use super::super::Detection;
use super::super::step::{Added, Draws};
use super::*;
use crate::loss::host_values;
use crate::tasks::schedules::OneTraining;
use crate::tasks::{FamilySettings, TaskSettings};

/// Instance segmentation of scenes with a batch and a pass over it.
fn pass() -> (Detection, SceneBatch, Pass) {
    let text = "name = \"digits-instances\"\n[training]\nbatch = 2\n";
    let settings = TaskSettings::from_table(&toml::from_str(text).unwrap()).unwrap();
    let FamilySettings::Detection(settings) = settings.of(Schedule::Proxy).clone() else {
        panic!("a task of detection");
    };
    let task = Detection::new(*settings, &Device::flex()).unwrap();
    let mut loader = task.loader(0, 2, Augmentation::none(), 0).unwrap();
    let batch = loader.next().unwrap().unwrap();
    let net = task.network(0).unwrap();
    let draws = Draws { seed: 0, update: 1 };
    let pass = task.pass(&net, &batch, draws, Added::Near);
    (task, batch, pass)
}

/// The anchors and regions in another order, which no filter leaves as it was.
fn shuffled(mut selection: Selection) -> Selection {
    let Selection {
        anchors,
        regions,
        masked,
    } = &mut selection;
    for places in [anchors, regions, masked] {
        places.sort_by_key(|place| (place * 37 + 11) % 101);
    }
    selection
}

/// A field in the order of other positions of the same anchors or regions.
fn moved(field: &[f32], from: &Positions, to: &Positions) -> Vec<f32> {
    let row = |subject: &usize| from.row(field, from.find(*subject).unwrap());
    let rows: Vec<Vec<f32>> = to.subjects().iter().map(row).collect();
    to.field(&rows)
}

/// Numbers without any order.
fn mixed(count: usize) -> Vec<f32> {
    (0..count).map(|i| (i as f32 * 0.83).sin()).collect()
}

fn slices(fields: &[Vec<f32>]) -> Vec<&[f32]> {
    fields.iter().map(Vec::as_slice).collect()
}

#[test]
fn inputs_places_gradients_and_scorers_follow_the_order() {
    let (_task, batch, pass) = pass();
    let whole = Selection::whole(&pass);
    let one = branches(&pass, &batch.items, &whole).in_order();
    let other = branches(&pass, &batch.items, &shuffled(whole)).in_order();
    assert_eq!((one.len(), other.len()), (5, 5));
    for (branch, other) in one.iter().zip(&other) {
        let (source, from, to) = (branch.source(), branch.positions(), other.positions());
        assert_eq!(from.count(), to.count(), "{source:?}");
        assert_ne!(from.subjects(), to.subjects(), "{source:?}");
        for (input, other) in branch.fields().inputs.iter().zip(&other.fields().inputs) {
            assert_eq!(other, &moved(input, from, to), "{source:?}");
        }
        // Predictions that are gathered on a device are those that are read on the host.
        let on_device = host_values(&other.inputs_on_device(&pass)[0]);
        assert_eq!(on_device, other.fields().inputs[0], "{source:?}");
        // The same element of the output has the same gradient.
        let gradient = mixed(from.shape().len());
        let mut sums = [(); 2].map(|()| OutputGradient::zeros(pass.output(source)));
        branch.scatter(&gradient, &mut sums[0]);
        other.scatter(&moved(&gradient, from, to), &mut sums[1]);
        assert_eq!(sums[0].0, sums[1].0, "{source:?}");
        assert!(sums[0].0.iter().any(|g| *g != 0.0), "{source:?}");
        // The same predictions have the same score.
        let target = branch.target();
        let near = target.iter().zip(&gradient).map(|(y, g)| y + 0.4 * g);
        let near: Vec<f32> = near.collect();
        let score = branch.scorer()(&near);
        let again = other.scorer()(&moved(&near, from, to));
        assert!((score - again).abs() < 1e-9, "{source:?}: {score}, {again}");
        let wrong = other.scorer()(&near);
        assert!((score - wrong).abs() > 1e-6, "{source:?}: {score}, {wrong}");
    }
}

#[test]
fn the_score_of_all_branches_follows_the_order() {
    let (task, batch, pass) = pass();
    let mut scored = 0;
    for image in 0..batch.n {
        let selection = Selection::of_image(&pass, image);
        let selections = [selection.clone(), shuffled(selection)];
        let positions = selections.each_ref().map(|selection| {
            let branches = branches(&pass, &batch.items, selection);
            branches.map(|branch| branch.positions().clone()).in_order()
        });
        let [one, other] = selections.map(|selection| {
            let sampling = task.sampling();
            sampling.sample_at(&pass, &batch.items, image, &selection)
        });
        let (Some(one), Some(other)) = (one, other) else {
            continue;
        };
        // Predictions on their way to the targets.
        let predictions = one.branches.iter().map(|branch| {
            let (yhat, y) = (&branch.inputs[0], &branch.inputs[1]);
            let noise = mixed(y.len()).into_iter().map(|x| 0.05 * x);
            let pairs = yhat.iter().zip(y).zip(noise);
            pairs
                .map(|((p, y), noise)| 0.2 * p + 0.8 * y + noise)
                .collect()
        });
        let predictions: Vec<Vec<f32>> = predictions.collect();
        let orders = positions[0].iter().zip(&positions[1]);
        let shuffled = predictions.iter().zip(orders);
        let shuffled: Vec<Vec<f32>> = shuffled
            .map(|(field, (from, to))| moved(field, from, to))
            .collect();
        let score = (one.scorer)(&slices(&predictions));
        assert_eq!(score, (other.scorer)(&slices(&shuffled)), "image {image}");
        assert!(score > 0.0, "image {image}");
        scored += 1;
    }
    assert!(scored > 0, "no image has all branches");
}
