//! The layers of an overlay mount, as its options list them.

use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};
use crate::ports::{Mount, MountKind};

/// Lower layers that the kernel accepts (`OVL_MAX_STACK` in fs/overlayfs/params.h).
pub const MAX_LOWER_LAYERS: usize = 500;

/// What an overlay mount is made of. In the options a `:` or a `\` of a directory's name is escaped by a `\`, as the kernel
/// reads it; here the names are plain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OverlayLayers {
    /// Where overlayfs prepares changes; on the same file system as `upper`.
    pub work: Option<PathBuf>,
    /// Where changes go. Without it the mount is read-only.
    pub upper: Option<PathBuf>,
    /// What lies under it, the nearest first.
    pub lower: Vec<PathBuf>,
    /// The other options, in their order.
    pub options: Vec<String>,
}

impl OverlayLayers {
    /// The layers of `mount`; `None` if it is no overlay mount. The last of several equal options counts.
    ///
    /// # Errors
    /// `Invalid` if a directory's name is empty.
    pub fn of(mount: &Mount) -> Result<Option<Self>> {
        if mount.kind != MountKind::Overlay {
            return Ok(None);
        }
        let mut layers = Self::default();
        for option in &mount.options {
            match option.split_once('=') {
                Some(("workdir", path)) => layers.work = Some(single(path)?),
                Some(("upperdir", path)) => layers.upper = Some(single(path)?),
                Some(("lowerdir", paths)) => layers.lower = split(paths)?,
                _ => layers.options.push(option.clone()),
            }
        }
        Ok(Some(layers))
    }

    /// The mount of these layers. Options are in containerd's order: `workdir`, `upperdir`, `lowerdir`, the others.
    ///
    /// # Errors
    /// `Invalid` if a directory's name is not UTF-8.
    pub fn to_mount(&self) -> Result<Mount> {
        let mut options = Vec::with_capacity(3 + self.options.len());
        if let Some(work) = &self.work {
            options.push(format!("workdir={}", escape(work)?));
        }
        if let Some(upper) = &self.upper {
            options.push(format!("upperdir={}", escape(upper)?));
        }
        let lower = self.lower.iter().map(|path| escape(path)).collect::<Result<Vec<_>>>()?;
        options.push(format!("lowerdir={}", lower.join(":")));
        options.extend_from_slice(&self.options);
        Ok(Mount { kind: MountKind::Overlay, source: PathBuf::from("overlay"), options })
    }

    /// The same tree, with the upper directory as the topmost lower one, so that nothing can be changed through it. What
    /// others change in the upper directory meanwhile shows up or does not (the kernel leaves it undefined).
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.work = None;
        if let Some(upper) = self.upper.take() {
            self.lower.insert(0, upper);
        }
        self
    }
}

fn escape(path: &Path) -> Result<String> {
    let text = path.to_str().ok_or_else(|| Error::new(ErrorKind::Invalid, "describe overlay mount", path.display()))?;
    Ok(text.replace('\\', r"\\").replace(':', r"\:"))
}

fn single(text: &str) -> Result<PathBuf> {
    let mut path = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        path.push(if character == '\\' { characters.next().unwrap_or(character) } else { character });
    }
    if path.is_empty() {
        return Err(Error::new(ErrorKind::Invalid, "read overlay mount", "an empty directory name"));
    }
    Ok(PathBuf::from(path))
}

fn split(text: &str) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (position, character) in text.char_indices() {
        if character == ':' && !escaped {
            paths.push(single(&text[start..position])?);
            start = position + 1;
        }
        escaped = character == '\\' && !escaped;
    }
    paths.push(single(&text[start..])?);
    Ok(paths)
}
