//! Whether one upperdir is all that two lists of mounts differ in.

use std::path::PathBuf;

use cache_core::mount::OverlayLayers;
use cache_core::ports::{Mount, MountKind};

/// An upperdir, and what lies below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upperdir {
    /// The directory that holds the change.
    pub upper: PathBuf,
    /// The directories below it, the nearest first.
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
                _ => directories(lower)?,
            };
            let mut all = directories(upper)?;
            let differs_in_one = all.len() == below.len() + 1 && all[1..] == below;
            differs_in_one.then(|| Upperdir { upper: all.swap_remove(0), lowers: below })
        }
        _ => None,
    }
}

/// The directories of an overlay mount, topmost first; `None` for other mounts, and where an option is unknown.
fn directories(mount: &Mount) -> Option<Vec<PathBuf>> {
    let layers = OverlayLayers::of(mount).ok()??;
    let known = |option: &String| {
        ["index=off", "userxattr", "ro", "rw"].contains(&option.as_str()) || option.starts_with("redirect_dir=")
    };
    layers.options.iter().all(known).then(|| layers.upper.into_iter().chain(layers.lower).collect())
}
