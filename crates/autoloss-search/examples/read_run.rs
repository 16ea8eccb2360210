//! A run read from its folder: the best losses, the final comparison, and the loss that it recommends.
//!
//! ```sh
//! cargo run --example read_run -- runs/digits-miou-1
//! ```

use std::path::PathBuf;

use autoloss_search::{EvaluationSet, Store};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder: PathBuf = std::env::args()
        .nth(1)
        .ok_or("usage: read_run FOLDER")?
        .into();
    let store = Store::open(&folder)?;
    let (info, tally) = (store.info()?, store.tally()?);
    println!(
        "task {}, seed {}: {} losses screened, {} trained",
        info.task, info.seed, tally.drawn, tally.evaluations
    );

    println!(
        "\nbest by the proxy, {}",
        info.metric_on(EvaluationSet::Search)
    );
    for row in store.top(3)? {
        let (id, formula) = (row.candidate.id, row.candidate.formula);
        println!(
            "{:>16} {:.4}  {formula}",
            format!("#{id}"),
            row.score.unwrap_or(f64::NAN)
        );
    }

    println!(
        "\nfull training, {}",
        info.metric_on(EvaluationSet::Validation)
    );
    for entry in store.comparisons()? {
        let (mean, std) = (
            entry.mean.unwrap_or(f64::NAN),
            entry.std.unwrap_or(f64::NAN),
        );
        println!("{:>16} {mean:.4} ± {std:.4}  {}", entry.name, entry.formula);
    }
    if let Some((name, formula)) = store.recommended()? {
        println!("\nrecommended: {name}\n    {formula}");
    }
    Ok(())
}
