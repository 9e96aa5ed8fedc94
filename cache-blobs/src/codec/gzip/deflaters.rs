//! The compressors of one codec.

use std::fmt;
use std::sync::Arc;

use cache_core::{Compression, Result};

use super::BLOCK_BYTES;
use super::deflater::Deflater;
use super::library::DeflateLibrary;
use super::sample::version;
use crate::codec::contexts::{Contexts, ContextsByLevel};
use crate::codec::level::Levels;
use crate::codec::recipe::Recipe;

/// What a codec needs of its library.
#[derive(Debug, Default)]
pub(in crate::codec) struct Deflaters {
    library: DeflateLibrary,
    contexts: ContextsByLevel<Deflater>,
}

impl Deflaters {
    pub(in crate::codec) fn of(library: DeflateLibrary) -> Self {
        Self { library, contexts: ContextsByLevel::default() }
    }

    pub(in crate::codec) fn levels(&self) -> Levels {
        self.library.levels()
    }

    /// The recipe of `compression` at the level that is wished, but for what else the codec chose.
    pub(in crate::codec) fn recipe(&self, compression: &Compression, wish: Option<i32>) -> Result<Recipe> {
        let level = self.library.resolve(compression, wish)?;
        Ok(Recipe::new(compression.name())
            .with_library(self.library.name(), version(self.library, level)?)
            .with_level(level)
            .with_block(BLOCK_BYTES as u64))
    }

    /// The compressors for `compression` at the level that is wished.
    pub(in crate::codec) fn at(&self, compression: &Compression, wish: Option<i32>) -> Result<DeflatersAt> {
        let level = self.library.resolve(compression, wish)?;
        Ok(DeflatersAt { library: self.library, level, contexts: self.contexts.of(level) })
    }
}

/// The compressors of one level.
#[derive(Clone)]
pub(in crate::codec) struct DeflatersAt {
    library: DeflateLibrary,
    level: i32,
    contexts: Arc<Contexts<Deflater>>,
}

impl DeflatersAt {
    /// Runs `work` with one of them.
    pub(in crate::codec) fn lend<T>(&self, work: impl FnOnce(&mut Deflater) -> Result<T>) -> Result<T> {
        self.contexts.lend(|| Deflater::new(self.library, self.level), work)
    }
}

impl fmt::Debug for DeflatersAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeflatersAt")
            .field("library", &self.library)
            .field("level", &self.level)
            .finish_non_exhaustive()
    }
}
