//! Histories that account for every layer.

use cache_core::Timestamp;

use crate::config::HistoryEntry;

/// What stands in for a description that a layer does not have.
const UNDESCRIBED: &str = "created by buildkit";
/// The comment of entries that the exporter adds.
const COMMENT: &str = "buildkit.exporter.image.v0";

/// What the cache knows of a layer beside its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayerMeta {
    /// What the layer is, for people; empty if nothing is known of the layer.
    pub description: String,
    /// When the layer was made.
    pub created_at: Option<Timestamp>,
}

impl LayerMeta {
    /// A layer that the cache knows; one without description is described as made by BuildKit.
    pub fn new(description: impl Into<String>, created_at: Option<Timestamp>) -> Self {
        let mut description = description.into();
        if description.is_empty() {
            description = UNDESCRIBED.to_owned();
        }
        Self { description, created_at }
    }
}

/// `history` with as many entries that made a layer as there are layers, and with a time in every entry if there is one
/// at all. `chain` are the layers of the ref, bottom first: of a longer chain than `layers` its last ones count, what a
/// shorter one lacks at its end is unknown.
///
/// - Entries beyond the layers are marked as having made none.
/// - Missing entries are added, with the layer's description and time.
/// - An entry without time gets its layer's; failing that, the next layer's that is new, else the last one known.
///
/// Mirrors: BuildKit `exporter/containerimage/writer.go`, `normalizeLayersAndHistory`.
pub fn normalize_history(
    history: Option<Vec<HistoryEntry>>,
    layers: usize,
    chain: &[LayerMeta],
) -> Option<Vec<HistoryEntry>> {
    let metas = chain.get(chain.len().saturating_sub(layers)..).unwrap_or_default();
    let known = history.is_some();
    let mut history = history.unwrap_or_default();
    hide_surplus(&mut history, layers);
    add_missing(&mut history, layers, metas);
    date_layers(&mut history, metas);
    date_the_rest(&mut history);
    (known || !history.is_empty()).then_some(history)
}

/// Marks every entry after the last layer's as having made no layer.
fn hide_surplus(history: &mut [HistoryEntry], layers: usize) {
    let mut counted = 0;
    let mut surplus = 0;
    for entry in history.iter_mut().filter(|entry| !entry.empty_layer) {
        if counted < layers {
            counted += 1;
        } else {
            entry.empty_layer = true;
            surplus += 1;
        }
    }
    if surplus > 0 {
        tracing::warn!(layers, surplus, "the image config's history accounts for more layers than there are");
    }
}

fn add_missing(history: &mut Vec<HistoryEntry>, layers: usize, metas: &[LayerMeta]) {
    let accounted = history.iter().filter(|entry| !entry.empty_layer).count();
    for index in accounted..layers {
        let meta = metas.get(index).cloned().unwrap_or_default();
        history.push(HistoryEntry {
            created: meta.created_at,
            created_by: meta.description,
            comment: COMMENT.to_owned(),
            ..HistoryEntry::default()
        });
    }
}

fn date_layers(history: &mut [HistoryEntry], metas: &[LayerMeta]) {
    for (entry, meta) in history.iter_mut().filter(|entry| !entry.empty_layer).zip(metas) {
        entry.created = entry.created.or(meta.created_at);
    }
}

/// Without the look ahead, a command that comes before the first new layer would be as old as the base image.
fn date_the_rest(history: &mut [HistoryEntry]) {
    let dated = history.iter().position(|entry| entry.created.is_none()).and_then(|gap| {
        let after = history.iter().skip(gap).find_map(|entry| entry.created);
        after.or_else(|| history.iter().take(gap).next_back().and_then(|entry| entry.created))
    });
    let mut time = dated;
    let mut after_gap = false;
    for entry in history {
        if entry.created.is_none() {
            after_gap = true;
            entry.created = time;
        } else if after_gap {
            time = entry.created;
        }
    }
}
