//! A directory of an overlay's upper layer, for those who know its whiteouts.

use std::sync::Arc;

use super::overlay::{is_overlay_xattr, without_overlay_xattrs};
use super::tree::join;
use super::{Directory, Error, Metadata, OpenFile};

/// `directory`, which is found under `path`, without overlay's own attributes. Whiteouts are shown as the devices that they are. The
/// contents of a metadata-only copy are [`Error::Unsupported`].
pub(super) fn shown(path: Vec<u8>, directory: Arc<dyn Directory>) -> Arc<dyn Directory> {
    Arc::new(UpperDirectory { path, directory })
}

#[derive(Debug)]
struct UpperDirectory {
    path: Vec<u8>,
    directory: Arc<dyn Directory>,
}

impl Directory for UpperDirectory {
    fn names(&self) -> Result<Vec<Vec<u8>>, Error> {
        self.directory.names()
    }

    fn metadata(&self, name: &[u8]) -> Result<Option<Metadata>, Error> {
        self.directory.metadata(name)
    }

    fn directory(&self, name: &[u8]) -> Result<Arc<dyn Directory>, Error> {
        self.directory.directory(name).map(|directory| shown(join(&self.path, name), directory))
    }

    fn link_target(&self, name: &[u8]) -> Result<Vec<u8>, Error> {
        self.directory.link_target(name)
    }

    fn file(&self, name: &[u8]) -> Result<OpenFile, Error> {
        without_overlay_xattrs(self.directory.file(name)?, || join(&self.path, name))
    }

    fn xattr(&self, name: &[u8], key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        if is_overlay_xattr(key) { Ok(None) } else { self.directory.xattr(name, key) }
    }

    fn xattr_names(&self, name: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
        let mut names = self.directory.xattr_names(name)?;
        names.retain(|key| !is_overlay_xattr(key));
        Ok(names)
    }
}
