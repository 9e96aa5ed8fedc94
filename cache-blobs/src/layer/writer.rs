//! From changes to the archive of a layer.
//!
//! Mirrors: containerd `pkg/archive` `ChangeWriter`.

use std::collections::{HashMap, HashSet};
use std::io::{Cursor, Write};
use std::sync::Arc;

use super::archive::Archive;
use super::read_ahead::{Loaded, ReadAhead};
use super::whiteout::whiteout;
use super::{Error, LayerOptions, LayerReport, XattrPolicy};
use crate::changes::{self, CAPABILITY, Change, ChangeKind, Identity, OpenFile, Parent, TreeEntry, is_overlay_xattr};
use crate::content::{Content, Plain};
use crate::tar::{Header, Kind, Timestamp};

/// Writes all `changes` as one layer, and tells what it left out. `out` is not flushed.
///
/// # Errors
/// The first error of the changes, of the tree, or of `out`.
pub fn write_layer<W: Write>(
    changes: impl IntoIterator<Item = Result<Change, changes::Error>>,
    out: W,
    options: LayerOptions,
) -> Result<(W, LayerReport), Error> {
    let mut writer = LayerWriter::new(out, options);
    for change in changes {
        writer.write(&change?)?;
    }
    writer.finish()
}

/// As [`write_layer`], with the changes found and small files read on another thread while the caller's writes. Where no
/// thread can be had, the caller's does both. It returns when the other thread has ended with the changes.
///
/// # Errors
/// As [`write_layer`].
///
/// # Panics
/// If the changes or the tree panic on the other thread.
pub fn write_layer_ahead<W: Write, I>(changes: I, out: W, options: LayerOptions) -> Result<(W, LayerReport), Error>
where
    I: Iterator<Item = Result<Change, changes::Error>> + Send + 'static,
{
    let mut reads = match ReadAhead::begin(changes) {
        Ok(reads) => reads,
        Err(changes) => return write_layer(changes, out, options),
    };
    let mut writer = LayerWriter::new(out, options);
    reads.try_for_each(|read| {
        read.map_err(Error::from).and_then(|(change, loaded)| writer.write_read(&change, loaded))
    })?;
    writer.finish()
}

/// Writes the changes of a tree, in the order in which they come, as one layer.
///
/// It adds what a layer needs besides: the parents of each change, once and before it, and the other names of a
/// changed file that has several.
#[derive(Debug)]
pub struct LayerWriter<W> {
    archive: Archive<W>,
    options: LayerOptions,
    report: LayerReport,
    /// Directories that the archive already has.
    directories: HashSet<Vec<u8>>,
    /// The first name written of each file with several.
    written: HashMap<Identity, Vec<u8>>,
    /// Unchanged names that came before any changed name of the same file.
    waiting: HashMap<Identity, Vec<(Vec<u8>, Option<Arc<Parent>>)>>,
}

impl<W: Write> LayerWriter<W> {
    /// Writes to `out`.
    pub fn new(out: W, options: LayerOptions) -> Self {
        Self {
            archive: Archive::new(out, options.mode),
            options,
            report: LayerReport::default(),
            directories: HashSet::new(),
            written: HashMap::new(),
            waiting: HashMap::new(),
        }
    }

    /// Writes one change.
    ///
    /// # Errors
    /// [`Error::Changes`] when the tree cannot be read, [`Error::Archive`] when the archive cannot be written. The
    /// layer is unusable afterwards.
    pub fn write(&mut self, change: &Change) -> Result<(), Error> {
        self.write_read(change, None)
    }

    /// Writes one change, whose file was perhaps read before.
    fn write_read(&mut self, change: &Change, loaded: Option<Loaded>) -> Result<(), Error> {
        match &change.entry {
            None => {
                self.add_parents(&change.path, change.parent.as_ref())?;
                Ok(self.archive.append_header(&whiteout(&change.path))?)
            }
            Some(entry) => self.write_entry(change, entry, loaded),
        }
    }

    /// Ends the archive; gives the underlying writer, and what was left out.
    ///
    /// # Errors
    /// [`Error::Archive`].
    pub fn finish(self) -> Result<(W, LayerReport), Error> {
        Ok((self.archive.finish()?, self.report))
    }

    fn write_entry(&mut self, change: &Change, entry: &TreeEntry, loaded: Option<Loaded>) -> Result<(), Error> {
        let Change { kind, path, parent, .. } = change;
        let Some(archive_kind) = entry.metadata.kind.in_archive() else {
            if *kind != ChangeKind::Unmodified {
                self.report.sockets.add(path);
            }
            return Ok(());
        };
        let mut more_names = Vec::new();
        let mut first_name = None;
        if entry.metadata.is_hard_linked() {
            let identity = entry.metadata.identity;
            first_name = self.written.get(&identity).cloned();
            if first_name.is_none() {
                if *kind == ChangeKind::Unmodified {
                    self.waiting.entry(identity).or_default().push((path.clone(), parent.clone()));
                    return Ok(());
                }
                self.written.insert(identity, path.clone());
                more_names = self.waiting.remove(&identity).unwrap_or_default();
            }
        } else if *kind == ChangeKind::Unmodified {
            return Ok(());
        }
        let has_content = first_name.is_none() && archive_kind == Kind::File && entry.metadata.size > 0;
        let (content, xattr_names): (Option<Box<dyn Content>>, _) = match loaded {
            Some(Loaded { bytes, xattr_names }) => (Some(Box::new(Plain(Cursor::new(bytes)))), xattr_names),
            None if has_content => {
                let OpenFile { content, xattr_names } = entry.file()?;
                (Some(content), xattr_names)
            }
            None => (None, entry.xattr_names()?),
        };
        let header = self.header(archive_kind, path, entry, xattr_names)?;
        self.add_parents(path, parent.as_ref())?;
        match (first_name, content) {
            (Some(first), _) => self.archive.append_header(&link_to(&header, path, &first))?,
            (None, Some(mut content)) => self.archive.append_content(&header, &mut *content)?,
            (None, None) => self.archive.append_header(&header)?,
        }
        if archive_kind == Kind::Directory {
            self.directories.insert(path.clone());
        }
        for (name, parent) in more_names {
            self.add_parents(&name, parent.as_ref())?;
            self.archive.append_header(&link_to(&header, &name, path))?;
        }
        Ok(())
    }

    /// Writes the directories above `path`, the lowest of which is `parent`, that the archive does not have yet.
    fn add_parents(&mut self, path: &[u8], parent: Option<&Arc<Parent>>) -> Result<(), Error> {
        let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(index, _)| index);
        let parents = std::iter::successors(parent, |parent| parent.parent.as_ref());
        // The archive has all parents of a directory that it has, so the search goes upwards and stops early.
        let missing: Vec<(usize, &Arc<Parent>)> =
            slashes.rev().zip(parents).take_while(|(slash, _)| !self.directories.contains(&path[..*slash])).collect();
        for (slash, parent) in missing.into_iter().rev() {
            let path = &path[..slash];
            let header = self.header(Kind::Directory, path, &parent.entry, parent.entry.xattr_names()?)?;
            self.archive.append_header(&header)?;
            self.directories.insert(path.to_vec());
        }
        Ok(())
    }

    fn header(
        &mut self,
        kind: Kind,
        path: &[u8],
        entry: &TreeEntry,
        xattr_names: Vec<Vec<u8>>,
    ) -> Result<Header, Error> {
        let metadata = &entry.metadata;
        let seconds = metadata.modified.seconds;
        let seconds = self.options.epoch.map_or(seconds, |epoch| seconds.min(epoch));
        let mut header = Header::new(kind, path)
            .with_mode(metadata.mode)
            .with_owner(metadata.uid.into(), metadata.gid.into())
            .with_device(metadata.device_major, metadata.device_minor)
            .with_modified(Timestamp::from_seconds(seconds));
        match kind {
            Kind::File => header.size = metadata.size,
            Kind::Symlink => header.link = entry.link_target()?,
            _ => {}
        }
        for name in xattr_names {
            let keep = name == CAPABILITY || (self.options.xattrs == XattrPolicy::All && !is_overlay_xattr(&name));
            if keep {
                // containerd does not write an empty capability, which means the same as none.
                let value = entry.xattr(&name)?.filter(|value| name != CAPABILITY || !value.is_empty());
                header.xattrs.extend(value.map(|value| (name, value)));
            } else if !is_overlay_xattr(&name) {
                self.report.xattrs.entry(name).or_default().add(path);
            }
        }
        Ok(header)
    }
}

/// The same file under another name; containerd keeps everything but the size.
fn link_to(header: &Header, path: &[u8], first: &[u8]) -> Header {
    let mut link = header.clone();
    link.kind = Kind::HardLink;
    link.path = path.to_vec();
    link.link = first.to_vec();
    link.size = 0;
    link
}
