//! Owners and modes of files are those of the archive, although a new file that has them already is left as it is.
#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::unwrap_used)]

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use cache_blobs::apply::{ApplyOptions, unpack};
use cache_blobs::tar::{Header, Writer};
use rustix::fs::Mode;
use tempfile::tempdir;

const MODES: [u32; 10] = [0o644, 0o600, 0o755, 0o777, 0o000, 0o444, 0o4755, 0o2755, 0o1644, 0o7777];

/// A file of each mode, of these owners, and another one with an attribute.
fn archive(uid: u64, gid: u64) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for mode in MODES {
        let file = |name: String| Header::file(name, 4).with_mode(mode).with_owner(uid, gid);
        writer.append(&file(format!("{mode:o}")), &b"data"[..]).unwrap();
        let mut attributed = file(format!("{mode:o}-attributed"));
        attributed.xattrs.insert(b"user.key".to_vec(), b"value".to_vec());
        writer.append(&attributed, &b"data"[..]).unwrap();
    }
    writer.finish().unwrap()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The modes below `root`, which has to hold nothing else, and the owners.
fn compare(root: &Path, owner: (u32, u32), what: &str) {
    assert_eq!(fs::read_dir(root).unwrap().count(), 2 * MODES.len());
    for mode in MODES {
        for name in [format!("{mode:o}"), format!("{mode:o}-attributed")] {
            let metadata = fs::symlink_metadata(root.join(&name)).unwrap();
            assert_eq!(metadata.mode() & 0o7777, mode, "the mode of {name} {what}");
            assert_eq!((metadata.uid(), metadata.gid()), owner, "the owner of {name} {what}");
            assert_eq!(metadata.len(), 4);
        }
    }
}

/// One test, since the process has one umask.
#[test]
fn owners_and_modes_are_those_of_the_archive_whatever_a_new_file_has() {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let own = archive(uid.into(), gid.into());
    for umask in [0o022, 0o077, 0o000, 0o777] {
        let before = rustix::process::umask(Mode::from_raw_mode(umask));
        let root = tempdir().unwrap();
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        unpack(&own[..], File::open(root.path()).unwrap(), &ApplyOptions::default()).unwrap();
        compare(root.path(), (uid, gid), &format!("under the umask {umask:o}"));
        rustix::process::umask(before);
    }
    if !is_root() {
        return;
    }
    for (uid, gid) in [(0, 0), (1000, 0), (0, 1000), (1000, 1000)] {
        let archive = archive(uid.into(), gid.into());
        // Whose group new files get.
        let root = tempdir().unwrap();
        chown(root.path(), None, Some(1234)).unwrap();
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o2755)).unwrap();
        unpack(&archive[..], File::open(root.path()).unwrap(), &ApplyOptions::default()).unwrap();
        compare(root.path(), (uid, gid), "below a directory that gives its group");
    }
}
