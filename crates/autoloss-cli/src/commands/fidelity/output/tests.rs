use super::super::page::{page, plot};
use super::*;
use autoloss_expr::{Loss, Tree};
use autoloss_search::fidelity::{PanelKind, PanelLoss};
use autoloss_search::{Ended, FailedTraining, Training};

fn training(name: &str, seed: u64, score: f64, seconds: f64) -> Ended {
    Ok(Training {
        name: name.to_owned(),
        formula: String::new(),
        seed,
        set: EvaluationSet::Search,
        score,
        seconds,
        note: None,
        curve: Vec::new(),
        metrics: vec![("miou".to_owned(), score), ("bf1".to_owned(), score / 2.0)],
        pictures: Vec::new(),
    })
}

/// Ten losses with one proxy training and two full ones each; the third best by the proxy is the best in
/// full training, and one full training of the last one failed, both of the first.
fn report() -> FidelityReport {
    let name = |n: u32| format!("loss {n}");
    let panel: Vec<PanelLoss> = (0..10)
        .map(|n| PanelLoss {
            name: name(n),
            loss: Loss::single(
                "s",
                Tree::parse(&format!("{n} * yhat - y"), &["yhat", "y"]).unwrap(),
            ),
            kind: match n {
                0..6 => PanelKind::HandWritten,
                9 => PanelKind::Given,
                _ => PanelKind::Random,
            },
        })
        .collect();
    let score = |n: u32| f64::from(n) / 20.0;
    let proxy: Vec<Ended> = (0..10)
        .map(|n| training(&name(n), 1, score(n), 3.0))
        .collect();
    let mut full = Vec::new();
    for n in 0..10 {
        let score = if n == 7 { 0.6 } else { score(n) };
        for (seed, more) in [(2, 0.0), (3, 0.02)] {
            full.push(training(&name(n), seed, score + more, 30.0));
        }
    }
    for (place, seed) in [(0, 2), (1, 3), (19, 3)] {
        full[place] = Err(FailedTraining {
            name: name(if place < 2 { 0 } else { 9 }),
            formula: String::new(),
            seed,
            message: "out of memory".to_owned(),
            seconds: 0.5,
        });
    }
    FidelityReport::new(&panel, &proxy, &full, 0)
}

fn settings() -> TaskSettings {
    let changes = "metric = \"miou\"\n[training]\nsteps = 240\nbatch = 8\n[network]\nname = \"pspnet-slim\"\n\
                   [full.training]\nsteps = 2400\nbatch = 8\n[full.network]\nname = \"pspnet-slim\"";
    TaskSettings::from_table(&toml::from_str(changes).unwrap()).unwrap()
}

fn with_measured(check: impl FnOnce(&MeasuredFidelity<'_>)) {
    let (report, settings) = (report(), settings());
    check(&MeasuredFidelity {
        task: ("digits", "miou"),
        settings: Some(&settings),
        fidelity: report.fidelity().unwrap(),
        by_metric: report.by_metric("miou"),
        report: &report,
        seeds: (1, 2),
    });
}

#[test]
fn the_table_and_the_figures_are_for_people() {
    with_measured(|measured| insta::assert_snapshot!(as_text(measured)));
}

#[test]
fn the_json_has_the_contracts_keys() {
    with_measured(|measured| {
        let json = as_json(measured);
        for key in [
            "spearman",
            "kendall",
            "regret",
            "cost_ratio",
            "proxy_seconds",
            "full_seconds",
        ] {
            assert!(json[key].is_number(), "{key}: {json:#}");
        }
        assert_eq!(
            (json["cost_ratio"].as_f64(), json["regret"].as_f64()),
            (Some(10.0), Some(0.0))
        );
        assert_eq!(json["evaluations_per_minute"], 20.0);
        let losses = json["losses"].as_array().unwrap();
        assert_eq!(losses.len(), 10);
        assert_eq!(losses[0]["name"], "loss 7");
        assert_eq!(losses[0]["loss"], "7 * yhat - y");
        assert_eq!(losses[0]["proxy"], 0.35);
        assert_eq!(losses[0]["full"], 0.61);
        assert_eq!(losses[0]["full_trainings"][1]["seed"], 3);
        assert!(
            losses[9]["full"].is_null()
                && losses[9]["full_failed"][1]["message"] == "out of memory"
        );
        assert_eq!(json["proxy"]["updates"], 240);
        assert_eq!(json["full"]["set"], "validation");
        assert!(
            json["metrics"]["bf1"]["spearman"].is_number() && json["metrics"]["miou"].is_null()
        );
    });
}

#[test]
fn every_loss_with_both_scores_is_a_dot_with_a_title() {
    with_measured(|measured| {
        let page = page(measured);
        assert_eq!(page.matches("<circle").count(), 9);
        assert!(
            page.contains("<title>loss 7: 0.3500 by the proxy, 0.6100 in full training</title>")
        );
        assert!(
            page.contains("<td>loss 0</td>") && page.contains("failed") && !page.contains("NaN")
        );
        let svg = plot(measured).file();
        assert!(svg.starts_with("<svg xmlns") && svg.matches("<circle").count() == 9);
        // Eight losses have two full trainings.
        let bars = svg.split("class=\"s4\" d=\"").nth(1).unwrap();
        assert_eq!(bars[..bars.find('"').unwrap()].matches('M').count(), 8);
    });
}
