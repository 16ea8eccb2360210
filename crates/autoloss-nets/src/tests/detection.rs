//! Networks of detection and instance segmentation.

use super::super::boxes::{self, Roi};
use super::super::fpn::PyramidConfig;
use burn::module::{ModuleVisitor, Param};

use super::*;

pub(super) fn detection(name: &str) -> DetectionNetSettings {
    DetectionNetSettings {
        name: name.parse().expect("a known name"),
        ..DetectionNetSettings::default()
    }
}

fn roi(image: usize, corners: [f32; 4]) -> Roi {
    Roi { image, corners }
}

/// Scales and offsets of a ResNet-50's batch normalisations: torchvision
/// freezes them in detection networks and does not count them.
const RESNET50_NORMS: usize = 53_120;

#[test]
fn parameter_counts_are_torchvisions() {
    for (name, published) in [
        ("fasterrcnn-resnet50", 41_755_286),
        ("maskrcnn-resnet50", 44_401_393),
    ] {
        // torchvision counts the background among its 91 classes.
        let config = detection(name).config(90).expect("valid");
        let net = config.init(&Device::flex());
        assert_eq!(net.parameter_count(), published + RESNET50_NORMS, "{name}");
        assert_eq!(net.strides(), [4, 8, 16, 32, 64]);
    }
    let resnet50 = detection("fasterrcnn-resnet50").config(90).expect("valid");
    let backbone = resnet50.backbone.init(&Device::flex());
    let norms: usize = backbone
        .collect(None, None, false)
        .into_iter()
        .filter(|tensor| tensor.name.ends_with("gamma") || tensor.name.ends_with("beta"))
        .map(|tensor| tensor.shape.num_elements())
        .sum();
    assert_eq!(norms, RESNET50_NORMS);
}

#[test]
fn every_name_gives_a_network() {
    for name in DetectionName::all() {
        let net = detection(&name.to_string()).config(3).expect("valid");
        let net = net.init(&Device::flex());
        assert_eq!(net.has_masks(), name.to_string().starts_with("maskrcnn"));
        let size = if name.backbone == Backbone::Slim {
            24
        } else {
            28
        };
        assert_eq!(net.mask_size(), net.has_masks().then_some(size));
    }
}

#[test]
fn predictions_have_the_stated_shapes() {
    let (classes, batch) = (4, 2);
    for device in [Device::flex(), Device::flex().autodiff()] {
        for (name, channels) in [("maskrcnn-slim", 32), ("maskrcnn-resnet18", 256)] {
            let net = DetectionNet::init(&detection(name), classes, &mut rng(1), &device);
            let net = net.expect("valid");
            // Sizes that are no multiples of the strides.
            let features = net.features(images([batch, 3, 75, 50], &device));
            let sizes: Vec<[usize; 2]> = features
                .iter()
                .map(|level| [level.dims()[2], level.dims()[3]])
                .collect();
            for (level, (stride, size)) in features.iter().zip(net.strides().iter().zip(&sizes)) {
                assert_eq!(level.dims()[..2], [batch, channels]);
                assert_eq!(
                    *size,
                    [75usize.div_ceil(*stride), 50usize.div_ceil(*stride)]
                );
            }
            let anchors = net.anchors(&sizes);
            let rpn = net.rpn(&features);
            assert_eq!(rpn.len(), features.len());
            for ((level, [h, w]), anchors) in rpn.iter().zip(&sizes).zip(&anchors) {
                assert_eq!(level.logits.dims(), [batch, 3, *h, *w]);
                assert_eq!(level.deltas.dims(), [batch, 12, *h, *w]);
                assert_eq!(anchors.len(), h * w * 3);
            }
            let rois = [
                roi(1, [0.0, 0.0, 40.0, 40.0]),
                roi(0, [4.0, 4.0, 12.0, 9.0]),
            ];
            for rois in [&rois[..], &[]] {
                let predicted = net.boxes(&features, rois);
                assert_eq!(predicted.class_logits.dims(), [rois.len(), classes + 1]);
                assert_eq!(predicted.deltas.dims(), [rois.len(), 4 * (classes + 1)]);
                let masks = net.masks(&features, rois).expect("masks");
                let side = net.mask_size().expect("masks");
                assert_eq!(masks.dims(), [rois.len(), classes + 1, side, side]);
                assert!(values(masks).iter().all(|x| x.is_finite()));
            }
        }
    }
    let device = Device::flex();
    let net = DetectionNet::init(&detection("fasterrcnn-slim"), 1, &mut rng(1), &device);
    assert!(net.expect("valid").masks(&[], &[]).is_none());
}

#[test]
fn predictions_come_in_the_order_of_the_regions() {
    let device = Device::flex();
    let net = DetectionNet::init(&detection("maskrcnn-slim"), 2, &mut rng(2), &device);
    let net = net.expect("valid");
    let features = net.features(images([2, 3, 64, 64], &device));
    // All three levels, mixed.
    let rois = [
        roi(0, [0.0, 0.0, 64.0, 64.0]),
        roi(1, [3.0, 5.0, 13.0, 17.0]),
        roi(0, [10.0, 0.0, 50.0, 36.0]),
        roi(0, [30.0, 30.0, 40.0, 42.0]),
        roi(1, [0.0, 0.0, 64.0, 64.0]),
    ];
    let together = net.boxes(&features, &rois);
    let masks = net.masks(&features, &rois).expect("masks");
    let [logits, deltas] = [together.class_logits, together.deltas].map(|x| x.split(1, 0));
    for (index, one) in rois.iter().enumerate() {
        let alone = net.boxes(&features, &[*one]);
        for (together, alone) in [
            (logits[index].clone(), alone.class_logits),
            (deltas[index].clone(), alone.deltas),
        ] {
            let pairs = values(together).into_iter().zip(values(alone));
            for (a, b) in pairs {
                assert!((a - b).abs() < 1e-6, "region {index}: {a} {b}");
            }
        }
        let mask = values(masks.clone().narrow(0, index, 1));
        let alone = values(net.masks(&features, &[*one]).expect("masks"));
        let pairs = mask.into_iter().zip(alone);
        assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-5));
    }
    let first: Vec<f32> = values(logits[0].clone());
    assert!(
        first != values(logits[4].clone()),
        "the image plays no part"
    );
}

/// The pyramid after its definition, for one channel everywhere and layers
/// that copy.
#[test]
fn pyramid_adds_the_coarser_level() {
    let device = Device::flex();
    let config = PyramidConfig {
        channels_in: vec![1, 1],
        channels: 1,
        extra_level: true,
    };
    let net = init::initialise(config.init(&device), &mut rng(3));
    let weights: Vec<f32> = net
        .collect(None, None, false)
        .into_iter()
        .filter(|tensor| tensor.name == "lateral.0.weight" || tensor.name == "lateral.1.weight")
        .map(|tensor| {
            let bytes = tensor.to_bytes().expect("data");
            f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
        })
        .collect();
    // Sums over a map that a constant layer makes: rows 0, 0, 1, 1, 2 of the
    // coarse map for a fine map of five rows.
    let fine = Tensor::<4>::zeros([1, 1, 5, 3], &device);
    let coarse = Tensor::<4>::from_data(
        TensorData::new(vec![1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0], [1, 1, 3, 2]),
        &device,
    );
    let levels = net.forward(&[fine.clone(), coarse.clone()]);
    let dims: Vec<[usize; 4]> = levels.iter().map(Tensor::dims).collect();
    assert_eq!(dims, [[1, 1, 5, 3], [1, 1, 3, 2], [1, 1, 2, 1]]);
    let enlarged: Vec<f32> = [0, 0, 1, 1, 2]
        .iter()
        .flat_map(|row| [0, 0, 1].map(|column| weights[1] * (1 + row * 2 + column) as f32))
        .collect();
    let enlarged = Tensor::<4>::from_data(TensorData::new(enlarged, [1, 1, 5, 3]), &device);
    // With no coarse map the fine one passes the same layers alone.
    let nothing = Tensor::<4>::zeros([1, 1, 3, 2], &device);
    let expected = net.forward(&[enlarged / weights[0], nothing]);
    let pairs = values(levels[0].clone())
        .into_iter()
        .zip(values(expected[0].clone()));
    for (a, b) in pairs {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
    let coarsest = values(levels[1].clone());
    assert_eq!(values(levels[2].clone()), [coarsest[0], coarsest[4]]);
}

#[test]
fn the_gradient_reaches_every_parameter() {
    let device = Device::flex().autodiff();
    let net = DetectionNet::init(&detection("maskrcnn-slim"), 2, &mut rng(4), &device);
    let net = net.expect("valid");
    let features = net.features(images([2, 3, 64, 64], &device));
    let rois = [
        roi(0, [0.0, 0.0, 64.0, 64.0]),
        roi(1, [3.0, 5.0, 13.0, 17.0]),
        roi(0, [10.0, 0.0, 50.0, 36.0]),
    ];
    let predicted = net.boxes(&features, &rois);
    let masks = net.masks(&features, &rois).expect("masks");
    let square = |x: Tensor<4>| (x.clone() * x).sum();
    let mut loss = square(masks)
        + (predicted.class_logits - 1.0).square().sum()
        + (predicted.deltas - 1.0).square().sum();
    for level in net.rpn(&features) {
        loss = loss + square(level.logits - 1.0) + square(level.deltas - 1.0);
    }
    let gradients = GradientsParams::from_grads(loss.backward(), &net);
    let mut parameters = 0;
    let mut visitor = GradientVisitor {
        gradients: &gradients,
        parameters: &mut parameters,
    };
    net.visit(&mut visitor);
    assert!(parameters > 50);
}

struct GradientVisitor<'a> {
    gradients: &'a GradientsParams,
    parameters: &'a mut usize,
}

impl ModuleVisitor for GradientVisitor<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !param.is_require_grad() {
            return;
        }
        *self.parameters += 1;
        let gradient = self.gradients.get::<D>(param.id).expect("a gradient");
        let gradient = values(gradient);
        assert!(gradient.iter().all(|x| x.is_finite()));
        assert!(gradient.iter().any(|x| *x != 0.0), "a gradient of zeros");
    }
}

#[test]
fn training_finds_the_bright_square() {
    let device = Device::flex().autodiff();
    let train = || {
        let mut net = DetectionNet::init(&detection("fasterrcnn-slim"), 1, &mut rng(5), &device)
            .expect("valid");
        let mut optimiser = AdamConfig::new().init();
        let mut pixels = vec![0.0f32; 3 * 64 * 64];
        for channel in 0..3 {
            for row in 16..32 {
                pixels[(channel * 64 + row) * 64 + 24..][..16].fill(1.0);
            }
        }
        let x = Tensor::<4>::from_data(TensorData::new(pixels, [1, 3, 64, 64]), &device);
        let target = [24.0, 16.0, 40.0, 32.0];
        let mut loss_values = Vec::new();
        for _ in 0..15 {
            let features = net.features(x.clone());
            let sizes: Vec<[usize; 2]> = features
                .iter()
                .map(|level| [level.dims()[2], level.dims()[3]])
                .collect();
            let mut loss = Tensor::<1>::zeros([1], &device);
            for (level, anchors) in net.rpn(&features).into_iter().zip(net.anchors(&sizes)) {
                let hits: Vec<f32> = anchors
                    .iter()
                    .map(|anchor| f32::from(u8::from(boxes::iou(*anchor, target) > 0.5)))
                    .collect();
                let hits = TensorData::new(hits, [anchors.len()]);
                let hits = Tensor::<1>::from_data(hits, &device);
                let count = anchors.len();
                let logits = level.logits.permute([0, 2, 3, 1]).reshape([count]);
                // Logistic loss, misses at a tenth of the weight.
                let hit_loss = activation::softplus(-logits.clone(), 1.0) * hits.clone();
                let misses: Tensor<1> = (1.0 - hits) * 0.1;
                let miss_loss = activation::softplus(logits, 1.0) * misses;
                loss = loss + hit_loss.sum() + miss_loss.sum();
            }
            loss_values.push(loss.clone().into_scalar::<f32>());
            let gradients = GradientsParams::from_grads(loss.backward(), &net);
            net = optimiser.step(3e-3, net, gradients);
        }
        loss_values
    };
    let loss_values = train();
    assert!(loss_values[14] < 0.5 * loss_values[0], "{loss_values:?}");
    assert_eq!(loss_values, train());
}

#[test]
fn settings_of_detection_are_read_and_checked() {
    for name in DetectionName::all() {
        assert_eq!(
            name.to_string().parse::<DetectionName>().expect("known"),
            name
        );
    }
    let unknown = "fasterrcnn-resnet5O".parse::<DetectionName>();
    let message = unknown.expect_err("unknown").to_string();
    assert!(
        message.contains("did you mean `fasterrcnn-resnet50`") && message.contains("maskrcnn-slim"),
        "{message}"
    );
    for (name, sizes, expected) in [
        ("maskrcnn-slim", "[4, 8.5, 16]", vec![4.0, 8.5, 16.0]),
        ("maskrcnn-slim", "[5]", vec![5.0, 10.0, 20.0]),
        (
            "fasterrcnn-resnet18",
            "[16, 24]",
            vec![16.0, 24.0, 36.0, 54.0, 81.0],
        ),
    ] {
        let text = format!("name = '{name}'\nanchor_sizes = {sizes}");
        let read: DetectionNetSettings = toml::from_str(&text).expect("valid");
        let config = read.config(1).expect("valid");
        assert_eq!(config.anchor_sizes, expected);
        assert_eq!(config.init(&Device::flex()).strides().len(), expected.len());
    }
    let default = |name| detection(name).config(1).expect("valid").anchor_sizes;
    assert_eq!(default("maskrcnn-slim"), [8.0, 16.0, 32.0]);
    let torchvisions = [32.0, 64.0, 128.0, 256.0, 512.0];
    assert_eq!(default("maskrcnn-resnet50"), torchvisions);

    let error = |change: &dyn Fn(&mut DetectionNetSettings), classes| {
        let mut settings = detection("fasterrcnn-slim");
        change(&mut settings);
        let net = DetectionNet::init(&settings, classes, &mut rng(0), &Device::flex());
        net.expect_err("refused").to_string()
    };
    assert!(error(&|_| (), 0).contains("at least one class"));
    for sizes in [
        vec![],
        vec![8.0, 16.0, 32.0, 64.0],
        vec![8.0, -1.0, 16.0],
        vec![8.0, f32::NAN],
    ] {
        let message = error(&|settings| settings.anchor_sizes = Some(sizes.clone()), 1);
        assert!(
            message
                .contains("fasterrcnn-slim has 3 pyramid levels; expected 1 to 3 positive sizes"),
            "{message}"
        );
    }
    assert_eq!(
        error(&|settings| settings.canonical_size = Some(0.0), 1),
        "canonical_size 0: expected a positive number of pixels"
    );
    assert!(
        error(&|settings| settings.batch_norm_momentum = 2.0, 1)
            .starts_with("batch_norm_momentum 2")
    );
    let mut settings = detection("fasterrcnn-resnet18");
    settings.weights = Weights::Digits;
    let net = DetectionNet::init(&settings, 1, &mut rng(0), &Device::flex());
    let weights = net.expect_err("refused").to_string();
    assert!(weights.contains("of the slim backbone, fasterrcnn-resnet18 has another"));
}
