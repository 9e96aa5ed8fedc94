//! How an image is listed in an archive or layout.

use std::sync::Arc;

use cache_core::Timestamp;
use cache_core::ports::{NoProgress, Progress};

use crate::image_name::ImageName;

/// How an image is listed in an archive or layout.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OutputOptions {
    /// Under which names it is listed.
    pub names: Vec<ImageName>,
    /// When the image was created: the epoch, or else the time now.
    pub created: Timestamp,
    /// Who is told of the work.
    pub progress: Arc<dyn Progress>,
}

impl OutputOptions {
    /// An image without names, created at `created`.
    pub fn new(created: Timestamp) -> Self {
        Self { names: Vec::new(), created, progress: Arc::new(NoProgress) }
    }

    /// The same with names.
    #[must_use]
    pub fn with_names(mut self, names: Vec<ImageName>) -> Self {
        self.names = names;
        self
    }

    /// The same, telling `progress` of each phase.
    #[must_use]
    pub fn with_progress(mut self, progress: Arc<dyn Progress>) -> Self {
        self.progress = progress;
        self
    }
}
