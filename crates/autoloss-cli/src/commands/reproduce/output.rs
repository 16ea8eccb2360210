//! A reproduced table in Markdown, CSV and JSON.

use std::path::Path;

use anyhow::Result;
use autoloss_search::{EvaluationSet, mean_and_std};
use serde_json::{Value, json};

use crate::files::{write_json, write_text};

/// Content of a cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cell {
    pub(super) mean: f64,
    /// Standard deviation and number of values; none for a single one.
    pub(super) spread: Option<(f64, usize)>,
}

impl Cell {
    /// Mean and standard deviation of some numbers; none of none.
    pub(super) fn of(numbers: &[f64]) -> Option<Self> {
        let count = numbers.len();
        if count == 0 {
            return None;
        }
        let (mean, std) = mean_and_std(numbers);
        let spread = (count > 1).then_some((std, count));
        Some(Self { mean, spread })
    }

    fn text(&self) -> String {
        // Mean and deviation with the same digits.
        let decimals = match self.mean.abs() {
            100.0.. => 0,
            10.0.. => 1,
            _ => 4,
        };
        let mean = format!("{:.decimals$}", self.mean);
        match self.spread {
            Some((std, _)) => format!("{mean} ± {std:.decimals$}"),
            None => mean,
        }
    }
}

/// A table with its title and notes.
pub(super) struct Output {
    pub(super) title: String,
    /// The set that the numbers are of.
    pub(super) set: EvaluationSet,
    /// The command that makes it.
    pub(super) command: String,
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<(String, Vec<Option<Cell>>)>,
    /// Numbers of the paper, as rows of the same columns.
    pub(super) published: Vec<(String, Vec<Option<Cell>>)>,
    pub(super) notes: Vec<String>,
}

impl Output {
    /// Writes `NAME.md`, `NAME.csv` and `NAME.json` into the folder.
    pub(super) fn write(&self, dir: &Path, name: &str) -> Result<()> {
        let path = |ending: &str| dir.join(format!("{name}.{ending}"));
        write_text(&path("md"), &self.markdown())?;
        write_text(&path("csv"), &self.csv())?;
        write_json(&path("json"), &self.json())
    }

    fn all_rows(&self) -> impl Iterator<Item = (String, &[Option<Cell>])> {
        let ours = self
            .rows
            .iter()
            .map(|(name, cells)| (name.clone(), cells.as_slice()));
        let theirs = self.published.iter();
        ours.chain(theirs.map(|(name, cells)| (format!("published: {name}"), cells.as_slice())))
    }

    /// The table for people.
    pub(super) fn markdown(&self) -> String {
        let mut text = format!(
            "# {}\n\n`{}`\n\nScores on the {}.\n\n|  |",
            self.title, self.command, self.set
        );
        for column in &self.columns {
            text.push_str(&format!(" {column} |"));
        }
        text.push_str(&format!("\n|---|{}\n", "---:|".repeat(self.columns.len())));
        for (name, cells) in self.all_rows() {
            text.push_str(&format!("| {name} |"));
            for cell in cells {
                let cell = cell.as_ref().map_or_else(|| "–".to_owned(), Cell::text);
                text.push_str(&format!(" {cell} |"));
            }
            text.push('\n');
        }
        for note in &self.notes {
            text.push_str(&format!("\n{note}\n"));
        }
        text
    }

    /// A line a cell.
    fn csv(&self) -> String {
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let mut text = "row,column,mean,std,count\n".to_owned();
        for (name, cells) in self.all_rows() {
            for (column, cell) in self.columns.iter().zip(cells) {
                let Some(cell) = cell else { continue };
                let (std, count) = cell.spread.map_or_else(
                    || (String::new(), "1".to_owned()),
                    |(std, count)| (std.to_string(), count.to_string()),
                );
                let (row, column) = (quoted(&name), quoted(column));
                text.push_str(&format!("{row},{column},{},{std},{count}\n", cell.mean));
            }
        }
        text
    }

    /// The table for programs.
    pub(super) fn json(&self) -> Value {
        let rows = |rows: &[(String, Vec<Option<Cell>>)]| -> Vec<Value> {
            let row = |(name, cells): &(String, Vec<Option<Cell>>)| {
                let cells = self.columns.iter().zip(cells).filter_map(|(column, cell)| {
                    let cell = cell.as_ref()?;
                    let (std, count) = cell.spread.unzip();
                    Some((
                        column.clone(),
                        json!({"mean": cell.mean, "std": std, "count": count}),
                    ))
                });
                json!({"name": name, "cells": cells.collect::<serde_json::Map<_, _>>()})
            };
            rows.iter().map(row).collect()
        };
        json!({
            "title": self.title, "command": self.command, "set": self.set, "columns": self.columns,
            "rows": rows(&self.rows), "published": rows(&self.published), "notes": self.notes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_written_three_ways() {
        let output = Output {
            title: "Losses".to_owned(),
            set: EvaluationSet::Validation,
            command: "autoloss reproduce table2".to_owned(),
            columns: vec!["miou".to_owned(), "\"bf1\"".to_owned()],
            rows: vec![("Dice".to_owned(), vec![Cell::of(&[0.25, 0.75]), None])],
            published: vec![("Dice".to_owned(), vec![Cell::of(&[0.5]), None])],
            notes: vec!["A note.".to_owned()],
        };
        assert_eq!(
            output.markdown(),
            "# Losses\n\n`autoloss reproduce table2`\n\nScores on the validation set.\n\n|  | miou | \"bf1\" |\n|---|---:|---:|\n\
             | Dice | 0.5000 ± 0.3536 | – |\n| published: Dice | 0.5000 | – |\n\nA note.\n"
        );
        assert_eq!(
            output.csv(),
            "row,column,mean,std,count\n\"Dice\",\"miou\",0.5,0.3535533905932738,2\n\
             \"published: Dice\",\"miou\",0.5,,1\n"
        );
        let json = output.json();
        assert_eq!(json["rows"][0]["cells"]["miou"]["mean"], 0.5);
        assert_eq!(json["published"][0]["cells"]["miou"]["count"], Value::Null);
    }
}
