//! Trees that are not what they say when they are read.
#![allow(dead_code, missing_docs)]

use std::io;
use std::sync::Arc;

use cache_blobs::changes::{Directory, Error, FileKind, Identity, Metadata, OpenFile, Operation, Tree};
use cache_blobs::content::Plain;

/// A tree with one file, which is not what its metadata says.
#[derive(Debug, Clone)]
pub(crate) struct Odd {
    pub(crate) kind: FileKind,
    pub(crate) size: u64,
}

impl Tree for Odd {
    fn root(&self) -> Result<Arc<dyn Directory>, Error> {
        Ok(Arc::new(self.clone()))
    }
}

impl Directory for Odd {
    fn names(&self) -> Result<Vec<Vec<u8>>, Error> {
        Ok(vec![b"odd".to_vec()])
    }
    fn metadata(&self, _: &[u8]) -> Result<Option<Metadata>, Error> {
        let mut metadata = Metadata::new(self.kind, 0o644, Identity { device: 0, inode: 1 });
        metadata.size = self.size;
        Ok(Some(metadata))
    }
    fn directory(&self, name: &[u8]) -> Result<Arc<dyn Directory>, Error> {
        Err(Error::Changed { path: name.to_vec() })
    }
    fn link_target(&self, name: &[u8]) -> Result<Vec<u8>, Error> {
        Err(Error::Changed { path: name.to_vec() })
    }
    fn file(&self, _: &[u8]) -> Result<OpenFile, Error> {
        let content = Box::new(Plain(&b"12345"[..]));
        Ok(OpenFile { content, xattr_names: Vec::new() })
    }
    fn xattr(&self, _: &[u8], _: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Ok(None)
    }
    fn xattr_names(&self, _: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
        Ok(Vec::new())
    }
}

/// A tree whose only file is gone when it is opened.
#[derive(Debug, Clone)]
pub(crate) struct Vanishing(pub(crate) Odd);

impl Tree for Vanishing {
    fn root(&self) -> Result<Arc<dyn Directory>, Error> {
        Ok(Arc::new(self.clone()))
    }
}

impl Directory for Vanishing {
    fn names(&self) -> Result<Vec<Vec<u8>>, Error> {
        self.0.names()
    }
    fn metadata(&self, name: &[u8]) -> Result<Option<Metadata>, Error> {
        self.0.metadata(name)
    }
    fn directory(&self, name: &[u8]) -> Result<Arc<dyn Directory>, Error> {
        self.0.directory(name)
    }
    fn link_target(&self, name: &[u8]) -> Result<Vec<u8>, Error> {
        self.0.link_target(name)
    }
    fn file(&self, name: &[u8]) -> Result<OpenFile, Error> {
        let source = Arc::new(io::ErrorKind::NotFound.into());
        Err(Error::Io { operation: Operation::Open, path: name.to_vec(), source })
    }
    fn xattr(&self, name: &[u8], key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.0.xattr(name, key)
    }
    fn xattr_names(&self, name: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
        self.0.xattr_names(name)
    }
}
