//! A panel kept in the folder of its trainings: drawing one may take longer than training it, where few
//! random losses pass screening.

use std::path::PathBuf;

use anyhow::Result;
use autoloss_search::fidelity::{PanelKind, PanelLoss};
use autoloss_search::{Task, parse_loss};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::files::write_json;

/// The file of a panel.
pub(super) struct Drawn {
    pub(super) path: PathBuf,
    /// Everything that the panel follows from.
    pub(super) origin: Value,
}

/// A loss of the panel as the file holds it.
#[derive(Serialize, Deserialize)]
struct DrawnLoss {
    name: String,
    formula: String,
    kind: PanelKind,
}

impl Drawn {
    /// The panel; `None` if there is none, it is of another origin, or it is damaged.
    pub(super) fn read(&self, task: &dyn Task) -> Option<Vec<PanelLoss>> {
        let value: Value = serde_json::from_slice(&std::fs::read(&self.path).ok()?).ok()?;
        if value["origin"] != self.origin {
            return None;
        }
        let rows: Vec<DrawnLoss> = serde_json::from_value(value["losses"].clone()).ok()?;
        let loss = |DrawnLoss {
                        name,
                        formula,
                        kind,
                    }| {
            let loss = parse_loss(task, &formula).ok()?;
            Some(PanelLoss { name, loss, kind })
        };
        rows.into_iter().map(loss).collect()
    }

    /// Writes the panel, whole or not at all.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(super) fn write(&self, panel: &[PanelLoss]) -> Result<()> {
        let row = |loss: &PanelLoss| DrawnLoss {
            name: loss.name.clone(),
            formula: loss.loss.to_string(),
            kind: loss.kind,
        };
        let rows: Vec<DrawnLoss> = panel.iter().map(row).collect();
        write_json(
            &self.path,
            &json!({ "origin": self.origin, "losses": rows }),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use autoloss_search::toy::Toy;

    #[test]
    fn a_panel_is_read_again_if_it_is_whole_and_of_the_same_origin() {
        let dir = tempfile::tempdir().unwrap();
        let drawn = |seed: u64| Drawn {
            path: dir.path().join("panel.json"),
            origin: json!({ "seed": seed }),
        };
        let task = Toy::new();
        let kinds = [PanelKind::Given, PanelKind::HandWritten, PanelKind::Random];
        let formulas = ["-y * log(yhat)", "lovasz_softmax()", "square(y - yhat)"];
        let numbered = kinds.into_iter().zip(formulas).enumerate();
        let panel: Vec<PanelLoss> = numbered
            .map(|(n, (kind, formula))| PanelLoss {
                name: format!("loss {n}"),
                loss: parse_loss(&task, formula).unwrap(),
                kind,
            })
            .collect();
        assert_eq!(drawn(0).read(&task), None);
        drawn(0).write(&panel).unwrap();
        assert_eq!(drawn(0).read(&task), Some(panel));
        assert_eq!(drawn(1).read(&task), None);
        let text = std::fs::read_to_string(drawn(0).path).unwrap();
        std::fs::write(drawn(0).path, text.replace("yhat)", "yhat")).unwrap();
        assert_eq!(drawn(0).read(&task), None);
    }
}
