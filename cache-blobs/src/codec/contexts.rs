//! Compression contexts that are lent to workers.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Idle contexts of one level. There are never more than workers that compressed at that level at once, and they are
/// freed when the last layer of that level is done.
pub(super) struct Contexts<C> {
    idle: Mutex<Vec<C>>,
}

impl<C> Contexts<C> {
    fn idle(&self) -> MutexGuard<'_, Vec<C>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` with an idle context, or with a new one. A context in which `work` panicked is not used again.
    pub(super) fn lend<T, E>(
        &self,
        make: impl FnOnce() -> Result<C, E>,
        work: impl FnOnce(&mut C) -> Result<T, E>,
    ) -> Result<T, E> {
        let idle = self.idle().pop();
        let mut context = match idle {
            Some(context) => context,
            None => make()?,
        };
        let outcome = work(&mut context)?;
        self.idle().push(context);
        Ok(outcome)
    }
}

impl<C> fmt::Debug for Contexts<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contexts").field("idle", &self.idle().len()).finish()
    }
}

/// The contexts of every level that is in use.
pub(super) struct ContextsByLevel<C>(Mutex<BTreeMap<i32, Weak<Contexts<C>>>>);

impl<C> Default for ContextsByLevel<C> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<C> ContextsByLevel<C> {
    /// The contexts of `level`, shared with every layer that is packed at that level now.
    pub(super) fn of(&self, level: i32) -> Arc<Contexts<C>> {
        let mut levels = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(contexts) = levels.get(&level).and_then(Weak::upgrade) {
            return contexts;
        }
        let contexts = Arc::new(Contexts { idle: Mutex::new(Vec::new()) });
        levels.insert(level, Arc::downgrade(&contexts));
        contexts
    }
}

impl<C> fmt::Debug for ContextsByLevel<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ContextsByLevel")
    }
}
