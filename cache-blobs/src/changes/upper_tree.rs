//! The upper directory of an overlay, for those who know its whiteouts.

use std::sync::Arc;

use super::overlay::is_overlay_xattr;
use super::{Directory, Error, Metadata, Tree};
use crate::content::Content;

/// The upper directory of an overlay as a [`Tree`] without overlay's own attributes. Whiteouts are shown as the devices that
/// they are, and metadata-only copies as files of zeros; [`overlay_upper`](super::overlay_upper) knows both. For a tree
/// without them take an [`Overlay`](super::Overlay), which looks at every file once more.
#[derive(Clone, Debug)]
pub struct UpperTree(Arc<dyn Tree>);

impl UpperTree {
    /// The tree of the bare directory `upper`.
    #[must_use]
    pub fn new(upper: Arc<dyn Tree>) -> Self {
        Self(upper)
    }
}

impl Tree for UpperTree {
    fn root(&self) -> Result<Arc<dyn Directory>, Error> {
        self.0.root().map(shown)
    }
}

/// `directory` without overlay's own attributes.
pub(super) fn shown(directory: Arc<dyn Directory>) -> Arc<dyn Directory> {
    Arc::new(UpperDirectory(directory))
}

#[derive(Debug)]
struct UpperDirectory(Arc<dyn Directory>);

impl Directory for UpperDirectory {
    fn names(&self) -> Result<Vec<Vec<u8>>, Error> {
        self.0.names()
    }

    fn metadata(&self, name: &[u8]) -> Result<Option<Metadata>, Error> {
        self.0.metadata(name)
    }

    fn directory(&self, name: &[u8]) -> Result<Arc<dyn Directory>, Error> {
        self.0.directory(name).map(shown)
    }

    fn link_target(&self, name: &[u8]) -> Result<Vec<u8>, Error> {
        self.0.link_target(name)
    }

    fn content(&self, name: &[u8]) -> Result<Box<dyn Content>, Error> {
        self.0.content(name)
    }

    fn xattr(&self, name: &[u8], key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        if is_overlay_xattr(key) { Ok(None) } else { self.0.xattr(name, key) }
    }

    fn xattr_names(&self, name: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
        let mut names = self.0.xattr_names(name)?;
        names.retain(|key| !is_overlay_xattr(key));
        Ok(names)
    }
}
