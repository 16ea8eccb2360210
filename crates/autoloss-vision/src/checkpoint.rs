//! State of a full training on disk: parameters, the optimiser's moments, and the number of updates. A
//! training that continues from a checkpoint makes the same updates as one without interruption.
//!
//! A checkpoint is complete once `checkpoint.json`, which names its update, was renamed into place. Only
//! the files that it names are ever deleted, once the next one is complete: others are not ours.

use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::store::ModuleRecord;
use burn_store::{ModuleSnapshot, SafetensorsStore};
use serde::{Deserialize, Serialize};

/// Progress of a training.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Progressed {
    /// Updates made.
    pub(crate) update: usize,
    /// (update, loss value) so far; what is not finite is kept as `null`.
    pub(crate) curve: Vec<(usize, Option<f64>)>,
    /// The best checkpoint so far: its update and score.
    pub(crate) best: Option<(usize, f64)>,
    /// Seconds that the updates took, in all processes; 0 where an earlier version wrote the checkpoint.
    #[serde(default)]
    pub(crate) seconds: f64,
}

/// The checkpoints in a folder, of which the newest is kept.
pub(crate) struct Checkpoints<'a>(pub(crate) &'a Path);

impl Checkpoints<'_> {
    fn state(&self) -> PathBuf {
        self.0.join("checkpoint.json")
    }

    fn network(&self, update: usize) -> PathBuf {
        self.0.join(format!("checkpoint-{update}.network"))
    }

    fn optimiser(&self, update: usize) -> PathBuf {
        self.0.join(format!("checkpoint-{update}.optimiser"))
    }

    /// Progress of an earlier process; none without a checkpoint.
    ///
    /// # Errors
    /// A file that is not what [`Checkpoints::save`] writes.
    pub(crate) fn progressed(&self) -> Result<Progressed, String> {
        let path = self.state();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Progressed::default());
            }
            Err(error) => return Err(format!("{}: {error}", path.display())),
        };
        serde_json::from_str(&text)
            .map_err(|error| format!("{}: no checkpoint: {error}", path.display()))
    }

    /// Network and optimiser as they were after an update.
    ///
    /// # Errors
    /// A file that is missing, damaged, or of another network.
    pub(crate) fn load<N: Module>(
        &self,
        update: usize,
        net: N,
        optimiser: ModuleOptimizer,
    ) -> Result<(N, ModuleOptimizer), String> {
        let path = self.network(update);
        let wrong = |what: String| format!("{}: {what}", path.display());
        let record = ModuleRecord::load(&path).map_err(|error| wrong(error.to_string()))?;
        let net = net.try_load_record(record);
        let net = net.map_err(|error| wrong(format!("is of another network: {error}")))?;
        let path = self.optimiser(update);
        let optimiser = optimiser
            .load(&path)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        Ok((net, optimiser))
    }

    /// Keeps where a training is; an earlier checkpoint goes once this one is complete.
    ///
    /// # Errors
    /// If a file cannot be written; the earlier checkpoint is then still there.
    pub(crate) fn save<N: Module>(
        &self,
        net: &N,
        optimiser: &ModuleOptimizer,
        progressed: &Progressed,
    ) -> Result<(), String> {
        let update = progressed.update;
        let before = self.progressed().unwrap_or_default().update;
        let failed = |path: &Path, error: String| {
            format!("{}: cannot write the checkpoint: {error}", path.display())
        };
        settle(net);
        // Each under one name until it is whole, so that an interruption leaves nothing behind for long.
        let aside = self.0.join("checkpoint.new");
        let place = |path: &Path| {
            std::fs::rename(&aside, path).map_err(|error| failed(path, error.to_string()))
        };
        let path = self.network(update);
        let saved = net.clone().save_file(&aside);
        saved.map_err(|error| failed(&path, error.to_string()))?;
        place(&path)?;
        let path = self.optimiser(update);
        let saved = optimiser.save(&aside);
        saved.map_err(|error| failed(&path, error.to_string()))?;
        place(&path)?;
        let path = self.state();
        let text = serde_json::to_string(progressed).map_err(|e| failed(&path, e.to_string()))?;
        std::fs::write(&aside, text).map_err(|error| failed(&path, error.to_string()))?;
        place(&path)?;
        if before > 0 && before != update {
            for old in [self.network(before), self.optimiser(before)] {
                // A file that cannot be deleted does no harm.
                let _ = std::fs::remove_file(old);
            }
        }
        Ok(())
    }
}

/// Brings the running statistics of batch normalisation up to date: Burn keeps what a thread added to
/// them apart until a network is to be used, and would save those of before.
fn settle(net: &impl Module) {
    drop(net.valid());
}

/// Writes a network's parameters for others to use; the file appears whole or not at all.
///
/// # Errors
/// If it cannot be written.
pub(crate) fn save_network(net: &impl Module, path: &Path) -> Result<(), String> {
    settle(net);
    let mut store = SafetensorsStore::from_file(path).overwrite(true);
    net.save_into(&mut store)
        .map_err(|error| format!("{}: cannot write the network: {error}", path.display()))
}

/// Reads parameters that [`save_network`] wrote into a network.
///
/// # Errors
/// A file that is missing or of another network.
pub(crate) fn load_network(net: &mut impl Module, path: &Path) -> Result<(), String> {
    let mut store = SafetensorsStore::from_file(path);
    let loaded = net.load_from(&mut store);
    let loaded = loaded.map_err(|error| format!("{}: {error}", path.display()))?;
    match loaded.is_success() {
        true => Ok(()),
        false => Err(format!("{}: is of another network", path.display())),
    }
}
