//! The page of a small run.

use autoloss_report::html;
use autoloss_search::toy::Toy;
use autoloss_search::{Interrupt, NewRun, Recorder, Settings, Store, run};

#[test]
fn a_run_is_one_page_with_a_section_for_each_question() {
    let task = Toy::new();
    let settings =
        "[search]\nevaluations = 6\nworkers = 1\n[screening]\nsteps = 60\nstep_size = 0.05";
    let settings = Settings::from_toml(settings).unwrap();
    let about = NewRun::of(&task, &settings);
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("run");
    let mut recorder = Recorder::create(&dir, &about).unwrap();
    let empty = html(recorder.store()).unwrap();
    assert!(empty.contains("There is no final comparison yet"));
    assert!(!empty.contains("Best losses"));

    run(&task, &mut recorder, &Interrupt::default(), &mut |_| ()).unwrap();
    let page = html(&Store::open(&dir).unwrap()).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
    for heading in [
        "Is it better?",
        "Best losses",
        "The search",
        "Operators",
        "Settings",
    ] {
        assert!(page.contains(&format!("<h2>{heading}</h2>")), "{heading}");
    }
    let best = Store::open(&dir).unwrap().best().unwrap().unwrap();
    assert!(page.contains(&format!("<h3>#{} ", best.id)));
    // Nothing is loaded from elsewhere.
    assert!(!page.contains("http://") && !page.contains("https://"));
}
