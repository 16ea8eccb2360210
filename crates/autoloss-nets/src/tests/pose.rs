//! Pose networks.

use super::*;

pub(super) fn pose(name: &str) -> PoseNetSettings {
    PoseNetSettings {
        name: name.parse().expect("a known name"),
        ..PoseNetSettings::default()
    }
}

#[test]
fn parameter_counts_are_those_of_the_paper() {
    // Xiao et al. 2018, table 2: 34.0 million for ResNet-50, 53.0 for
    // ResNet-101.
    for (name, backbone, expected) in [
        ("simplebaseline-resnet50", 23_508_032, 33_999_697),
        ("simplebaseline-resnet101", 42_500_160, 52_991_825),
    ] {
        let kernels = (2048 + 256 + 256) * 256 * 4 * 4;
        let head = kernels + 3 * 2 * 256 + 256 * 17 + 17;
        assert_eq!(backbone + head, expected);
        let config = pose(name).config(17).expect("valid");
        assert_eq!(config.init(&Device::flex()).parameter_count(), expected);
    }
}

#[test]
fn heatmaps_have_the_stated_size() {
    for device in [Device::flex(), Device::flex().autodiff()] {
        for (name, stride) in [("simplebaseline-slim", 4), ("simplebaseline-resnet18", 4)] {
            let net = PoseNet::init(&pose(name), 17, &mut rng(1), &device).expect("valid");
            assert_eq!(net.stride(), stride);
            let heatmaps = net.forward(images([2, 3, 64, 32], &device));
            assert_eq!(heatmaps.dims(), [2, 17, 64 / stride, 32 / stride]);
            assert!(values(heatmaps).iter().all(|x| x.is_finite()));
        }
    }
}

#[test]
fn training_draws_a_bright_spot() {
    let device = Device::flex().autodiff();
    let train = || {
        let mut net =
            PoseNet::init(&PoseNetSettings::default(), 17, &mut rng(2), &device).expect("valid");
        let mut optimiser = AdamConfig::new().init();
        let x = images([4, 3, 32, 32], &device);
        let mut target = vec![0.0f32; 17 * 8 * 8];
        for (keypoint, map) in target.chunks_exact_mut(64).enumerate() {
            map[keypoint * 3] = 1.0;
        }
        let target = Tensor::<4>::from_data(TensorData::new(target, [1, 17, 8, 8]), &device);
        let mut loss_values = Vec::new();
        for _ in 0..12 {
            let error = net.forward(x.clone()) - target.clone();
            let loss = (error.clone() * error).sum();
            loss_values.push(loss.clone().into_scalar::<f32>());
            let gradients = GradientsParams::from_grads(loss.backward(), &net);
            net = optimiser.step(3e-3, net, gradients);
        }
        loss_values
    };
    let loss_values = train();
    assert!(loss_values[11] < 0.95 * loss_values[0], "{loss_values:?}");
    assert_eq!(loss_values, train());
}

#[test]
fn settings_of_pose_are_read_and_checked() {
    for name in PoseName::all() {
        assert_eq!(name.to_string().parse::<PoseName>().expect("known"), name);
    }
    let unknown = "simplebaseline-50".parse::<PoseName>();
    let message = unknown.expect_err("unknown").to_string();
    assert!(
        message.contains("did you mean `simplebaseline-"),
        "{message}"
    );
    let error = |settings: PoseNetSettings| {
        let net = PoseNet::init(&settings, 17, &mut rng(0), &Device::flex());
        net.expect_err("refused").to_string()
    };
    let mut bad = pose("simplebaseline-slim");
    bad.batch_norm_momentum = -0.1;
    assert!(error(bad).starts_with("batch_norm_momentum -0.1"));
    bad = pose("simplebaseline-resnet18");
    bad.weights = Weights::Digits;
    assert!(error(bad).contains("of the slim backbone, simplebaseline-resnet18 has another"));
}
