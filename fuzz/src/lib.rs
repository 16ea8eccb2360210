//! What the fuzz targets do with their bytes: whatever these are, they are read or refused, and what
//! was read keeps its promises.

use autoloss_expr::{Loss, ParseError, Tree};
use autoloss_metrics::coco::{Annotations, Kind, Mask, Results, evaluate};
use autoloss_search::{Settings, SettingsError, key_value, parse_toml, set_key};

const KINDS: [Kind; 3] = [Kind::Box, Kind::Mask, Kind::Keypoints];

/// An annotation file, polygons and masks in it included.
pub fn annotations(data: &[u8]) {
    for kind in KINDS {
        if let Ok(annotations) = Annotations::from_json(data, kind) {
            score(&annotations, &Results::default());
        }
    }
}

/// An annotation file and, after a byte of 0, a result file for it.
pub fn results(data: &[u8]) {
    let (target, results) = halves(data);
    for kind in KINDS {
        let Ok(annotations) = Annotations::from_json(target, kind) else {
            continue;
        };
        if let Ok(results) = Results::from_json(results, &annotations) {
            score(&annotations, &results);
        }
    }
}

fn score(annotations: &Annotations, results: &Results) {
    let summary = evaluate(annotations, results).expect("files that were read can be compared");
    for (row, value) in summary.rows() {
        assert!(
            value == -1.0 || (0.0..=1.0).contains(&value),
            "{} is {value}",
            row.name()
        );
    }
}

/// The most pixels that are drawn one by one.
const FEW_PIXELS: u32 = 1 << 14;

/// Two compressed masks, a byte of 0 between them, after their height and width.
pub fn masks(data: &[u8]) {
    let Some((height, width, texts)) = size(data) else {
        return;
    };
    let (first, second) = halves(texts);
    let read = |text: &[u8]| {
        let text = std::str::from_utf8(text).ok()?;
        Mask::from_compressed(text, height, width).ok()
    };
    let Some(mask) = read(first) else { return };
    check(&mask);
    let again = Mask::from_compressed(&mask.to_compressed(), height, width);
    assert_eq!(again.as_ref(), Ok(&mask));
    if let Some(other) = read(second) {
        for crowd in [false, true] {
            let overlap = mask.iou(&other, crowd);
            assert!((0.0..=1.0).contains(&overlap), "an overlap of {overlap}");
        }
    }
}

/// Polygons of 32-bit floats, NaN between two of them, after the height and width of the image.
pub fn polygons(data: &[u8]) {
    let Some((height, width, numbers)) = size(data) else {
        return;
    };
    let (numbers, _) = numbers.as_chunks::<4>();
    let numbers: Vec<f64> = numbers
        .iter()
        .map(|n| f64::from(f32::from_le_bytes(*n)))
        .collect();
    let polygons: Vec<Vec<f64>> = numbers.split(|n| n.is_nan()).map(<[f64]>::to_vec).collect();
    if let Ok(mask) = Mask::from_polygons(&polygons, height, width) {
        assert_eq!((mask.height(), mask.width()), (height, width));
        check(&mask);
        if height * width <= FEW_PIXELS {
            let again = Mask::from_bitmap(&mask.to_bitmap(), height, width);
            assert_eq!(again, Ok(mask));
        }
    }
}

/// A formula of one branch, and of two.
pub fn formula(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let said = |error: ParseError| {
        assert!(
            (1..=text.chars().count() + 1).contains(&error.column),
            "{error}"
        );
        assert!(error.caret(text).lines().count() == 2);
    };
    match Tree::parse(text, &["yhat", "y"]) {
        Ok(tree) => {
            let printed = tree.to_string();
            assert_eq!(Tree::parse(&printed, &["yhat", "y"]).as_ref(), Ok(&tree));
        }
        Err(error) => said(error),
    }
    let branches = [("a", vec!["yhat", "y"]), ("b", vec!["u"])];
    match Loss::parse(text, &branches) {
        Ok(loss) => assert_eq!(Loss::parse(&loss.to_string(), &branches), Ok(loss)),
        Err(error) => said(error),
    }
}

/// A file of settings.
pub fn settings_file(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match Settings::from_toml(text) {
        Ok(settings) => assert_eq!(Settings::from_toml(&settings.to_toml()), Ok(settings)),
        Err(error) => in_one_line(&error),
    }
}

/// Faults of TOML and of types are told in one line; others hold names that the text may choose.
fn in_one_line(error: &SettingsError) {
    if let SettingsError::Toml(said) = error {
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

/// Single settings, a line each.
pub fn single_settings(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut table = parse_toml("").expect("no settings are settings");
    for line in text.lines() {
        if let Ok((key, value)) = key_value(line) {
            let _ = set_key(&mut table, &key, value);
        }
    }
    if let Err(error) = Settings::from_table(table) {
        in_one_line(&error);
    }
}

/// A mask has the pixels that it says.
fn check(mask: &Mask) {
    let pixels = mask.height() * mask.width();
    assert_eq!(mask.runs().iter().sum::<u32>(), pixels);
    assert!(mask.area() <= pixels);
    assert!(mask.bbox().iter().all(|value| value.is_finite()));
    if pixels <= FEW_PIXELS {
        let inside = mask.to_bitmap().into_iter().map(u32::from).sum::<u32>();
        assert_eq!(inside, mask.area());
    }
}

/// Height and width of 16 bits each, and the rest.
fn size(data: &[u8]) -> Option<(u32, u32, &[u8])> {
    let (size, rest) = data.split_first_chunk::<4>()?;
    let [a, b, c, d] = *size;
    let side = |bytes| u32::from(u16::from_le_bytes(bytes));
    Some((side([a, b]), side([c, d]), rest))
}

/// What comes before the first byte of 0, and what after it.
fn halves(data: &[u8]) -> (&[u8], &[u8]) {
    let mut halves = data.splitn(2, |&byte| byte == 0);
    (
        halves.next().unwrap_or_default(),
        halves.next().unwrap_or_default(),
    )
}
