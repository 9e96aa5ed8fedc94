//! Image names.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::descriptor::Descriptor;
use crate::error::Result;
use crate::labels::Labels;
use crate::timestamp::Timestamp;

/// A named manifest or index. What it names is never collected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The name, as the caller gave it.
    pub name: String,
    /// The manifest or index.
    pub target: Descriptor,
    /// Labels.
    pub labels: Labels,
    /// When the name was created.
    pub created_at: Timestamp,
    /// When the name was created or last updated.
    pub updated_at: Timestamp,
}

/// Whether a store changed a name.
#[expect(clippy::large_enum_variant, reason = "one is made per name and looked at once")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageOutcome {
    /// It did.
    Done(Image),
    /// It did not: for `create` the name is taken, for `update` there is none.
    Refused,
}

/// Keeps image names. Mirrors: containerd `core/images.Store`.
///
/// # Cancel safety
/// A dropped call made its change as a whole or not at all.
#[async_trait]
pub trait ImageStore: Send + Sync + Debug + 'static {
    /// The image `name`; `None` if there is none.
    ///
    /// # Errors
    /// The backend's own failures.
    async fn get(&self, name: &str) -> Result<Option<Image>>;

    /// Creates the name, unless it is taken.
    ///
    /// # Errors
    /// `Invalid` for an empty name; `NotFound` if a collected store lacks the target.
    async fn create(&self, name: &str, target: &Descriptor, labels: Labels) -> Result<ImageOutcome>;

    /// Points an existing name at `target`, with these labels in place of its own.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    async fn update(&self, name: &str, target: &Descriptor, labels: Labels) -> Result<ImageOutcome>;

    /// Removes the name; whether there was one.
    ///
    /// # Errors
    /// The backend's own failures.
    async fn delete(&self, name: &str) -> Result<bool>;

    /// Every image, sorted by name.
    ///
    /// # Errors
    /// The backend's own failures.
    async fn list(&self) -> Result<Vec<Image>>;
}
