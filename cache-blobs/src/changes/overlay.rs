//! The merged view of overlay directories, without a mount.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::tree::join;
use super::{Directory, Error, FileKind, Metadata, OpenFile, OverlayFeature, Tree};

/// What overlayfs would show of a stack of its directories: whiteouts applied and hidden.
///
/// A directory with a redirect, and the contents of a metadata-only copy, are [`Error::Unsupported`].
#[derive(Debug)]
pub struct Overlay {
    layers: Vec<Arc<dyn Tree>>,
}

impl Overlay {
    /// Merges overlay directories, the topmost first. One alone is its own contents without whiteouts.
    #[must_use]
    pub fn new(layers: Vec<Arc<dyn Tree>>) -> Self {
        Self { layers }
    }
}

impl Tree for Overlay {
    fn root(&self) -> Result<Arc<dyn Directory>, Error> {
        let layers = self.layers.iter().map(|layer| Ok(Part::new(layer.root()?))).collect::<Result<_, Error>>()?;
        Ok(Arc::new(Merged::new(Vec::new(), layers)))
    }
}

/// How a directory of an overlay layer hides what lies below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opacity {
    /// It adds to what lies below.
    Transparent,
    /// It replaces what lies below.
    Opaque,
    /// It adds, and whiteouts in it may be files with an `overlay.whiteout` attribute.
    XattrWhiteouts,
}

/// On a copy of which another layer has the contents.
const METACOPY: &[u8] = b"metacopy";

/// Keys and values.
type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// The overlay attributes of a file, without the `trusted.overlay.` or, in a user namespace, `user.overlay.`.
/// Costs one call for a file that has none.
fn overlay_xattrs(directory: &dyn Directory, name: &[u8]) -> Result<Pairs, Error> {
    let mut found = Vec::new();
    for full in directory.xattr_names(name)? {
        if let Some(key) = overlay_key(&full) {
            found.extend(directory.xattr(name, &full)?.map(|value| (key.to_vec(), value)));
        }
    }
    Ok(found)
}

/// The opacity of the directory `name`. A redirect is refused here, since every user of a directory asks this first.
pub(super) fn opacity(directory: &dyn Directory, name: &[u8], path: &[u8]) -> Result<Opacity, Error> {
    let mut opacity = Opacity::Transparent;
    for (key, value) in overlay_xattrs(directory, name)? {
        match (key.as_slice(), value.as_slice()) {
            (b"redirect", value) if !value.is_empty() => {
                return Err(Error::Unsupported { path: path.to_vec(), feature: OverlayFeature::Redirect });
            }
            (b"opaque", b"y") => opacity = Opacity::Opaque,
            (b"opaque", b"x") if opacity == Opacity::Transparent => opacity = Opacity::XattrWhiteouts,
            _ => {}
        }
    }
    Ok(opacity)
}

/// An open file without overlay's own attributes. One whose contents are in another layer is refused.
pub(super) fn without_overlay_xattrs(mut file: OpenFile, path: impl FnOnce() -> Vec<u8>) -> Result<OpenFile, Error> {
    if file.xattr_names.iter().any(|full| overlay_key(full) == Some(METACOPY)) {
        return Err(Error::Unsupported { path: path(), feature: OverlayFeature::Metacopy });
    }
    file.xattr_names.retain(|key| !is_overlay_xattr(key));
    Ok(file)
}

fn overlay_key(full: &[u8]) -> Option<&[u8]> {
    full.strip_prefix(b"trusted.overlay.").or_else(|| full.strip_prefix(b"user.overlay."))
}

/// Whether an attribute belongs to overlayfs itself.
pub(crate) fn is_overlay_xattr(key: &[u8]) -> bool {
    overlay_key(key).is_some()
}

/// A directory as it is in one layer.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) directory: Arc<dyn Directory>,
    pub(super) xattr_whiteouts: bool,
}

impl Part {
    pub(super) fn new(directory: Arc<dyn Directory>) -> Self {
        Self { directory, xattr_whiteouts: false }
    }

    /// The directory, which is found under `path`, as overlayfs shows it where nothing lies below.
    pub(super) fn alone(self, path: Vec<u8>) -> Arc<dyn Directory> {
        Arc::new(Merged::new(path, vec![self]))
    }

    /// Whether `name`, which is `metadata` here, is a whiteout.
    pub(super) fn hides(&self, name: &[u8], metadata: &Metadata) -> Result<bool, Error> {
        let by_xattr = self.xattr_whiteouts && metadata.kind == FileKind::File && metadata.size == 0;
        if by_xattr && overlay_xattrs(&*self.directory, name)?.iter().any(|(key, _)| key == b"whiteout") {
            return Ok(true);
        }
        Ok(metadata.is_whiteout())
    }
}

/// A directory as it is in all layers that have it, the topmost first.
#[derive(Debug)]
struct Merged {
    path: Vec<u8>,
    parts: Vec<Part>,
    /// Of the name that was asked for last: who asks what it is goes on to ask for more of it.
    last: Mutex<Look>,
}

/// What a name is in the parts, as far down as somebody wanted to know.
#[derive(Debug, Default)]
struct Look {
    name: Vec<u8>,
    seen: Vec<Option<Metadata>>,
}

impl Look {
    fn of(name: &[u8]) -> Self {
        Self { name: name.to_vec(), seen: Vec::new() }
    }

    /// What the name is in the part `index` of `parts`. Ask for those above first.
    fn at(&mut self, index: usize, parts: &[Part]) -> Result<Option<Metadata>, Error> {
        if let Some(seen) = self.seen.get(index) {
            return Ok(seen.clone());
        }
        let seen = parts[index].directory.metadata(&self.name)?;
        self.seen.push(seen.clone());
        Ok(seen)
    }
}

impl Merged {
    fn new(path: Vec<u8>, parts: Vec<Part>) -> Self {
        Self { path, parts, last: Mutex::default() }
    }

    /// Nobody panics under this lock, so a poisoned one still guards a sound value.
    fn last(&self) -> MutexGuard<'_, Look> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of `name` from the question before.
    fn known(&self, name: &[u8]) -> Look {
        let last = std::mem::take(&mut *self.last());
        if last.name == name { last } else { Look::of(name) }
    }

    /// The topmost part that has the name of `look`, unless that is a whiteout.
    fn find(&self, mut look: Look) -> Result<Option<(usize, Metadata)>, Error> {
        let mut found = None;
        for (index, part) in self.parts.iter().enumerate() {
            if let Some(metadata) = look.at(index, &self.parts)? {
                found = if part.hides(&look.name, &metadata)? { None } else { Some((index, metadata)) };
                break;
            }
        }
        *self.last() = look;
        Ok(found)
    }

    fn owner(&self, name: &[u8]) -> Result<&Part, Error> {
        if let [only] = self.parts.as_slice() {
            return Ok(only);
        }
        match self.find(self.known(name))? {
            Some((index, _)) => Ok(&self.parts[index]),
            None => Err(Error::Changed { path: join(&self.path, name) }),
        }
    }
}

impl Directory for Merged {
    fn names(&self) -> Result<Vec<Vec<u8>>, Error> {
        Ok(self.entries()?.into_iter().map(|(name, _)| name).collect())
    }

    fn entries(&self) -> Result<Vec<(Vec<u8>, Metadata)>, Error> {
        // A name is what the topmost part says; a whiteout there hides those below.
        let mut seen: BTreeMap<Vec<u8>, Option<Metadata>> = BTreeMap::new();
        for part in &self.parts {
            for name in part.directory.names()? {
                let Entry::Vacant(place) = seen.entry(name) else {
                    continue;
                };
                let shown = match part.directory.metadata(place.key())? {
                    Some(metadata) if !part.hides(place.key(), &metadata)? => Some(metadata),
                    _ => None,
                };
                place.insert(shown);
            }
        }
        Ok(seen.into_iter().filter_map(|(name, metadata)| Some((name, metadata?))).collect())
    }

    fn metadata(&self, name: &[u8]) -> Result<Option<Metadata>, Error> {
        Ok(self.find(Look::of(name))?.map(|(_, metadata)| metadata))
    }

    fn directory(&self, name: &[u8]) -> Result<Arc<dyn Directory>, Error> {
        let path = join(&self.path, name);
        let (mut parts, mut look) = (Vec::new(), self.known(name));
        for (index, part) in self.parts.iter().enumerate() {
            // One part alone needs no look: whoever opens the directory has seen that it is one.
            if self.parts.len() > 1 {
                match look.at(index, &self.parts)? {
                    None => continue,
                    Some(metadata) if metadata.is_directory() => {}
                    Some(_) => break,
                }
            }
            let opacity = opacity(&*part.directory, name, &path)?;
            let directory = part.directory.directory(name)?;
            parts.push(Part { directory, xattr_whiteouts: opacity == Opacity::XattrWhiteouts });
            if opacity == Opacity::Opaque {
                break;
            }
        }
        match parts.is_empty() {
            true => Err(Error::Changed { path }),
            false => Ok(Arc::new(Self::new(path, parts))),
        }
    }

    fn link_target(&self, name: &[u8]) -> Result<Vec<u8>, Error> {
        self.owner(name)?.directory.link_target(name)
    }

    fn file(&self, name: &[u8]) -> Result<OpenFile, Error> {
        without_overlay_xattrs(self.owner(name)?.directory.file(name)?, || join(&self.path, name))
    }

    fn xattr(&self, name: &[u8], key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        match is_overlay_xattr(key) {
            true => Ok(None),
            false => self.owner(name)?.directory.xattr(name, key),
        }
    }

    fn xattr_names(&self, name: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
        let mut names = self.owner(name)?.directory.xattr_names(name)?;
        names.retain(|key| !is_overlay_xattr(key));
        Ok(names)
    }
}
