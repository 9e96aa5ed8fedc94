//! A tree in memory, built from plain entries or read from an archive.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::memory_content::{MemoryContent, MemoryReader};
use super::tree::join;
use super::{Directory, Error, FileKind, Identity, Metadata, OpenFile, Operation, Tree};
use crate::tar::{Header, Kind, Reader};

/// Gives every tree a device number of its own, so that files of two trees are never taken for one.
static DEVICES: AtomicU64 = AtomicU64::new(1);

/// A tree of files in memory, contents included.
///
/// It takes whiteouts and opaque directories for what they are, so an overlay's upper directory can be kept in one.
#[derive(Debug, Clone)]
pub struct MemoryTree {
    inner: Arc<Inner>,
}

#[derive(Debug, Clone)]
struct Inner {
    device: u64,
    /// The first is the root; the others are referred to by index.
    nodes: Vec<Node>,
}

#[derive(Debug, Clone)]
struct Node {
    metadata: Metadata,
    xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    body: Body,
}

#[derive(Debug, Clone)]
enum Body {
    Directory(BTreeMap<Vec<u8>, usize>),
    Link(Vec<u8>),
    Content(Arc<MemoryContent>),
    Nothing,
}

impl Default for MemoryTree {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryTree {
    /// An empty tree, with a root of mode 0755.
    #[must_use]
    pub fn new() -> Self {
        let mut inner = Inner { device: DEVICES.fetch_add(1, Ordering::Relaxed), nodes: Vec::new() };
        inner.add(&Header::directory(""), Body::Directory(BTreeMap::new()));
        Self { inner: Arc::new(inner) }
    }

    /// Puts an entry at its path, in place of what was there; missing parents get mode 0755.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a path with `..`, for one below something else than a directory, and for a hard link to
    /// a name that is not there.
    pub fn insert(&mut self, header: &Header, content: &[u8]) -> Result<(), Error> {
        let mut header = header.clone();
        header.size = content.len() as u64;
        self.put(&header, MemoryContent::of(content))
    }

    /// Reads the entries of an archive that lie below `directory`, or all of them when it is empty.
    ///
    /// Contents stay in memory; bound the reader when the archive is not trusted.
    ///
    /// # Errors
    /// [`Error::Archive`], and those of [`insert`](Self::insert).
    pub fn from_archive<R: Read>(reader: &mut Reader<R>, directory: &[u8]) -> Result<Self, Error> {
        let mut tree = Self::new();
        while let Some(mut entry) = reader.next_entry().map_err(Error::Archive)? {
            let Some(path) = below(directory, &entry.header().path) else {
                continue;
            };
            let mut header = entry.header().clone();
            header.path = path;
            if header.kind == Kind::HardLink {
                header.link = below(directory, &header.link).ok_or_else(|| invalid(&header.link))?;
            }
            let content = MemoryContent::read_from(&mut entry).map_err(Error::Archive)?;
            tree.put(&header, content)?;
        }
        Ok(tree)
    }

    fn put(&mut self, header: &Header, content: MemoryContent) -> Result<(), Error> {
        let inner = Arc::make_mut(&mut self.inner);
        let mut parts = parts(&header.path)?;
        let Some(name) = parts.pop() else {
            // The root itself.
            inner.nodes[0].metadata = inner.metadata(header, 0);
            inner.nodes[0].xattrs.clone_from(&header.xattrs);
            return Ok(());
        };
        let parent = inner.make_directories(&parts)?;
        let index = match header.kind {
            Kind::HardLink => inner.find(&header.link)?.ok_or_else(|| invalid(&header.link))?,
            Kind::Directory => match inner.child(parent, name) {
                Some(index) if inner.is_directory(index) => {
                    inner.nodes[index].metadata = inner.metadata(header, index);
                    inner.nodes[index].xattrs.clone_from(&header.xattrs);
                    return Ok(());
                }
                _ => inner.add(header, Body::Directory(BTreeMap::new())),
            },
            Kind::Symlink => inner.add(header, Body::Link(header.link.clone())),
            Kind::File => inner.add(header, Body::Content(Arc::new(content))),
            _ => inner.add(header, Body::Nothing),
        };
        inner.name(parent, name, index)
    }
}

impl Inner {
    fn add(&mut self, header: &Header, body: Body) -> usize {
        let index = self.nodes.len();
        let mut metadata = self.metadata(header, index);
        metadata.links = 0;
        self.nodes.push(Node { metadata, xattrs: header.xattrs.clone(), body });
        index
    }

    fn metadata(&self, header: &Header, index: usize) -> Metadata {
        let kind = match header.kind {
            Kind::Directory => FileKind::Directory,
            Kind::Symlink => FileKind::Symlink,
            Kind::CharDevice => FileKind::CharDevice,
            Kind::BlockDevice => FileKind::BlockDevice,
            Kind::Fifo => FileKind::Fifo,
            Kind::File | Kind::HardLink => FileKind::File,
        };
        let mut metadata = Metadata::new(kind, header.mode, Identity { device: self.device, inode: index as u64 });
        metadata.uid = u32::try_from(header.uid).unwrap_or(u32::MAX);
        metadata.gid = u32::try_from(header.gid).unwrap_or(u32::MAX);
        metadata.device_major = header.device_major;
        metadata.device_minor = header.device_minor;
        metadata.size = if header.kind == Kind::Symlink { header.link.len() as u64 } else { header.size };
        metadata.modified = header.modified;
        metadata
    }

    fn is_directory(&self, index: usize) -> bool {
        matches!(self.nodes[index].body, Body::Directory(_))
    }

    fn child(&self, directory: usize, name: &[u8]) -> Option<usize> {
        match &self.nodes[directory].body {
            Body::Directory(names) => names.get(name).copied(),
            _ => None,
        }
    }

    fn find(&self, path: &[u8]) -> Result<Option<usize>, Error> {
        let mut index = Some(0);
        for part in parts(path)? {
            index = index.and_then(|index| self.child(index, part));
        }
        Ok(index)
    }

    fn make_directories(&mut self, parts: &[&[u8]]) -> Result<usize, Error> {
        let mut directory = 0;
        for part in parts {
            directory = match self.child(directory, part) {
                Some(index) if self.is_directory(index) => index,
                Some(_) => return Err(invalid(part)),
                None => {
                    let index = self.add(&Header::directory(*part), Body::Directory(BTreeMap::new()));
                    self.name(directory, part, index)?;
                    index
                }
            };
        }
        Ok(directory)
    }

    fn name(&mut self, directory: usize, name: &[u8], index: usize) -> Result<(), Error> {
        self.nodes[index].metadata.links += 1;
        let Body::Directory(names) = &mut self.nodes[directory].body else {
            return Err(invalid(name));
        };
        if let Some(former) = names.insert(name.to_vec(), index) {
            self.nodes[former].metadata.links -= 1;
        }
        Ok(())
    }
}

impl Tree for MemoryTree {
    fn root(&self) -> Result<Arc<dyn Directory>, Error> {
        Ok(Arc::new(MemoryDirectory { inner: Arc::clone(&self.inner), index: 0, path: Vec::new() }))
    }
}

#[derive(Debug)]
struct MemoryDirectory {
    inner: Arc<Inner>,
    index: usize,
    path: Vec<u8>,
}

impl MemoryDirectory {
    fn node(&self, name: &[u8], operation: Operation) -> Result<&Node, Error> {
        match self.inner.child(self.index, name) {
            Some(index) => Ok(&self.inner.nodes[index]),
            None => Err(self.failed(name, operation, ErrorKind::NotFound)),
        }
    }

    fn failed(&self, name: &[u8], operation: Operation, kind: ErrorKind) -> Error {
        Error::io(operation, &join(&self.path, name), io::Error::from(kind))
    }
}

impl Directory for MemoryDirectory {
    fn names(&self) -> Result<Vec<Vec<u8>>, Error> {
        match &self.inner.nodes[self.index].body {
            Body::Directory(names) => Ok(names.keys().cloned().collect()),
            _ => Err(self.failed(b"", Operation::Read, ErrorKind::NotADirectory)),
        }
    }

    fn metadata(&self, name: &[u8]) -> Result<Option<Metadata>, Error> {
        Ok(self.inner.child(self.index, name).map(|index| self.inner.nodes[index].metadata.clone()))
    }

    fn directory(&self, name: &[u8]) -> Result<Arc<dyn Directory>, Error> {
        match self.inner.child(self.index, name) {
            Some(index) if self.inner.is_directory(index) => {
                Ok(Arc::new(Self { inner: Arc::clone(&self.inner), index, path: join(&self.path, name) }))
            }
            Some(_) => Err(self.failed(name, Operation::Open, ErrorKind::NotADirectory)),
            None => Err(self.failed(name, Operation::Open, ErrorKind::NotFound)),
        }
    }

    fn link_target(&self, name: &[u8]) -> Result<Vec<u8>, Error> {
        match &self.node(name, Operation::ReadLink)?.body {
            Body::Link(target) => Ok(target.clone()),
            _ => Err(self.failed(name, Operation::ReadLink, ErrorKind::InvalidInput)),
        }
    }

    fn file(&self, name: &[u8]) -> Result<OpenFile, Error> {
        let node = self.node(name, Operation::Open)?;
        match &node.body {
            Body::Content(content) => Ok(OpenFile {
                content: Box::new(MemoryReader::new(Arc::clone(content))),
                xattr_names: node.xattrs.keys().cloned().collect(),
            }),
            _ => Err(Error::Changed { path: join(&self.path, name) }),
        }
    }

    fn xattr(&self, name: &[u8], key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.node(name, Operation::ReadXattrs)?.xattrs.get(key).cloned())
    }

    fn xattr_names(&self, name: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
        Ok(self.node(name, Operation::ReadXattrs)?.xattrs.keys().cloned().collect())
    }
}

fn invalid(path: &[u8]) -> Error {
    Error::Invalid { path: path.to_vec() }
}

/// The components of a path; `.` and empty ones do not count.
fn parts(path: &[u8]) -> Result<Vec<&[u8]>, Error> {
    let parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".").collect();
    if parts.contains(&&b".."[..]) { Err(invalid(path)) } else { Ok(parts) }
}

/// `path` without `directory` in front; `None` when it lies elsewhere.
fn below(directory: &[u8], path: &[u8]) -> Option<Vec<u8>> {
    if directory.is_empty() {
        return Some(path.to_vec());
    }
    let rest = path.strip_prefix(b"./").unwrap_or(path).strip_prefix(directory)?;
    if rest.is_empty() { Some(Vec::new()) } else { rest.strip_prefix(b"/").map(<[u8]>::to_vec) }
}
