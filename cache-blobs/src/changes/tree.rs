//! A tree of files, wherever it lives.

use std::fmt::Debug;
use std::sync::Arc;

use super::{Error, Metadata};
use crate::content::Content;

/// The root of a tree of files.
pub trait Tree: Debug + Send + Sync {
    /// The topmost directory.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be opened.
    fn root(&self) -> Result<Arc<dyn Directory>, Error>;
}

/// One directory of a [`Tree`]. Names are single path components as raw bytes.
///
/// No method follows a symbolic link. A name that is gone is an [`Error::Io`] of kind `NotFound`, except where
/// `Option` says otherwise.
pub trait Directory: Debug + Send + Sync {
    /// Names in it, in any order, without `.` and `..`.
    ///
    /// # Errors
    /// [`Error::Io`].
    fn names(&self) -> Result<Vec<Vec<u8>>, Error>;

    /// The same with what each name stands for, names ascending by bytes. Names that vanish meanwhile are left out.
    ///
    /// # Errors
    /// Those of [`names`](Self::names) and [`metadata`](Self::metadata).
    fn entries(&self) -> Result<Vec<(Vec<u8>, Metadata)>, Error> {
        let mut names = self.names()?;
        names.sort_unstable();
        let mut entries = Vec::with_capacity(names.len());
        for name in names {
            if let Some(metadata) = self.metadata(&name)? {
                entries.push((name, metadata));
            }
        }
        Ok(entries)
    }

    /// What a name stands for, if there is such a name.
    ///
    /// # Errors
    /// [`Error::Io`].
    fn metadata(&self, name: &[u8]) -> Result<Option<Metadata>, Error>;

    /// A directory in it.
    ///
    /// # Errors
    /// [`Error::Io`], also when it is no directory.
    fn directory(&self, name: &[u8]) -> Result<Arc<dyn Directory>, Error>;

    /// The target of a symbolic link in it.
    ///
    /// # Errors
    /// [`Error::Io`], also when it is no symbolic link.
    fn link_target(&self, name: &[u8]) -> Result<Vec<u8>, Error>;

    /// Opens a regular file in it, which tells its contents and its attributes for less than two looks.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Changed`] when it is no regular file any more.
    fn file(&self, name: &[u8]) -> Result<OpenFile, Error>;

    /// One extended attribute of a file in it; `None` where the file or the file system has none.
    ///
    /// # Errors
    /// [`Error::Io`].
    fn xattr(&self, name: &[u8], key: &[u8]) -> Result<Option<Vec<u8>>, Error>;

    /// Names of all extended attributes of a file in it; empty where the file system has none.
    ///
    /// # Errors
    /// [`Error::Io`].
    fn xattr_names(&self, name: &[u8]) -> Result<Vec<Vec<u8>>, Error>;
}

/// A regular file that is open.
#[derive(Debug)]
pub struct OpenFile {
    /// What is in it.
    pub content: Box<dyn Content>,
    /// Names of all its extended attributes; empty where the file system has none.
    pub xattr_names: Vec<Vec<u8>>,
}

/// A file in a tree: a name in a directory, and what was found there.
#[derive(Debug, Clone)]
pub struct TreeEntry {
    /// The directory that it is in.
    pub directory: Arc<dyn Directory>,
    /// Its name there.
    pub name: Vec<u8>,
    /// What it is.
    pub metadata: Metadata,
}

impl TreeEntry {
    /// Opens the directory that this entry is.
    ///
    /// # Errors
    /// Those of [`Directory::directory`].
    pub fn open(&self) -> Result<Arc<dyn Directory>, Error> {
        self.directory.directory(&self.name)
    }

    /// The target of the symbolic link that this entry is.
    ///
    /// # Errors
    /// Those of [`Directory::link_target`].
    pub fn link_target(&self) -> Result<Vec<u8>, Error> {
        self.directory.link_target(&self.name)
    }

    /// Opens the regular file that this entry is.
    ///
    /// # Errors
    /// Those of [`Directory::file`].
    pub fn file(&self) -> Result<OpenFile, Error> {
        self.directory.file(&self.name)
    }

    /// The contents of the regular file that this entry is.
    ///
    /// # Errors
    /// Those of [`Directory::file`].
    pub fn content(&self) -> Result<Box<dyn Content>, Error> {
        self.file().map(|file| file.content)
    }

    /// One extended attribute.
    ///
    /// # Errors
    /// Those of [`Directory::xattr`].
    pub fn xattr(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.directory.xattr(&self.name, key)
    }

    /// Names of all extended attributes.
    ///
    /// # Errors
    /// Those of [`Directory::xattr_names`].
    pub fn xattr_names(&self) -> Result<Vec<Vec<u8>>, Error> {
        self.directory.xattr_names(&self.name)
    }
}

/// Looks up a path such as `usr/bin/env` below the root of `tree`; `None` when a part of it is missing or is not a
/// directory. Symbolic links on the way count as not being directories.
///
/// # Errors
/// Those of the tree.
pub fn lookup(tree: &dyn Tree, path: &[u8]) -> Result<Option<TreeEntry>, Error> {
    let mut directory = tree.root()?;
    let mut parts = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).peekable();
    while let Some(part) = parts.next() {
        let Some(metadata) = directory.metadata(part)? else {
            return Ok(None);
        };
        if parts.peek().is_none() {
            return Ok(Some(TreeEntry { directory, name: part.to_vec(), metadata }));
        }
        if !metadata.is_directory() {
            return Ok(None);
        }
        directory = directory.directory(part)?;
    }
    Ok(None)
}

/// The entries of a directory, names ascending by bytes. Names that vanish meanwhile are left out.
pub(super) fn sorted_entries(directory: &Arc<dyn Directory>) -> Result<Vec<TreeEntry>, Error> {
    let entry = |(name, metadata)| TreeEntry { directory: Arc::clone(directory), name, metadata };
    Ok(directory.entries()?.into_iter().map(entry).collect())
}

/// `parent/name`, without a leading slash below the root.
pub(super) fn join(parent: &[u8], name: &[u8]) -> Vec<u8> {
    if parent.is_empty() { name.to_vec() } else { [parent, b"/", name].concat() }
}
