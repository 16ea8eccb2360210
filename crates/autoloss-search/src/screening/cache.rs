//! Cache of the verdicts given so far.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::fingerprint::Fingerprint;
use super::verdict::Verdict;

/// Verdicts kept for losses that come again, the oldest forgotten first: some 60 MB.
const KEPT: usize = 1 << 17;

/// Verdicts by canonical form and by fingerprint; for each the first stays.
#[derive(Default)]
pub(super) struct VerdictCache {
    by_canonical: HashMap<String, Arc<Verdict>>,
    by_fingerprint: HashMap<Fingerprint, Arc<Verdict>>,
    order: VecDeque<Arc<Verdict>>,
}

impl VerdictCache {
    pub(super) fn canonical(&self, canonical: &str) -> Option<Arc<Verdict>> {
        self.by_canonical.get(canonical).cloned()
    }

    pub(super) fn fingerprint(&self, fingerprint: Fingerprint) -> Option<Arc<Verdict>> {
        self.by_fingerprint.get(&fingerprint).cloned()
    }

    pub(super) fn remember(&mut self, verdict: Arc<Verdict>) -> Arc<Verdict> {
        if self.by_canonical.contains_key(&verdict.canonical) {
            return verdict;
        }
        let canonical = verdict.canonical.clone();
        self.by_canonical.insert(canonical, verdict.clone());
        if let Some(fingerprint) = verdict.fingerprint {
            let first = self.by_fingerprint.entry(fingerprint);
            first.or_insert_with(|| verdict.clone());
        }
        self.order.push_back(verdict.clone());
        if self.order.len() > KEPT {
            self.forget();
        }
        verdict
    }

    fn forget(&mut self) {
        let Some(oldest) = self.order.pop_front() else {
            return;
        };
        self.by_canonical.remove(&oldest.canonical);
        if let Some(fingerprint) = oldest.fingerprint {
            let first = self.by_fingerprint.get(&fingerprint);
            if first.is_some_and(|first| Arc::ptr_eq(first, &oldest)) {
                self.by_fingerprint.remove(&fingerprint);
            }
        }
    }
}
