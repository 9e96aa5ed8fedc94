//! Which directories an overlay's mounts are made of, and whether one upperdir is all that two of them differ in.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use cache_core::ports::{Mount, MountKind};

/// An upperdir, and what lies below it, topmost first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upperdir {
    /// The directory that holds the change.
    pub upper: PathBuf,
    /// The directories below it, topmost first.
    pub lowers: Vec<PathBuf>,
}

/// The upperdir in which `upper` differs from `lower`, if the mounts say that it is one. Anything else, and any option
/// whose meaning is unknown here, is `None`: two trees have to be compared then.
///
/// Mirrors: BuildKit `util/overlay`, `GetUpperdir` and `GetOverlayLayers`.
#[must_use]
pub fn upperdir(lower: &[Mount], upper: &[Mount]) -> Option<Upperdir> {
    match (lower, upper) {
        ([], [upper]) if upper.kind == MountKind::Bind => {
            Some(Upperdir { upper: upper.source.clone(), lowers: Vec::new() })
        }
        ([lower], [upper]) if upper.kind == MountKind::Overlay => {
            let below = match lower.kind {
                MountKind::Bind => vec![lower.source.clone()],
                MountKind::Overlay => overlay_directories(lower)?,
                MountKind::Other(_) => return None,
            };
            let mut all = overlay_directories(upper)?;
            if all.len() != below.len() + 1 || all[1..] != below {
                return None;
            }
            let upper = all.remove(0);
            Some(Upperdir { upper, lowers: below })
        }
        _ => None,
    }
}

/// The directories of an overlay mount, topmost first; `None` where an option is unknown.
fn overlay_directories(mount: &Mount) -> Option<Vec<PathBuf>> {
    let (mut upper, mut lowers) = (None, Vec::new());
    for option in &mount.options {
        match option.split_once('=') {
            Some(("upperdir", path)) => upper = unescape(path).into_iter().next(),
            Some(("lowerdir", paths)) => lowers = unescape(paths),
            Some(("workdir" | "redirect_dir", _)) | Some(("index", "off")) => {}
            None if option == "userxattr" => {}
            _ => return None,
        }
    }
    Some(upper.into_iter().chain(lowers).collect())
}

/// The paths of a list whose separators are colons; a backslash takes the special meaning from the byte after it.
fn unescape(list: &str) -> Vec<PathBuf> {
    let mut paths = vec![Vec::new()];
    let mut bytes = OsString::from(list).as_bytes().to_vec().into_iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b':' => paths.push(Vec::new()),
            b'\\' => paths.extend_last(bytes.next()),
            other => paths.extend_last(Some(other)),
        }
    }
    paths.into_iter().map(|path| PathBuf::from(OsString::from_vec(path))).collect()
}

trait ExtendLast {
    fn extend_last(&mut self, byte: Option<u8>);
}

impl ExtendLast for Vec<Vec<u8>> {
    fn extend_last(&mut self, byte: Option<u8>) {
        if let Some(last) = self.last_mut() {
            last.extend(byte);
        }
    }
}
