use super::*;
use crate::toy::Toy;

fn quick() -> Settings {
    let mut settings = Settings::default();
    settings.screening.steps = 40;
    settings.screening.step_size = 0.05;
    settings.screening.early_share = 0.0;
    settings
}

fn screen(settings: &Settings, what: RandomScreening) -> ScreenReport {
    screen_random(&Toy::new(), settings, what, &Interrupt::default(), &|_| {}).unwrap()
}

const SOME: RandomScreening = RandomScreening {
    count: 1500,
    seed: 3,
    workers: 2,
    procedure: Procedure::Fast,
};

#[test]
fn the_counts_do_not_depend_on_the_number_of_workers() {
    let run = |workers, seed| {
        let what = RandomScreening {
            workers,
            seed,
            ..SOME
        };
        let mut report = screen(&quick(), what);
        assert_eq!(report.stages.structural.count, 1500);
        assert!(report.per_minute() > 0.0);
        report.seconds = 0.0;
        for stage in [
            &mut report.stages.structural,
            &mut report.stages.cached,
            &mut report.stages.gradient,
            &mut report.stages.equivalent,
            &mut report.stages.optimised,
        ] {
            stage.seconds = 0.0;
        }
        report
    };
    let one = run(1, 3);
    assert_eq!(one, run(4, 3));
    assert_ne!(one, run(1, 4));
    assert_eq!(
        one.drawn,
        one.structural + one.invalid + one.rejected + one.passed
    );
    assert!(one.passed > 0 && one.best.len() as u64 == one.passed);
    assert!(one.structural > 1200, "{one:?}");
    // Every candidate is decided in one stage.
    let decided: u64 = one.stages.named().iter().map(|(_, s)| s.decided).sum();
    assert_eq!(decided, one.drawn);
}

#[test]
fn fast_and_exact_verdicts_agree() {
    let mut settings = quick();
    settings.screening.samples = 2;
    let what = |procedure| RandomScreening {
        seed: 5,
        procedure,
        ..SOME
    };
    let exact = screen(&settings, what(Procedure::Exact));
    let both = screen(&settings, what(Procedure::Compare));
    let agreement = both.agreement.unwrap();
    assert_eq!(agreement.candidates, 1500);
    assert_eq!(agreement.exact_passed, exact.passed);
    assert!(exact.passed > 5, "{exact:?}");
    assert!(agreement.disagreements.len() <= 2, "{agreement:?}");
    // The comparison can find something.
    settings.screening.early_share = 0.05;
    settings.screening.early_gain = 1.0;
    let hasty = screen(&settings, what(Procedure::Compare));
    let agreement = hasty.agreement.unwrap();
    assert!(agreement.lost() > 0);
    assert_eq!(agreement.lost_by_shortcuts(), agreement.lost());
    let first = &agreement.disagreements[0];
    assert_eq!(first.fast, Judgement::Rejected);
    assert!((first.fast_g.unwrap() - first.exact_g.unwrap()).abs() < 0.05);
}

#[test]
fn an_interrupt_ends_it() {
    let interrupt = Interrupt::default();
    let stop = |n: u64| {
        if n == 10 {
            interrupt.set();
        }
    };
    let what = RandomScreening {
        count: 1 << 40,
        ..SOME
    };
    let report = screen_random(&Toy::new(), &Settings::default(), what, &interrupt, &stop);
    assert!(report.unwrap().drawn >= 10);
}
