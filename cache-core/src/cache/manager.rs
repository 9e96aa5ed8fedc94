//! The manager of refs.

use std::sync::Arc;

use crate::backends::Backends;
use crate::cache::core::Core;
use crate::cache::immutable::ImmutableRef;
use crate::error::Result;

/// Makes, finds and removes refs. Clones are the same manager.
///
/// Dropped without [`flush`](Self::flush), the last clone leaves what dropped handles and dropped calls wanted, as if its process had died:
/// the next manager that is opened over the backends, or that prunes, ends or clears it.
#[derive(Clone, Debug)]
pub struct CacheManager {
    pub(super) core: Arc<Core>,
}

impl CacheManager {
    /// A manager over `backends`, after it has finished or cleared what earlier processes left half done. Other managers
    /// may be at work over the same backends.
    ///
    /// # Errors
    /// The backends' own failures. Records that cannot be read are logged and left alone.
    ///
    /// # Cancel safety
    /// Can be dropped and repeated at any time.
    pub async fn open(backends: Backends) -> Result<Self> {
        let core = Arc::new(Core::new(backends));
        core.recover().await?;
        Ok(Self { core })
    }

    /// The backends that the manager was given.
    pub fn backends(&self) -> &Backends {
        &self.core.backends
    }

    /// The immutable ref `id`, with the refs under it.
    ///
    /// # Errors
    /// `NotFound` if there is none, or one under it is missing; `Busy` if it is mutable and somebody writes to it;
    /// `Invalid` if it is mutable and nobody does; `Unsupported` if it is of a newer release.
    ///
    /// # Cancel safety
    /// A dropped call holds nothing.
    pub async fn get(&self, id: &str) -> Result<ImmutableRef> {
        self.core.settle().await;
        let is_known = self.core.is_live(id);
        let found = self.core.open(id).await?;
        if is_known {
            found.entry().refresh().await?;
        }
        found.entry().give_out();
        Ok(found)
    }

    /// Does what dropped handles and dropped calls left: ends what was begun, removes what was discarded, and notes the last
    /// use of refs. Every other operation of the
    /// manager begins with the same; call it before a process ends.
    ///
    /// # Cancel safety
    /// Can be dropped and repeated at any time.
    pub async fn flush(&self) {
        self.core.settle().await;
    }
}
