//! Whole networks against torchvision's, and against their definitions in
//! PyTorch, with the parameters of `tests/reference/networks.py`.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::super::boxes::Roi;
use super::super::recorded::{OutputCase, difference, recorded};
use super::*;

/// Largest difference, relative to the reference value or 1.
const TOLERANCE: f32 = 1e-5;

const PERIOD: usize = 65_521;

/// Pseudo-random numbers in [0, 1).
fn uniform() -> &'static [f64] {
    static NUMBERS: OnceLock<Vec<f64>> = OnceLock::new();
    NUMBERS.get_or_init(|| {
        let mut state = 1u32;
        let next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(state >> 8) / f64::from(1 << 24)
        };
        std::iter::repeat_with(next).take(PERIOD).collect()
    })
}

/// Numbers of the tensor `name`, from where its FNV-1a hash begins.
fn numbers_of(name: &str, count: usize, [low, high]: [f64; 2]) -> Vec<f32> {
    let hashed = name.bytes().fold(2_166_136_261u32, |hashed, byte| {
        (hashed ^ u32::from(byte)).wrapping_mul(16_777_619)
    });
    let stretch = uniform().iter().cycle().skip(hashed as usize % PERIOD);
    let values = stretch.map(|x| (low + (high - low) * x) as f32);
    values.take(count).collect()
}

/// Bounds of a parameter's numbers.
fn limits(name: &str, shape: &[usize]) -> [f64; 2] {
    if name.ends_with("running_var") {
        [0.5, 1.5]
    } else if !name.ends_with("weight") {
        [-0.2, 0.2]
    } else if shape.len() == 1 {
        [0.5, 1.0]
    } else {
        let inputs: usize = shape[1..].iter().product();
        let bound = (3.0 / inputs as f64).sqrt();
        [-bound, bound]
    }
}

/// A tensor of numbers from -1.7 to 1.7.
fn features<const D: usize>(name: &str, dims: [usize; D]) -> Tensor<D> {
    let values = numbers_of(name, dims.iter().product(), [-1.7, 1.7]);
    Tensor::from_data(TensorData::new(values, dims), &Device::flex())
}

/// A file of weights on disk.
struct Weights {
    directory: tempfile::TempDir,
}

impl Weights {
    /// Weights for `net`; `original` is the name of a parameter where the
    /// reference was recorded.
    fn of<M: ModuleSnapshot>(net: &M, original: impl Fn(&str) -> String) -> Self {
        let tensors = net.collect(None, Some(Box::new(BurnToPyTorchAdapter)), true);
        let tensors = tensors.into_iter().map(|tensor| {
            let (name, shape) = (original(&tensor.name), tensor.shape.to_vec());
            let values = numbers_of(&name, shape.iter().product(), limits(&name, &shape));
            let bytes = values.into_iter().flat_map(f32::to_le_bytes).collect();
            (tensor.name.clone(), shape, bytes)
        });
        let weights = Self {
            directory: tempfile::tempdir().expect("a directory"),
        };
        write_safetensors(&weights.path(), &tensors.collect());
        weights
    }

    fn path(&self) -> std::path::PathBuf {
        self.directory.path().join("weights.safetensors")
    }

    fn fill<M: ModuleSnapshot>(&self, mut net: M) -> M {
        weights::load(&mut net, &self.path()).expect("loads");
        net
    }
}

/// The network, whose parameters have the names they have in the reference.
fn filled<M: ModuleSnapshot>(net: M) -> M {
    Weights::of(&net, str::to_owned).fill(net)
}

/// The recorded outputs that begin with a prefix.
struct Reference {
    prefix: String,
    left: BTreeMap<String, OutputCase>,
}

impl Reference {
    fn of(prefix: &str) -> Self {
        let cases = recorded().output.into_iter();
        let left = cases.filter(|case| case.key.starts_with(prefix));
        Self {
            prefix: prefix.to_owned(),
            left: left.map(|case| (case.key.clone(), case)).collect(),
        }
    }

    fn compare<const D: usize>(&mut self, name: &str, x: Tensor<D>) {
        let key = format!("{}{name}", self.prefix);
        let case = self.left.remove(&key).expect("recorded once");
        assert_eq!(x.dims().to_vec(), case.dims, "{key}");
        let x = values(x);
        let mean_of = |f: &dyn Fn(f64) -> f64| {
            x.iter().map(|x| f(f64::from(*x))).sum::<f64>() / x.len() as f64
        };
        let places = (1..=case.samples.len()).map(|number| 7919 * number % x.len());
        let mut actual: Vec<f32> = places.map(|place| x[place]).collect();
        actual.push(mean_of(&|x| x) as f32);
        actual.push(mean_of(&|x| x * x).sqrt() as f32);
        let mut reference = case.samples;
        reference.extend([case.mean, case.rms]);
        let worst = difference(&actual, &reference);
        assert!(worst < TOLERANCE, "{key} differs by {worst}");
    }

    fn all_compared(self) {
        let left: Vec<&String> = self.left.keys().collect();
        assert!(left.is_empty(), "not compared: {left:?}");
    }
}

fn backbone_is_torchvisions(name: &str) {
    let mut reference = Reference::of(&format!("{name}/"));
    let mut weights = None;
    for output_stride in [8, 16, 32] {
        let settings = NetworkSettings {
            output_stride: Some(output_stride),
            ..settings(&format!("pspnet-{name}"))
        };
        let net = settings.backbone().expect("valid").init(&Device::flex());
        let weights = weights.get_or_insert_with(|| Weights::of(&net, str::to_owned));
        let maps = weights
            .fill(net)
            .forward(features("picture", [1, 3, 41, 57]));
        for (stage, map) in maps.into_iter().enumerate() {
            reference.compare(&format!("{output_stride}/{stage}"), map);
        }
    }
    reference.all_compared();
}

#[test]
fn resnet18_is_torchvisions() {
    backbone_is_torchvisions("resnet18");
}

#[test]
fn resnet50_is_torchvisions() {
    backbone_is_torchvisions("resnet50");
}

#[test]
fn resnet101_is_torchvisions() {
    backbone_is_torchvisions("resnet101");
}

/// A parameter's name in torchvision's `maskrcnn_resnet50_fpn`.
fn name_in_torchvision(name: &str) -> String {
    let parts: Vec<&str> = name.split('.').collect();
    match parts.as_slice() {
        ["backbone", rest @ ..] => format!("backbone.body.{}", rest.join(".")),
        ["pyramid", "lateral", level, kind] => {
            format!("backbone.fpn.inner_blocks.{level}.0.{kind}")
        }
        ["pyramid", "output", level, kind] => format!("backbone.fpn.layer_blocks.{level}.0.{kind}"),
        ["proposals", "conv", kind] => format!("rpn.head.conv.0.0.{kind}"),
        ["proposals", "logits", kind] => format!("rpn.head.cls_logits.{kind}"),
        ["proposals", "deltas", kind] => format!("rpn.head.bbox_pred.{kind}"),
        ["boxes", "hidden", "0", kind] => format!("roi_heads.box_head.fc6.{kind}"),
        ["boxes", "hidden", "1", kind] => format!("roi_heads.box_head.fc7.{kind}"),
        ["boxes", "logits", kind] => format!("roi_heads.box_predictor.cls_score.{kind}"),
        ["boxes", "deltas", kind] => format!("roi_heads.box_predictor.bbox_pred.{kind}"),
        ["masks", "convolutions", layer, kind] => format!("roi_heads.mask_head.{layer}.0.{kind}"),
        ["masks", "doubling", kind] => format!("roi_heads.mask_predictor.conv5_mask.{kind}"),
        ["masks", "masks", kind] => format!("roi_heads.mask_predictor.mask_fcn_logits.{kind}"),
        _ => panic!("torchvision has no {name}"),
    }
}

#[test]
fn mask_rcnn_is_torchvisions() {
    let settings = detection::detection("maskrcnn-resnet50");
    let net = settings.config(2).expect("valid").init(&Device::flex());
    let net = Weights::of(&net, name_in_torchvision).fill(net);
    let mut reference = Reference::of("maskrcnn/");

    let levels = net.features(features("picture", [2, 3, 75, 50]));
    for (level, x) in levels.iter().enumerate() {
        reference.compare(&format!("pyramid/{level}"), x.clone());
    }
    for (level, RpnLevel { logits, deltas }) in net.rpn(&levels).into_iter().enumerate() {
        reference.compare(&format!("proposals/logits/{level}"), logits);
        reference.compare(&format!("proposals/deltas/{level}"), deltas);
    }

    let pooled = features("boxes", [3, 256, 7, 7]).flatten(1, 3);
    let (logits, deltas) = net.boxes.forward(pooled);
    reference.compare("boxes/logits", logits);
    reference.compare("boxes/deltas", deltas);
    let head = net.masks.as_ref().expect("masks");
    reference.compare("masks", head.forward(features("masks", [2, 256, 14, 14])));

    let rois = [
        (1, [-200.0, -300.0, 330.0, 250.0]),
        (0, [-90.0, -80.0, 200.0, 190.0]),
        (1, [-30.0, -40.0, 90.0, 100.0]),
        (0, [2.5, 3.0, 47.0, 70.5]),
        (0, [20.0, 11.0, 31.0, 40.0]),
    ]
    .map(|(image, corners)| Roi { image, corners });
    let BoxPredictions {
        class_logits,
        deltas,
    } = net.boxes(&levels, &rois);
    reference.compare("regions/logits", class_logits);
    reference.compare("regions/deltas", deltas);
    reference.compare("regions/masks", net.masks(&levels, &rois).expect("masks"));
    reference.all_compared();
}

fn segmentation(name: &str, output_stride: usize) -> NetworkSettings {
    NetworkSettings {
        output_stride: Some(output_stride),
        ..settings(name)
    }
}

#[test]
fn deeplab_is_its_definition() {
    for (name, output_stride) in [
        ("deeplabv3plus-resnet50", 16),
        ("deeplabv3plus-resnet18", 8),
    ] {
        let config = segmentation(name, output_stride).deeplab(5).expect("valid");
        let net = filled(config.init(&Device::flex()));
        let mut reference = Reference::of(&format!("{name}/{output_stride}/"));
        let x = features("picture", [2, 3, 49, 67]);
        let [low, _, _, deep] = net.backbone.forward(x.clone());
        let names = ["pointwise", "atrous0", "atrous1", "atrous2", "pooled"];
        for (name, branch) in names.into_iter().zip(net.branches(&deep)) {
            reference.compare(name, branch);
        }
        let (pyramid, low) = (net.pyramid(&deep), net.low_level.forward(low));
        reference.compare("pyramid", pyramid.clone());
        reference.compare("low_level", low.clone());
        reference.compare("decoder", net.decoded(pyramid, low));
        reference.compare("logits", net.forward(x));
        reference.all_compared();
    }
}

#[test]
fn pspnet_is_its_definition() {
    for (name, output_stride) in [("pspnet-resnet50", 8), ("pspnet-resnet18", 32)] {
        let config = segmentation(name, output_stride).pspnet(5).expect("valid");
        let net = filled(config.init(&Device::flex()));
        let mut reference = Reference::of(&format!("{name}/{output_stride}/"));
        let x = features("picture", [2, 3, 49, 67]);
        let [.., deep] = net.backbone.forward(x.clone());
        let names = ["bins1", "bins2", "bins3", "bins6"];
        for (name, map) in names.into_iter().zip(net.means(&deep)) {
            reference.compare(name, map);
        }
        reference.compare("fuse", net.fused(deep));
        reference.compare("logits", net.forward(x));
        reference.all_compared();
    }
}

#[test]
fn simple_baseline_is_its_definition() {
    let settings = pose::pose("simplebaseline-resnet18");
    let net = filled(settings.config(17).expect("valid").init(&Device::flex()));
    let mut reference = Reference::of("simplebaseline-resnet18/");
    let heatmaps = net.forward(features("picture", [2, 3, 64, 32]));
    reference.compare("heatmaps", heatmaps);
    reference.all_compared();
}
