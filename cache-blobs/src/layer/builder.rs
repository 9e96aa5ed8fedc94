//! A layer out of nothing but entries.

use std::collections::HashMap;
use std::io::{self, Read, Write};

use super::whiteout::{OPAQUE_MARKER, WHITEOUT_PREFIX, whiteout};
use super::{EntryProblem, Error};
use crate::tar::{Header, Kind, Timestamp, Writer};

/// Writes a layer from entries in the order in which they are added, without a file system and without privileges.
///
/// Equal calls give equal bytes. Missing parents are written before their first child, each once, all alike. For a
/// layer that does not depend on the order of calls, put the entries into a
/// [`MemoryTree`](crate::changes::MemoryTree) and pack its changes.
///
/// ```
/// use cache_blobs::layer::LayerBuilder;
/// use cache_blobs::tar::Header;
///
/// let mut layer = LayerBuilder::new(Vec::new());
/// layer.add(&Header::file("usr/bin/tool", 3).with_mode(0o755), &b"ELF"[..])?;
/// layer.add(&Header::symlink("usr/bin/alias", "tool"), std::io::empty())?;
/// layer.whiteout("etc/obsolete")?;
/// let archive = layer.finish()?;
/// # assert_eq!(archive.len() % 512, 0);
/// # Ok::<(), cache_blobs::layer::Error>(())
/// ```
#[derive(Debug)]
pub struct LayerBuilder<W> {
    archive: Writer<W>,
    parents: Header,
    epoch: Option<i64>,
    held: HashMap<Vec<u8>, Held>,
}

/// What the archive says of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    /// It is a directory that some child needed.
    Parent,
    Directory,
    /// It is something else, which links can repeat.
    Leaf,
    Removed,
}

impl<W: Write> LayerBuilder<W> {
    /// Writes to `out`. Missing parents get mode 0755, owner 0:0 and time 0.
    pub fn new(out: W) -> Self {
        Self { archive: Writer::new(out), parents: Header::directory(""), epoch: None, held: HashMap::new() }
    }

    /// Missing parents get mode, owner, time and attributes of `template`.
    #[must_use]
    pub fn with_parents(mut self, template: Header) -> Self {
        self.parents = template;
        self
    }

    /// Modification times after `epoch`, in seconds since 1970, become it.
    #[must_use]
    pub fn with_epoch(mut self, epoch: i64) -> Self {
        self.epoch = Some(epoch);
        self
    }

    /// Adds an entry; a file's contents are the next [`Header::size`] bytes of `content`, which must end there.
    ///
    /// Times lose their fraction. Attributes are kept as they are.
    ///
    /// # Errors
    /// [`Error::Entry`], after which the layer is as it was before; [`Error::Archive`], after which it is unusable
    /// unless the entry could not be encoded.
    pub fn add(&mut self, header: &Header, content: impl Read) -> Result<(), Error> {
        let path = parts(&header.path)?;
        let mut header = self.normalized(header, path.join(&b'/'));
        match (self.held.get(&header.path), header.kind) {
            (None | Some(Held::Removed), _) | (Some(Held::Parent), Kind::Directory) => {}
            _ => return Err(invalid(&header.path, EntryProblem::Duplicate)),
        }
        if header.kind == Kind::HardLink {
            header.link = parts(&header.link)?.join(&b'/');
            if self.held.get(&header.link) != Some(&Held::Leaf) {
                return Err(invalid(&header.path, EntryProblem::LinkTarget));
            }
        }
        self.add_parents(&header.path)?;
        self.archive.append(&header, content)?;
        let held = if header.kind == Kind::Directory { Held::Directory } else { Held::Leaf };
        self.held.insert(header.path, held);
        Ok(())
    }

    /// Says that `path` is gone, with everything below it. It may be added anew afterwards.
    ///
    /// # Errors
    /// [`Error::Entry`] also when the layer already holds `path`, which the whiteout would hide again.
    pub fn whiteout(&mut self, path: impl AsRef<[u8]>) -> Result<(), Error> {
        let path = parts(path.as_ref())?.join(&b'/');
        if self.held.contains_key(&path) {
            return Err(invalid(&path, EntryProblem::Duplicate));
        }
        self.add_parents(&path)?;
        self.archive.append_header(&whiteout(&path))?;
        self.held.insert(path, Held::Removed);
        Ok(())
    }

    /// Says that everything that lower layers have in the directory `path` is gone. What the layer itself holds stays.
    ///
    /// Layers of BuildKit spell the removed names out instead.
    ///
    /// # Errors
    /// [`Error::Entry`], [`Error::Archive`].
    pub fn opaque(&mut self, path: impl AsRef<[u8]>) -> Result<(), Error> {
        let marker = [&parts(path.as_ref())?.join(&b'/')[..], b"/", OPAQUE_MARKER].concat();
        self.add_parents(&marker)?;
        Ok(self.archive.append_header(&Header::file(marker, 0).with_mode(0))?)
    }

    /// Ends the archive and gives the underlying writer back, not flushed.
    ///
    /// # Errors
    /// [`Error::Archive`].
    pub fn finish(self) -> Result<W, Error> {
        Ok(self.archive.finish()?)
    }

    fn add_parents(&mut self, path: &[u8]) -> Result<(), Error> {
        let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(index, _)| index);
        let mut missing = Vec::new();
        for slash in slashes.rev() {
            match self.held.get(&path[..slash]) {
                Some(Held::Leaf) => return Err(invalid(path, EntryProblem::ParentNotDirectory)),
                Some(Held::Parent | Held::Directory) => break,
                Some(Held::Removed) | None => missing.push(slash),
            }
        }
        for slash in missing.into_iter().rev() {
            let header = self.normalized(&self.parents, path[..slash].to_vec());
            let header = Header { kind: Kind::Directory, size: 0, ..header };
            self.archive.append(&header, io::empty())?;
            self.held.insert(header.path, Held::Parent);
        }
        Ok(())
    }

    fn normalized(&self, header: &Header, path: Vec<u8>) -> Header {
        let seconds = header.modified.seconds;
        let seconds = self.epoch.map_or(seconds, |epoch| seconds.min(epoch));
        Header { path, modified: Timestamp::from_seconds(seconds), ..header.clone() }
    }
}

/// The components of a path below the root; none of them is special to a layer.
fn parts(path: &[u8]) -> Result<Vec<&[u8]>, Error> {
    let parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b".")).collect();
    if parts.is_empty() || parts.contains(&&b".."[..]) {
        return Err(invalid(path, EntryProblem::Path));
    }
    if parts.iter().any(|part| part.starts_with(WHITEOUT_PREFIX)) {
        return Err(invalid(path, EntryProblem::Reserved));
    }
    Ok(parts)
}

fn invalid(path: &[u8], problem: EntryProblem) -> Error {
    Error::Entry { path: path.to_vec(), problem }
}
