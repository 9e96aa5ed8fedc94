//! Which options an overlay mount gets besides its layers.

use std::fs;
use std::path::Path;

/// The part of the machine that decides about options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Machine {
    /// The kernel's overlayfs knows `index`.
    pub(super) knows_index: bool,
    /// This process is in a user namespace, where `trusted.*` attributes are out of reach.
    pub(super) user_namespace: bool,
    /// The snapshots lie on a tmpfs, which has had `user.*` attributes only since Linux 6.6.
    pub(super) tmpfs: bool,
}

impl Machine {
    pub(super) fn detect(directory: &Path) -> Self {
        Self {
            knows_index: Path::new("/sys/module/overlay/parameters/index").exists(),
            user_namespace: in_user_namespace(),
            tmpfs: rustix::fs::statfs(directory).is_ok_and(|stat| stat.f_type as u64 == TMPFS_MAGIC),
        }
    }
}

/// `TMPFS_MAGIC` of linux/magic.h.
const TMPFS_MAGIC: u64 = 0x0102_1994;

/// The configured options, and those that the machine calls for unless they say otherwise.
///
/// `index=off`: with an index the kernel refuses to reuse an upper directory over other lower ones, which views of active
/// snapshots do. Mirrors: containerd `plugins/snapshots/overlay/overlay.go`, `NewSnapshotter`.
pub(super) fn complete(configured: &[String], machine: Machine) -> Vec<String> {
    let mut options = configured.to_vec();
    let names = |options: &[String], name: &str| {
        options.iter().any(|option| option.split_once('=').map_or(option.as_str(), |(key, _)| key) == name)
    };
    if machine.knows_index && !names(&options, "index") {
        options.push("index=off".to_owned());
    }
    if machine.user_namespace && !machine.tmpfs && !names(&options, "userxattr") {
        options.push("userxattr".to_owned());
    }
    options
}

/// Whether identifiers are mapped: the initial namespace maps all of them to themselves (user_namespaces(7)).
fn in_user_namespace() -> bool {
    let Ok(map) = fs::read_to_string("/proc/self/uid_map") else {
        // A kernel without user namespaces.
        return false;
    };
    map.split_whitespace().ne(["0", "0", "4294967295"])
}
