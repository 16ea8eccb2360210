//! Any bytes, and any number of threads.

use proptest::prelude::*;

use super::*;

/// The texts of the recorded cases.
fn recorded_texts() -> Vec<(String, String)> {
    let cases = RECORDED
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    cases
        .map(|case| (text(&case["target"]), text(&case["results"])))
        .collect()
}

#[test]
fn numbers_do_not_depend_on_the_number_of_threads() {
    for (target, results) in recorded_texts() {
        for kind in KINDS {
            let on = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new()
                    .num_threads(threads)
                    .build()
                    .unwrap();
                let scored = pool.install(|| score(target.as_bytes(), results.as_bytes(), kind));
                scored
                    .map(|summary| values(&summary))
                    .map_err(|error| error.to_string())
            };
            // As text: an error may hold a number that is not equal to itself.
            assert_eq!(format!("{:?}", on(1)), format!("{:?}", on(3)));
        }
    }
}

/// Changes of a text: a place as a share of its length, bytes to remove, bytes to insert.
fn changes() -> impl Strategy<Value = Vec<(f64, usize, Vec<u8>)>> {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..3),
        prop::sample::select(vec![
            "null",
            "[",
            "]",
            "{",
            "}",
            "-",
            "1e999",
            "NaN",
            "0",
            ",",
            "\"",
            "\\u0000",
            "4294967296",
            "[]",
            "-1",
            "9223372036854775808",
            "true",
            "\"counts\":\"",
            "\"bbox\":[],",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
    ];
    prop::collection::vec((0.0..1.0, 0..6_usize, piece), 1..4)
}

fn changed(text: &str, changes: &[(f64, usize, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for (share, removed, inserted) in changes {
        let start = (share * bytes.len() as f64) as usize;
        let end = (start + removed).min(bytes.len());
        bytes.splice(start..end, inserted.iter().copied());
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        for kind in KINDS {
            let _ = Annotations::from_json(&bytes, kind);
            let annotations = Annotations { kind, ..annotations(Vec::new()) };
            let _ = Results::from_json(&bytes, &annotations);
        }
    }

    #[test]
    fn changed_files_are_scored_or_refused(
        case in any::<prop::sample::Index>(),
        target_changes in changes(),
        results_changes in changes(),
    ) {
        let texts = recorded_texts();
        let (target, results) = case.get(&texts);
        for kind in KINDS {
            let _ = score(&changed(target, &target_changes), results.as_bytes(), kind);
            if let Ok(summary) = score(target.as_bytes(), &changed(results, &results_changes), kind) {
                for value in values(&summary) {
                    prop_assert!(value == -1.0 || (0.0..=1.0).contains(&value));
                }
            }
        }
    }
}
