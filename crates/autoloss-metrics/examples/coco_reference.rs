//! Comparison of COCO scores with those of pycocotools, which
//! `tests/reference/coco_reference.py` writes; `tests/reference/compare` calls both.
//!
//! ```text
//! cargo run --release -p autoloss-metrics --example coco_reference -- cases.jsonl
//! ```
//!
//! Fails if a number differs, or if pycocotools has none to compare with.

use std::process::ExitCode;

use autoloss_metrics::coco;

#[path = "../tests/reference/check.rs"]
mod check;

fn main() -> ExitCode {
    let files: Vec<String> = std::env::args().skip(1).collect();
    if files.is_empty() {
        eprintln!("usage: coco_reference CASES.jsonl …");
        return ExitCode::from(2);
    }
    let mut differ = false;
    for file in files {
        let lines = match std::fs::read_to_string(&file) {
            Ok(lines) => lines,
            Err(error) => {
                eprintln!("{file}: {error}");
                return ExitCode::FAILURE;
            }
        };
        let report = check::compare(&lines);
        println!(
            "{file}: {} cases; {} evaluations compared, largest difference {:e}; {} fail in both, {} here alone, {} there alone; {} differences",
            report.cases,
            report.compared,
            report.largest,
            report.failed,
            report.stricter,
            report.lenient,
            report.differences.len()
        );
        for difference in report.differences.iter().take(20) {
            println!("  {difference}");
        }
        if report.compared == 0 {
            println!("  pycocotools has no numbers in this file: the comparison means nothing");
        }
        differ |= !report.differences.is_empty() || report.compared == 0;
    }
    if differ {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
