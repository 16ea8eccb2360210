//! Panels on the toy task.

use std::collections::HashSet;

use super::*;
use crate::equivalence::Key;
use crate::screening::{Judgement, Scratch, Screener};
use crate::toy::Toy;

fn settings() -> Settings {
    Settings::from_toml(
        "[search]\nworkers = 2\n[screening]\nsteps = 60\nstep_size = 0.05\nthreshold = 0.3\nsamples = 3",
    )
    .unwrap()
}

fn made(settings: &Settings, size: usize, seed: u64, given: &[&str]) -> Vec<PanelLoss> {
    let toy = Toy::new();
    let given = given.iter().map(|text| {
        let loss = crate::parse_loss(&toy, text).unwrap();
        ((*text).to_owned(), loss)
    });
    let given = given.collect();
    let interrupt = Interrupt::default();
    panel(
        &toy,
        settings,
        (size, seed),
        given,
        &interrupt,
        &mut |_, _| (),
    )
    .unwrap()
}

fn named(panel: &[PanelLoss], kind: PanelKind) -> Vec<&str> {
    let of = panel.iter().filter(|loss| loss.kind == kind);
    of.map(|loss| loss.name.as_str()).collect()
}

#[test]
fn a_panel_has_given_hand_written_and_random_losses() {
    let panel = made(
        &settings(),
        24,
        0,
        &["exp(1 - y * yhat)", "square(yhat - y)"],
    );
    assert_eq!(panel.len(), 26);
    assert_eq!(
        named(&panel, PanelKind::Given),
        ["exp(1 - y * yhat)", "square(yhat - y)"]
    );
    let hand_written = named(&panel, PanelKind::HandWritten);
    for name in ["cross entropy", "dice", "focal", "lovasz_softmax", "ssim"] {
        assert!(hand_written.contains(&name), "{name}: {hand_written:?}");
    }
    // The same formula as a given one, as a baseline, of numbers, of boxes, with an input that there is
    // not.
    for name in [
        "squared error",
        "cross_entropy",
        "mse",
        "giou",
        "cse_a_class",
    ] {
        assert!(!hand_written.contains(&name), "{name}: {hand_written:?}");
    }
    let formulas: HashSet<String> = panel.iter().map(|loss| loss.loss.to_string()).collect();
    assert_eq!(formulas.len(), panel.len());
}

#[test]
fn random_losses_pass_screening_and_repeat() {
    let settings = settings();
    let small = made(&settings, 24, 5, &[]);
    let random = |panel: &[PanelLoss]| -> Vec<PanelLoss> {
        let of = panel.iter().filter(|loss| loss.kind == PanelKind::Random);
        of.cloned().collect()
    };
    let few = random(&small);
    assert!(few.len() >= 8, "{}", few.len());
    let mut one_worker = settings.clone();
    one_worker.search.workers = 1;
    let more = random(&made(&one_worker, 30, 5, &[]));
    assert_eq!(few, more[..few.len()]);
    assert_ne!(few, random(&made(&settings, 24, 6, &[])));
    let screener = Screener::new(&Toy::new(), &settings).unwrap();
    let mut keys = HashSet::new();
    for loss in few {
        let verdict = screener.screen(&loss.loss, &mut Scratch::default());
        assert_eq!(verdict.judgement, Judgement::Passed, "{}", loss.loss);
        assert!(keys.insert(Key::new(&verdict.norms)), "{}", loss.loss);
    }
}

#[test]
fn an_interrupt_ends_the_drawing() {
    let interrupt = Interrupt::default();
    interrupt.set();
    let made = panel(
        &Toy::new(),
        &settings(),
        (24, 0),
        Vec::new(),
        &interrupt,
        &mut |_, _| (),
    );
    assert!(matches!(made, Err(SearchError::Interrupted)), "{made:?}");
}
