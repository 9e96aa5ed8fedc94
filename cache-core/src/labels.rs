//! Labels on content, snapshots and leases.

use std::collections::BTreeMap;

use crate::error::{Error, ErrorKind, Result};

/// Labels, sorted by key.
pub type Labels = BTreeMap<String, String>;

/// Bytes that a key and its value may take together, as in containerd's metadata store.
pub const MAX_LABEL_BYTES: usize = 4096;

/// One change of one label. Labels that no change names stay as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabelChange {
    /// Gives the key this value.
    Set(String, String),
    /// Removes the key, if it is there.
    Remove(String),
}

impl LabelChange {
    /// Gives `key` the `value`.
    pub fn set(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self::Set(key.into(), value.into())
    }

    /// Removes `key`.
    pub fn remove(key: impl Into<String>) -> Self {
        Self::Remove(key.into())
    }
}

/// Refuses labels that containerd's metadata store would refuse.
///
/// # Errors
/// `Invalid` for an empty key; `LimitExceeded` where a key and its value exceed [`MAX_LABEL_BYTES`].
pub fn validate_labels<'a>(labels: impl IntoIterator<Item = (&'a String, &'a String)>) -> Result<()> {
    for (key, value) in labels {
        if key.is_empty() {
            return Err(Error::new(ErrorKind::Invalid, "validate label", "the empty key"));
        }
        if key.len() + value.len() > MAX_LABEL_BYTES {
            return Err(Error::new(ErrorKind::LimitExceeded, "validate label (MAX_LABEL_BYTES)", key.escape_debug()));
        }
    }
    Ok(())
}

/// Applies `changes` in their order.
///
/// # Errors
/// As [`validate_labels`]; `labels` is untouched then.
pub fn apply_label_changes(labels: &mut Labels, changes: &[LabelChange]) -> Result<()> {
    let sets = changes.iter().filter_map(|change| match change {
        LabelChange::Set(key, value) => Some((key, value)),
        LabelChange::Remove(_) => None,
    });
    validate_labels(sets)?;
    for change in changes {
        match change {
            LabelChange::Set(key, value) => labels.insert(key.clone(), value.clone()),
            LabelChange::Remove(key) => labels.remove(key),
        };
    }
    Ok(())
}
