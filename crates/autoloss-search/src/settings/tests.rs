//! Settings from text: the defaults, the way through text, and mistakes.

use std::collections::BTreeSet;

use autoloss_expr::Operator;

use super::*;

fn error(text: &str) -> String {
    Settings::from_toml(text).unwrap_err().to_string()
}

#[test]
fn keys_left_out_keep_their_defaults() {
    let given = Settings::from_toml("[search]\nseed = 1").unwrap();
    let mut expected = Settings::default();
    assert_ne!(given, expected);
    expected.search.seed = 1;
    assert_eq!(given, expected);
    let named = Settings::default().search.operators().unwrap();
    assert_eq!(named, Operator::default_set().collect::<Vec<_>>());
}

#[test]
fn every_key_is_in_default_toml_with_a_comment() {
    let mut all = Settings::default();
    all.search.evaluations = Some(1);
    all.search.time = Some(1.0);
    all.search.trial_time = Some(1.0);
    let branch = ("rpn_box".to_owned(), String::new());
    all.search.fixed.extend([branch]);
    let key_of = |line: &str| -> Option<String> {
        let (key, _) = line.split_once(" = ")?;
        let is_key = key.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        is_key.then(|| key.to_owned())
    };
    let keys: BTreeSet<String> = all.to_toml().lines().filter_map(key_of).collect();
    let lines: Vec<&str> = Settings::DEFAULT_TOML.lines().collect();
    let mut told = BTreeSet::new();
    for (number, line) in lines.iter().enumerate() {
        // Keys without a default are in the file as comments.
        if let Some(key) = key_of(line.strip_prefix("# ").unwrap_or(line)) {
            assert!(lines[number - 1].starts_with("# "), "{key} has no comment");
            told.insert(key);
        }
    }
    assert_eq!(told, keys);
}

#[test]
fn other_strategies_than_evolution_choose_only_where_they_are_told_to() {
    let choices = |text: &str| Settings::from_toml(text).unwrap().search.choices;
    assert_eq!(choices(""), 100);
    assert_eq!(choices("[search]\nstrategy = \"evolution\""), 100);
    for strategy in ["random", "cse", "asl"] {
        let told = format!("[search]\nstrategy = \"{strategy}\"\n");
        assert_eq!(choices(&told), 1, "{strategy}");
        let told = format!("{told}choices = 30");
        match strategy {
            "asl" => assert!(error(&told).contains("`search.choices` is 30, expected 1 with")),
            _ => assert_eq!(choices(&told), 30, "{strategy}"),
        }
    }
}

#[test]
fn settings_survive_the_way_through_text() {
    let mut settings = Settings::default();
    settings.search.time = Some(0.1 + 0.2);
    settings.search.operators = vec!["sin".to_owned()];
    settings.screening.threshold = -0.25;
    assert_eq!(Settings::from_toml(&settings.to_toml()).unwrap(), settings);
}

#[test]
fn mistakes_are_named() {
    assert!(error("[search]\nworker = 1").contains("worker"));
    assert!(error("[search]\nseed = -1").contains("seed"));
    assert!(error("strategy = 1").contains("strategy"));
    assert_eq!(
        error("[search]\noperators = [\"add\", \"sqr\"]"),
        "settings: `search.operators` names `sqr`, which is no operator; did you mean `sqrt`?"
    );
    for (text, key) in [
        ("[search]\noperators = []", "search.operators"),
        ("[search]\ninitial = 3000", "search.initial"),
        ("[search]\ninitial = 0", "search.initial"),
        ("[search]\npopulation = 0", "search.population"),
        ("[search]\ncopy = 1.5", "search.copy"),
        ("[search]\ntournament = nan", "search.tournament"),
        ("[search]\nrestart = -0.1", "search.restart"),
        ("[search]\ndepth = 0", "search.depth"),
        ("[search]\ndepth = 8", "search.depth"),
        ("[search]\nevaluations = 0", "search.evaluations"),
        ("[search]\ntime = 0.0", "search.time"),
        ("[search]\nmax_draws = 0", "search.max_draws"),
        ("[search]\nfinal_seeds = 1001", "search.final_seeds"),
        ("[search]\nfinalist_seeds = 1001", "search.finalist_seeds"),
        ("[screening]\nthreshold = 1.01", "screening.threshold"),
        ("[screening]\nthreshold = nan", "screening.threshold"),
        ("[screening]\nsamples = 0", "screening.samples"),
        ("[screening]\nsteps = 0", "screening.steps"),
        ("[screening]\nstep_size = 0.0", "screening.step_size"),
        ("[screening]\nearly_share = 1.5", "screening.early_share"),
        ("[screening]\nearly_gain = -1", "screening.early_gain"),
    ] {
        let message = error(text);
        assert!(message.contains(&format!("`{key}`")), "{text}: {message}");
        assert!(message.contains("expected"), "{message}");
    }
    assert!(Settings::from_toml("[screening]\nthreshold = 1.0").is_ok());
}
