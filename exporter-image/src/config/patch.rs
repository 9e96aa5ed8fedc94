//! Patching of a caller's image config, with everything unknown kept.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use cache_core::{Digest, Timestamp};
use serde::Serialize;

use super::{HistoryEntry, ImageConfig};
use crate::error::{ConfigProblem, Error, JsonError, Result};
use crate::json::{self, JsonLimits, Object};

/// The top-level key of an inline cache.
const INLINE_CACHE: &str = "moby.buildkit.cache.v0";

/// How lists without elements are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum EmptyLists {
    /// As `null`, as BuildKit does, so that digests agree.
    #[default]
    Null,
    /// As `[]`, for readers that insist on arrays.
    Array,
}

impl EmptyLists {
    /// `None`, written as `null`, where the list is empty and must be so.
    pub(crate) fn apply<T>(self, list: &[T]) -> Option<&[T]> {
        (self == Self::Array || !list.is_empty()).then_some(list)
    }
}

/// What is put into a config.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ConfigPatch {
    /// The DiffIDs of the layers, bottom first.
    pub diff_ids: Vec<Digest>,
    /// The history, as [`normalize_history`](crate::history::normalize_history) gives it.
    pub history: Option<Vec<HistoryEntry>>,
    /// Later times become this one.
    pub epoch: Option<Timestamp>,
    /// The history of the base image; the entries with which the image's own history begins and that are the same stay
    /// untouched by the epoch.
    pub base_history: Vec<HistoryEntry>,
    /// An inline cache, opaque to this crate.
    pub inline_cache: Option<Bytes>,
    /// How empty lists are written.
    pub empty_lists: EmptyLists,
}

impl ConfigPatch {
    /// A patch to an image of these layers and this history.
    pub fn new(diff_ids: Vec<Digest>, history: Option<Vec<HistoryEntry>>) -> Self {
        Self { diff_ids, history, ..Self::default() }
    }

    /// The same with later times set to `epoch`.
    #[must_use]
    pub fn with_epoch(mut self, epoch: Timestamp) -> Self {
        self.epoch = Some(epoch);
        self
    }

    /// The same with the history of a base image, which the epoch spares.
    #[must_use]
    pub fn with_base_history(mut self, history: Vec<HistoryEntry>) -> Self {
        self.base_history = history;
        self
    }

    /// The same with an inline cache.
    #[must_use]
    pub fn with_inline_cache(mut self, inline_cache: Bytes) -> Self {
        self.inline_cache = Some(inline_cache);
        self
    }

    /// The same with empty lists written another way.
    #[must_use]
    pub fn with_empty_lists(mut self, empty_lists: EmptyLists) -> Self {
        self.empty_lists = empty_lists;
        self
    }
}

/// The config with rootfs, history, times and inline cache of `patch`. All other top-level values stay as they are spelled,
/// compacted; the keys are sorted. Mirrors: BuildKit `exporter/containerimage/writer.go`, `patchImageConfig`.
///
/// Go also takes keys in another case than the specification's (`OS` for `os`); such keys are kept here, but not read.
///
/// # Errors
/// [`Error::Config`]: `Invalid` if the config is no JSON object of the right shape, or lacks `os` or `architecture`;
/// `LimitExceeded` past `limits`.
pub fn patch_config(config: &[u8], patch: &ConfigPatch, limits: JsonLimits) -> Result<Vec<u8>> {
    let (mut members, parsed) = read_config(config, limits).map_err(Error::Config)?;
    let history = clamp_history(patch);

    let diff_ids = patch.empty_lists.apply(&patch.diff_ids);
    members.set("rootfs", &RootFs { kind: "layers", diff_ids })?;

    // An empty list stays one if the config had one, as in Go.
    let empty_lists = if history.is_some() { EmptyLists::Array } else { patch.empty_lists };
    members.set("history", &empty_lists.apply(history.as_deref().unwrap_or_default()))?;

    if members.get("created").is_none() {
        let last = history.iter().flatten().rev().find_map(|entry| entry.created);
        members.set("created", &last)?;
    } else if let (Some(created), Some(epoch)) = (parsed.created, patch.epoch)
        && created > epoch
    {
        members.set("created", &epoch.to_utc())?;
    }
    if let Some(inline_cache) = &patch.inline_cache {
        members.set(INLINE_CACHE, &STANDARD.encode(inline_cache))?;
    }
    Ok(members.to_bytes()?)
}

/// Reads a config as its members and as its meaning.
pub(crate) fn read_config(config: &[u8], limits: JsonLimits) -> Result<(Object, ImageConfig), ConfigProblem> {
    let members = match Object::parse(config, limits) {
        Err(JsonError::NotAnObject) if json::compact(config, limits)? == b"null" => return Err(ConfigProblem::Null),
        other => other?,
    };
    let parsed = ImageConfig::parse(config, limits)?;
    if parsed.os.is_empty() {
        return Err(ConfigProblem::MissingOs);
    }
    if parsed.architecture.is_empty() {
        return Err(ConfigProblem::MissingArchitecture);
    }
    Ok((members, parsed))
}

#[derive(Serialize)]
struct RootFs<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    diff_ids: Option<&'a [Digest]>,
}

/// The history with times bounded by the epoch, from the first entry on that is not the base's.
fn clamp_history(patch: &ConfigPatch) -> Option<Vec<HistoryEntry>> {
    let mut history = patch.history.clone()?;
    if let Some(epoch) = patch.epoch {
        let shared = history.iter().zip(&patch.base_history).take_while(|(own, base)| own.is_same(base)).count();
        for entry in history.iter_mut().skip(shared) {
            if entry.created.is_none_or(|created| created > epoch) {
                entry.created = Some(epoch.to_utc());
            }
        }
    }
    Some(history)
}
