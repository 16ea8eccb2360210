use std::fs;
use std::io::Write;
use std::path::Path;

use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Tensor, TensorData, activation};
use burn_store::{BurnToPyTorchAdapter, ModuleSnapshot};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::parameters::parameter_count;
use super::resnet::{BlockKind, ResNet, ResNetConfig, Stem};
use super::*;

mod boxes;
mod detection;
mod pose;
mod reference;

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

fn settings(name: &str) -> NetworkSettings {
    NetworkSettings {
        name: name.parse().expect("a known name"),
        ..NetworkSettings::default()
    }
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter().collect()
}

/// Images of any size whose pixels vary.
fn images(dims: [usize; 4], device: &Device) -> Tensor<4> {
    let count: usize = dims.iter().product();
    let pixels: Vec<f32> = (0..count).map(|i| (i as f32 * 0.37).sin()).collect();
    Tensor::from_data(TensorData::new(pixels, dims), device)
}

#[test]
fn backbones_have_torchvisions_parameter_counts() {
    // torchvision's published counts include the classifier of 1000 classes.
    for (name, published, features) in [
        ("pspnet-resnet18", 11_689_512, 512),
        ("pspnet-resnet34", 21_797_672, 512),
        ("pspnet-resnet50", 25_557_032, 2048),
        ("pspnet-resnet101", 44_549_160, 2048),
    ] {
        let backbone = settings(name)
            .backbone()
            .expect("valid")
            .init(&Device::flex());
        assert_eq!(
            parameter_count(&backbone) + features * 1000 + 1000,
            published,
            "{name}"
        );
    }
}

/// Parameters of a convolution without bias and of the normalisation after it.
fn conv_bn(channels_in: usize, channels_out: usize, kernel: usize) -> usize {
    channels_in * channels_out * kernel * kernel + 2 * channels_out
}

#[test]
fn networks_have_the_parameter_counts_of_their_formulas() {
    let classes = 21;
    for (backbone, count, low, deep) in [
        ("resnet18", 11_176_512, 64, 512),
        ("resnet34", 21_284_672, 64, 512),
        ("resnet50", 23_508_032, 256, 2048),
        ("resnet101", 42_500_160, 256, 2048),
    ] {
        let aspp = 2 * conv_bn(deep, 256, 1) + 3 * conv_bn(deep, 256, 3) + conv_bn(5 * 256, 256, 1);
        let decoder = conv_bn(low, 48, 1) + conv_bn(256 + 48, 256, 3) + conv_bn(256, 256, 3);
        let deeplab = count + aspp + decoder + 256 * classes + classes;
        let pspnet = count
            + 4 * conv_bn(deep, deep / 4, 1)
            + conv_bn(2 * deep, deep / 4, 3)
            + deep / 4 * classes
            + classes;
        for (head, expected) in [("deeplabv3plus", deeplab), ("pspnet", pspnet)] {
            let settings = settings(&format!("{head}-{backbone}"));
            let net = SegmentationNet::uninitialised(&settings, classes, &Device::flex());
            assert_eq!(
                net.expect("valid").parameter_count(),
                expected,
                "{head}-{backbone}"
            );
        }
    }
}

#[test]
fn deeplab_resnet101_has_the_published_59_34_million_parameters() {
    let settings = settings("deeplabv3plus-resnet101");
    let net = SegmentationNet::uninitialised(&settings, 21, &Device::flex()).expect("valid");
    assert_eq!(net.parameter_count(), 59_344_309);
}

#[test]
fn logits_have_the_size_of_the_images() {
    let device = Device::flex().autodiff();
    for (name, stride) in [
        ("deeplabv3plus-slim", 4),
        ("deeplabv3plus-slim", 8),
        ("pspnet-slim", 16),
        ("deeplabv3plus-resnet18", 16),
        ("pspnet-resnet18", 8),
        ("pspnet-resnet18", 32),
    ] {
        let settings = NetworkSettings {
            output_stride: Some(stride),
            ..settings(name)
        };
        let net = SegmentationNet::init(&settings, 5, &mut rng(1), &device).expect("valid");
        let x = images([2, 3, 33, 50], &device);
        assert_eq!(net.forward(x.clone()).dims(), [2, 5, 33, 50], "{name}");
        let logits = values(net.valid().forward(x.inner()));
        assert!(logits.iter().all(|x| x.is_finite()), "{name}");
    }
}

/// A backbone of a few thousand parameters, with every kind of layer.
fn tiny(block: BlockKind, output_stride: usize) -> ResNetConfig {
    ResNetConfig {
        block,
        blocks: [1, 1, 2, 2],
        widths: [4, 4, 8, 8],
        stem: Stem::ImageNet,
        output_stride,
        momentum: 0.1,
    }
}

#[test]
fn dilation_takes_the_place_of_stride() {
    let device = Device::flex();
    for (output_stride, expected) in [(8, [16, 8, 8, 8]), (16, [16, 8, 4, 4]), (32, [16, 8, 4, 2])]
    {
        for block in [BlockKind::Basic, BlockKind::Bottleneck] {
            let net = init::initialise(tiny(block, output_stride).init(&device), &mut rng(2));
            let features = net.forward(images([1, 3, 64, 64], &device));
            let sizes = features.map(|map| map.dims()[2]);
            assert_eq!(sizes, expected, "{block:?} at {output_stride}");
        }
    }
    // torchvision at output stride 8: dilations 1, 2 in the third stage and
    // 2, 4 in the fourth.
    let net = tiny(BlockKind::Bottleneck, 8).init(&device);
    assert_eq!(net.dilations(), [vec![1], vec![1], vec![1, 2], vec![2, 4]]);
}

#[test]
fn one_seed_gives_one_network() {
    let device = Device::flex();
    let weights = |seed| {
        let net = SegmentationNet::init(&NetworkSettings::default(), 3, &mut rng(seed), &device);
        net.expect("valid")
            .collect(None, None, false)
            .into_iter()
            .map(|tensor| {
                (
                    tensor.name.clone(),
                    tensor.to_bytes().expect("data").to_vec(),
                )
            })
            .collect::<Vec<_>>()
    };
    assert!(weights(7) == weights(7));
    let (a, b) = (weights(7), weights(8));
    for ((name, a), (_, b)) in a.iter().zip(&b) {
        let random = name.contains("conv") && name.ends_with("weight");
        assert!(!random || a != b, "{name} does not depend on the seed");
    }
}

#[test]
fn initial_weights_have_the_right_spread() {
    let device = Device::flex();
    let net = SegmentationNet::init(&NetworkSettings::default(), 3, &mut rng(3), &device);
    for tensor in net.expect("valid").collect(None, None, true) {
        let bytes = tensor.to_bytes().expect("data");
        let numbers: Vec<f64> = bytes
            .chunks_exact(4)
            .map(|b| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]])))
            .collect();
        let square = numbers.iter().map(|x| x * x).sum::<f64>() / numbers.len() as f64;
        let shape = tensor.shape.to_vec();
        if tensor.name.starts_with("classifier") {
            assert!(
                numbers.iter().all(|x| x.abs() <= 1.0 / 24f64.sqrt()),
                "{}",
                tensor.name
            );
            assert!(square > 0.0);
        } else if shape.len() == 4 && numbers.len() > 4000 {
            let expected = 2.0 / (shape[0] * shape[2] * shape[3]) as f64;
            assert!(
                (square / expected - 1.0).abs() < 0.15,
                "{}: {square}",
                tensor.name
            );
        } else if tensor.name.ends_with("gamma") {
            assert!(numbers.iter().all(|x| *x == 1.0));
        }
    }
}

#[test]
fn training_lowers_the_loss_and_is_repeatable() {
    let device = Device::flex().autodiff();
    let train = |name: &str| {
        let mut net =
            SegmentationNet::init(&settings(name), 2, &mut rng(4), &device).expect("valid");
        let mut optimiser = AdamConfig::new().init();
        // The left half of each image is bright, and of the first class.
        let left = Tensor::<4>::ones([4, 1, 32, 16], &device);
        let y = Tensor::cat(vec![left.clone(), 1.0 - left], 3);
        let x = images([4, 3, 32, 32], &device) + y.clone();
        let y = Tensor::cat(vec![y.clone(), 1.0 - y], 1);
        let mut loss_values = Vec::new();
        for _ in 0..12 {
            let log_probability = activation::log_softmax(net.forward(x.clone()), 1);
            let loss = -(log_probability * y.clone()).sum_dim(1).mean();
            loss_values.push(loss.clone().into_scalar::<f32>());
            let gradients = GradientsParams::from_grads(loss.backward(), &net);
            net = optimiser.step(1e-2, net, gradients);
        }
        loss_values
    };
    for name in ["deeplabv3plus-slim", "pspnet-slim"] {
        let loss_values = train(name);
        assert!(
            loss_values[11] < 0.8 * loss_values[0],
            "{name}: {loss_values:?}"
        );
        assert_eq!(loss_values, train(name), "{name}");
    }
}

#[test]
fn settings_are_read_and_checked() {
    let unknown: Result<NetworkName, _> = "deeplabv3-resnet50".parse();
    let message = unknown.expect_err("unknown").to_string();
    assert!(
        message.contains("did you mean `deeplabv3plus-resnet50`"),
        "{message}"
    );

    for name in NetworkName::all() {
        let text = name.to_string();
        assert_eq!(text.parse::<NetworkName>().expect("known"), name);
    }
    let error = |settings: &NetworkSettings, classes| {
        let net = SegmentationNet::init(settings, classes, &mut rng(0), &Device::flex());
        net.expect_err("refused").to_string()
    };
    let mut bad = settings("pspnet-resnet50");
    bad.output_stride = Some(12);
    assert_eq!(
        error(&bad, 2),
        "output_stride 12: pspnet-resnet50 offers [8, 16, 32]"
    );
    bad = settings("pspnet-slim");
    assert!(error(&bad, 0).contains("at least one class"));
    bad.batch_norm_momentum = f64::NAN;
    assert!(error(&bad, 2).starts_with("batch_norm_momentum NaN"));
    bad = settings("pspnet-resnet18");
    bad.weights = Weights::Digits;
    assert!(error(&bad, 2).contains("of the slim backbone, pspnet-resnet18 has another"));
}

/// Tensors by name in torchvision's spelling: shape and values.
type StateDict = Vec<(String, Vec<usize>, Vec<u8>)>;

fn state_dict(net: &ResNet) -> StateDict {
    net.collect(None, Some(Box::new(BurnToPyTorchAdapter)), true)
        .into_iter()
        .map(|tensor| {
            let bytes = tensor.to_bytes().expect("data").to_vec();
            (tensor.name.clone(), tensor.shape.to_vec(), bytes)
        })
        .collect()
}

/// Parameters of backbone and of everything of a network of each family.
fn families(weights: &Weights, seed: u64) -> [(StateDict, Vec<Vec<u8>>); 3] {
    fn all(net: &impl ModuleSnapshot) -> Vec<Vec<u8>> {
        let tensors = net.collect(None, None, true).into_iter();
        let bytes = tensors.map(|tensor| tensor.to_bytes().expect("data").to_vec());
        bytes.collect()
    }
    let device = Device::flex();
    let rng = &mut rng(seed);
    let segmentation = NetworkSettings {
        weights: weights.clone(),
        ..settings("pspnet-slim")
    };
    let detection = DetectionNetSettings {
        weights: weights.clone(),
        ..DetectionNetSettings::default()
    };
    let pose = PoseNetSettings {
        weights: weights.clone(),
        ..PoseNetSettings::default()
    };
    let segmentation = SegmentationNet::init(&segmentation, 3, rng, &device).expect("valid");
    let detection = DetectionNet::init(&detection, 3, rng, &device).expect("valid");
    let pose = PoseNet::init(&pose, 3, rng, &device).expect("valid");
    [
        (state_dict(segmentation.backbone()), all(&segmentation)),
        (state_dict(&detection.backbone), all(&detection)),
        (state_dict(&pose.backbone), all(&pose)),
    ]
}

#[test]
fn slim_backbones_start_from_the_embedded_weights() {
    let [first, second] = [1, 2].map(|seed| families(&Weights::Digits, seed));
    let random = families(&Weights::Random, 1);
    for family in 0..3 {
        assert!(first[family].0 == first[0].0 && first[family].0 == second[family].0);
        assert!(first[family].0 != random[family].0, "family {family}");
        // Heads are drawn from the seed.
        assert!(first[family].1 != second[family].1, "family {family}");
    }
    // A file of the same weights is the same, for it is how they were made.
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("slim.safetensors");
    let mut settings = settings("pspnet-slim");
    settings.weights = Weights::Digits;
    let net = SegmentationNet::init(&settings, 3, &mut rng(3), &Device::flex()).expect("valid");
    save_backbone(net.backbone(), &path).expect("written");
    let read = fs::read(&path).expect("readable");
    assert!(read == include_bytes!("../assets/backbone.safetensors"));
    assert!(families(&Weights::File(path), 1)[2].0 == first[2].0);
}

#[test]
fn weights_are_words_or_files() {
    for (text, weights) in [
        ("random", Weights::Random),
        ("digits", Weights::Digits),
        ("digits.pt", Weights::File("digits.pt".into())),
        ("a/b.safetensors", Weights::File("a/b.safetensors".into())),
    ] {
        assert_eq!(text.parse::<Weights>().expect("known"), weights);
        assert_eq!(weights.to_string(), text);
    }
    for text in ["", "Digits", "digit", "a/b.onnx"] {
        let error = text.parse::<Weights>().expect_err("unknown").to_string();
        let expected = format!("weights \"{text}\": expected \"random\", \"digits\" or a file");
        assert!(error.starts_with(&expected), "{error}");
    }
}

/// The safetensors format: length of the header, header, data.
fn write_safetensors(path: &Path, tensors: &StateDict) {
    let (mut header, mut start) = (Vec::new(), 0);
    for (name, shape, bytes) in tensors {
        let end = start + bytes.len();
        header.push(format!(
            r#""{name}":{{"dtype":"F32","shape":{shape:?},"data_offsets":[{start},{end}]}}"#
        ));
        start = end;
    }
    let header = format!("{{{}}}", header.join(","));
    let mut file = fs::File::create(path).expect("writable");
    let mut write = |bytes: &[u8]| file.write_all(bytes).expect("writable");
    write(&(header.len() as u64).to_le_bytes());
    write(header.as_bytes());
    tensors.iter().for_each(|(.., bytes)| write(bytes));
}

#[test]
fn torchvision_weights_load_by_name() {
    let device = Device::flex();
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("weights.safetensors");
    let config = tiny(BlockKind::Bottleneck, 16);
    let source = init::initialise(config.init(&device), &mut rng(5));
    let mut tensors = state_dict(&source);
    for (name, shape, bytes) in &mut tensors {
        if shape.len() == 1 {
            // Unlike what a fresh network holds, so that a tensor that is not
            // loaded shows.
            let value = (name.len() as f32 / 20.0).to_le_bytes();
            bytes
                .chunks_exact_mut(4)
                .for_each(|b| b.copy_from_slice(&value));
        }
    }
    let names: Vec<&str> = tensors.iter().map(|(name, ..)| name.as_str()).collect();
    for name in [
        "conv1.weight",
        "bn1.weight",
        "bn1.bias",
        "bn1.running_mean",
        "bn1.running_var",
        "layer1.0.conv1.weight",
        "layer1.0.downsample.0.weight",
        "layer1.0.downsample.1.running_var",
        "layer3.1.conv3.weight",
        "layer4.1.bn3.bias",
    ] {
        assert!(names.contains(&name), "{name} not in {names:?}");
    }
    let complete = tensors.clone();
    tensors.push(("fc.weight".into(), vec![2, 3], vec![0; 24]));
    tensors.push(("bn1.num_batches_tracked".into(), vec![1], vec![0; 4]));
    write_safetensors(&path, &tensors);

    let mut target = init::initialise(config.init(&device), &mut rng(6));
    weights::load(&mut target, &path).expect("loads");
    assert!(state_dict(&target) == complete);
}

#[test]
fn unfit_weights_are_named() {
    let device = Device::flex();
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("weights.safetensors");
    let config = tiny(BlockKind::Basic, 32);
    let mut net = init::initialise(config.init(&device), &mut rng(5));
    let tensors = state_dict(&net);
    let mut error = |tensors: &StateDict| {
        write_safetensors(&path, tensors);
        weights::load(&mut net, &path)
            .expect_err("refused")
            .to_string()
    };

    let mut missing = tensors.clone();
    missing.retain(|(name, ..)| name != "layer2.0.bn1.weight");
    let message = error(&missing);
    assert!(
        message.contains("1 of") && message.contains("`layer2.0.bn1.weight`"),
        "{message}"
    );

    let mut wrong = tensors.clone();
    for (name, shape, bytes) in &mut wrong {
        if name == "layer3.1.bn2.running_var" {
            *shape = vec![2];
            bytes.truncate(8);
        }
    }
    let message = error(&wrong);
    assert!(
        message.contains("`layer3.1.bn2.running_var`: expected shape [8], found [2]"),
        "{message}"
    );
}

#[test]
fn unreadable_weights_are_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut net = tiny(BlockKind::Basic, 32).init(&Device::flex());
    for (file, content, expected) in [
        ("a.safetensors", None, "cannot be read"),
        ("b.pth", None, "cannot be read"),
        ("c.safetensors", Some("no header"), "cannot be read"),
        ("d.pth", Some("no pickle"), "cannot be read"),
        (
            "e.onnx",
            Some(""),
            "expected \"random\", \"digits\" or a file",
        ),
    ] {
        let path = directory.path().join(file);
        if let Some(content) = content {
            fs::write(&path, content).expect("writable");
        }
        let message = weights::load(&mut net, &path)
            .expect_err("refused")
            .to_string();
        assert!(
            message.contains(file) && message.contains(expected),
            "{message}"
        );
    }
}
