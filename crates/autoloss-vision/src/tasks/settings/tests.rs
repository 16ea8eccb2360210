//! Settings of a task from a user's changes, and mistakes in them.

use autoloss_nets::Weights;

use super::*;

fn changed(text: &str) -> Result<TaskSettings, TaskSettingsError> {
    TaskSettings::from_table(&toml::from_str(text).unwrap())
}

#[test]
fn presets_are_settings() {
    for task in TaskName::ALL {
        let settings = TaskSettings::from_whole(task, task.preset()).unwrap();
        assert_eq!(settings.name(), task);
    }
}

#[test]
fn a_users_settings_change_single_keys() {
    for task in TaskName::ALL {
        let data = if task.is_embedded() {
            ""
        } else {
            "data = \"d\"\n"
        };
        let text = format!("name = \"{task}\"\n{data}[training]\nsteps = 7");
        let got = changed(&text).unwrap();
        assert_eq!((got.name(), got.training(Schedule::Proxy).steps), (task, 7));
        assert_eq!(changed(&got.to_toml()).unwrap(), got);
    }
    let got = changed("metric = \"bf1\"").unwrap();
    assert_eq!((got.name(), got.metric()), (TaskName::Digits, "bf1"));
}

#[test]
fn full_training_changes_some_settings_and_shares_the_others() {
    let steps = |settings: &TaskSettings| {
        [Schedule::Proxy, Schedule::Full].map(|schedule| settings.training(schedule).steps)
    };
    let preset = changed("").unwrap();
    let [proxy, full] = steps(&preset);
    assert!(full >= 2 * proxy, "{proxy} and {full} updates");
    let got = changed("metric = \"bf1\"\n[training]\nsteps = 3\nlearning_rate = 0.5").unwrap();
    assert_eq!(steps(&got), [3, full]);
    assert_eq!(got.training(Schedule::Full).learning_rate, 0.5);
    let text = "[training]\nsteps = 3\n[full]\nval_images = 7\n[full.training]\nsteps = 30";
    let got = changed(text).unwrap();
    assert_eq!(steps(&got), [3, 30]);
    let images = |schedule| match got.of(schedule) {
        FamilySettings::Segmentation(settings) => settings.val_images,
        _ => unreachable!(),
    };
    assert_eq!((images(Schedule::Proxy), images(Schedule::Full)), (0, 7));
    assert_eq!(changed(&got.to_toml()).unwrap(), got);
    // A value like the proxy's own stays a setting of full training.
    let same = changed(&format!("[full.training]\nsteps = {proxy}")).unwrap();
    assert_eq!(changed(&same.to_toml()).unwrap(), same);
    assert_eq!(steps(&changed(&same.to_toml()).unwrap()), [proxy, proxy]);
    // Paths that are made absolute are written as they are then.
    let text = "[full.network]\nname = \"pspnet-resnet18\"\nweights = \"w.pth\"";
    let mut moved = changed(text).unwrap();
    for path in moved.paths() {
        *path = std::path::Path::new("/home/me").join(&path);
    }
    assert!(
        moved.to_toml().contains("weights = \"/home/me/w.pth\""),
        "{}",
        moved.to_toml()
    );
}

#[test]
fn full_training_that_cannot_be_is_named() {
    let error = |text: &str| changed(text).unwrap_err().to_string();
    let short = error("[training]\nsteps = 100\nbatch = 8\n[full.training]\nsteps = 99");
    assert!(
        short.contains("fewer than the 100 updates") && short.contains("to at least 100"),
        "{short}"
    );
    // As many examples in larger batches are no shorter.
    assert!(
        changed("[training]\nsteps = 100\nbatch = 8\n[full.training]\nsteps = 50\nbatch = 16")
            .is_ok()
    );
    assert!(error("[full]\nmetric = \"bf1\"").contains("task.full.metric: full training shares"));
    assert!(error("full = 3").contains("task.full: expected a table"));
    assert!(error("[full.training]\nstep = 3").contains("step"));
    assert!(error("[full.training]\nbatch = 1").contains("in full training: task.training.batch"));
}

#[test]
fn weights_of_a_preset_go_with_its_backbone() {
    let weights = |text: &str, schedule| {
        let mut settings = changed(text).unwrap();
        let again = changed(&settings.to_toml()).unwrap();
        assert_eq!(again, settings, "{text}");
        // Words are no paths, which a run makes absolute.
        let paths = settings.paths().count();
        let FamilySettings::Segmentation(settings) = settings.of(schedule) else {
            panic!("digits are segmented")
        };
        (settings.network.weights.clone(), paths)
    };
    let file = Weights::File("a/b.pth".into());
    for (text, expected) in [
        ("", Weights::Digits),
        ("name = \"deeplabv3plus-slim\"", Weights::Digits),
        ("name = \"pspnet-resnet18\"", Weights::Random),
        ("weights = \"random\"", Weights::Random),
        ("weights = \"a/b.pth\"", file.clone()),
        ("name = \"pspnet-resnet18\"\nweights = \"a/b.pth\"", file),
    ] {
        let is_file = usize::from(matches!(expected, Weights::File(_)));
        let of_both = weights(&format!("[network]\n{text}"), Schedule::Proxy);
        assert_eq!(of_both, (expected.clone(), 2 * is_file), "{text}");
        let of_full = weights(&format!("[full.network]\n{text}"), Schedule::Full);
        assert_eq!(of_full, (expected, is_file), "{text}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    let error = |text: &str| changed(text).unwrap_err().to_string();
    assert!(error("name = \"digit\"").contains("did you mean `digits`?"));
    assert!(error("name = \"voc\"").contains("--data DIR"));
    assert!(error("data = \"x\"").contains("add --task voc or --task cityscapes"));
    assert!(error("metrik = \"miou\"").contains("metrik"));
    assert!(error("[training]\nsteps = 0").contains("task.training.steps is 0"));
    assert!(error("[training]\nlearning_rate = -1.0").contains("learning_rate is -1"));
    assert!(error("[training]\nsteps = \"x\"").contains("steps"));
    assert!(error("[training]\ncrop = 0").contains("task.training.crop is 0"));
    let weights = error("[network]\nweights = \"digit\"");
    assert!(
        weights.contains("weights \"digit\": expected \"random\", \"digits\" or a file"),
        "{weights}"
    );
}
