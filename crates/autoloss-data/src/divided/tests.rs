//! Tests of [`super`].

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::testing::message;

fn hold_out(share: f64, most: usize, seed: u64) -> HoldOut {
    HoldOut { share, most, seed }
}

/// Number of examples of a part with each class.
fn counts(part: &[usize], classes: &[Vec<usize>]) -> Vec<usize> {
    let mut counts = vec![0; 8];
    for class in part.iter().flat_map(|i| &classes[*i]) {
        counts[*class] += 1;
    }
    counts
}

fn examples() -> impl Strategy<Value = Vec<Vec<usize>>> {
    let example = prop::collection::btree_set(0usize..8, 0..4);
    let example = example.prop_map(|classes: BTreeSet<usize>| classes.into_iter().collect());
    prop::collection::vec(example, 2..60)
}

proptest! {
    #[test]
    fn every_example_is_in_one_part(
        classes in examples(), share in 0.01f64..0.99, most in 0usize..9, seed in any::<u64>(),
    ) {
        let hold_out = hold_out(share, most, seed);
        let division = Division::new(&classes, hold_out).unwrap();
        prop_assert_eq!(&division, &Division::new(&classes, hold_out).unwrap());
        let mut all = [&division.train[..], &division.search[..]].concat();
        all.sort_unstable();
        prop_assert_eq!(all, (0..classes.len()).collect::<Vec<_>>());
        prop_assert!(!division.train.is_empty() && !division.search.is_empty());
        prop_assert!(most == 0 || division.search.len() <= most);
    }

    #[test]
    fn a_class_that_occurs_twice_occurs_in_both_parts_where_that_is_possible(
        classes in examples(), share in 0.01f64..0.99, seed in any::<u64>(),
    ) {
        let division = Division::new(&classes, hold_out(share, 0, seed)).unwrap();
        let all = [&division.train[..], &division.search[..]].concat();
        let total = counts(&all, &classes);
        let (train, search) = (counts(&division.train, &classes), counts(&division.search, &classes));
        for class in (0..8).filter(|class| total[*class] >= 2) {
            // An example that could be held out without another class's being lost to training.
            let spare = |i: &&usize| {
                classes[**i].contains(&class) && classes[**i].iter().all(|c| train[*c] >= 2)
            };
            let spare = division.train.iter().find(spare);
            prop_assert!(search[class] > 0 || spare.is_none(), "{} of {:?}", class, division);
            // Only a search set that would else be empty takes the last example of a class.
            prop_assert!(train[class] > 0 || division.search.len() == 1);
        }
    }

    #[test]
    fn large_data_are_divided_by_share(
        share in 0.1f64..0.5, rare in 10usize..40, seed in any::<u64>(),
    ) {
        // Class 0 everywhere, class 1 in some.
        let of = |i: usize| if i < rare { vec![0, 1] } else { vec![0] };
        let classes: Vec<Vec<usize>> = (0..400).map(of).collect();
        let division = Division::new(&classes, hold_out(share, 0, seed)).unwrap();
        let close = |count: usize, of: usize| (count as f64 - share * of as f64).abs() <= 1.5;
        prop_assert!(close(division.search.len(), 400));
        let [_, found] = counts(&division.search, &classes)[..2] else { panic!() };
        prop_assert!(found as f64 >= share * rare as f64 - 1.5, "{found} of {rare}");
    }
}

#[test]
fn another_seed_holds_out_others_and_the_largest_number_bounds_them() {
    let classes = vec![vec![0]; 200];
    let search = |most, seed| {
        Division::new(&classes, hold_out(0.2, most, seed))
            .unwrap()
            .search
    };
    assert_eq!((search(0, 0).len(), search(15, 0).len()), (40, 15));
    assert_ne!(search(15, 0), search(15, 1));
}

#[test]
fn shares_that_leave_a_part_empty_are_refused() {
    for share in [0.0, 1.0, -0.1, f64::NAN] {
        let said = hold_out(share, 0, 0).check().unwrap_err();
        assert!(said.contains("expected a share above 0 and below 1"));
    }
    for len in [0, 1] {
        let said = message(Division::new(&vec![vec![0]; len], hold_out(0.5, 0, 0)));
        assert!(said.contains("training examples found, expected at least 2"));
    }
}

#[test]
fn classes_that_a_part_lacks_are_named() {
    let names = ["road", "car", "dog"].map(str::to_owned);
    let warnings = |classes: &[Vec<usize>], most| {
        let division = Division::new(classes, hold_out(0.4, most, 0)).unwrap();
        division.warnings(classes, &names)
    };
    assert!(warnings(&[vec![0, 1], vec![0, 1], vec![0], vec![0]], 0).is_empty());
    let said = warnings(&[vec![0, 1, 2], vec![0, 1], vec![0, 1], vec![0]], 0);
    assert_eq!(said.len(), 1);
    assert!(said[0].contains("the search set (2 of 4 training examples) has no example of `dog`"));
    // Each example is the only one of its class: one of them is held out all the same.
    let said = warnings(&[vec![0], vec![1]], 0);
    assert!(
        said.len() == 2 && said[1].contains("the training set (1 of 2"),
        "{said:?}"
    );
}
