//! A lower directory of an overlay, in which only a few files are looked for.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use super::directory_tree::OpenDirectory;
use super::tree::join;
use super::{Directory, DirectoryTree, Error, Metadata, OpenFile, Tree};

/// The kernel refuses longer paths (`PATH_MAX`), and attributes are found below a path of its own.
const PATH_BYTES: usize = 4096 - 64;

/// A directory of a file system as a [`Tree`] of which no directory is opened before its names, or contents in it, are
/// wanted: metadata, attributes and links are asked for by their paths below the root.
///
/// Because those paths are resolved by the kernel, the tree must not be changed meanwhile, as lower directories of an
/// overlay are not: elsewhere links that appear on the way would be followed.
#[derive(Debug)]
pub struct LowerTree {
    root: Arc<OpenDirectory>,
}

impl LowerTree {
    /// Opens a directory by its path; links in that path are followed.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        DirectoryTree::open(path).map(|tree| Self { root: Arc::new(OpenDirectory::root(OwnedFd::from(tree))) })
    }
}

impl Tree for LowerTree {
    fn root(&self) -> Result<Arc<dyn Directory>, Error> {
        Ok(Arc::new(LowerDirectory { root: Arc::clone(&self.root), path: Vec::new(), opened: OnceLock::new() }))
    }
}

#[derive(Debug)]
struct LowerDirectory {
    root: Arc<OpenDirectory>,
    /// Its path below the root.
    path: Vec<u8>,
    opened: OnceLock<Arc<dyn Directory>>,
}

impl LowerDirectory {
    /// The directory itself, opened from name to name.
    fn opened(&self) -> Result<&Arc<dyn Directory>, Error> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let mut opened: Arc<dyn Directory> = Arc::clone(&self.root) as Arc<dyn Directory>;
        for name in self.path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
            opened = opened.directory(name)?;
        }
        Ok(self.opened.get_or_init(|| opened))
    }

    /// Asks for something of `name` by its path, or in the open directory where that is too long.
    fn ask<T>(
        &self,
        name: &[u8],
        question: impl FnOnce(&dyn Directory, &[u8]) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let path = join(&self.path, name);
        if path.len() < PATH_BYTES { question(&*self.root, &path) } else { question(&**self.opened()?, name) }
    }
}

impl Directory for LowerDirectory {
    fn names(&self) -> Result<Vec<Vec<u8>>, Error> {
        self.opened()?.names()
    }

    fn metadata(&self, name: &[u8]) -> Result<Option<Metadata>, Error> {
        self.ask(name, |directory, name| directory.metadata(name))
    }

    fn directory(&self, name: &[u8]) -> Result<Arc<dyn Directory>, Error> {
        let path = join(&self.path, name);
        Ok(Arc::new(Self { root: Arc::clone(&self.root), path, opened: OnceLock::new() }))
    }

    fn link_target(&self, name: &[u8]) -> Result<Vec<u8>, Error> {
        self.ask(name, |directory, name| directory.link_target(name))
    }

    fn file(&self, name: &[u8]) -> Result<OpenFile, Error> {
        self.opened()?.file(name)
    }

    fn xattr(&self, name: &[u8], key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.ask(name, |directory, name| directory.xattr(name, key))
    }

    fn xattr_names(&self, name: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
        self.ask(name, |directory, name| directory.xattr_names(name))
    }
}
