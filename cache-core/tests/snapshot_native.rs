//! The native snapshotter: what a copy of a tree keeps.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, missing_docs)]

mod snapshot_support;

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cache_core::ports::{Access, Job, MountKind, Mounter, Pool, Snapshotter};
use cache_core::snapshot::{NativeOptions, Ownership, SnapshotRows};
use cache_core::{ErrorKind, Labels, Result};
use pollster::block_on;
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags};
use rustix::process::geteuid;
use snapshot_support::{Fixture, is_root};

/// Makes a tree in a snapshot, and gives the copy of it that the next snapshot starts with.
fn copy_of(fixture: &Fixture, make: impl FnOnce(&Path)) -> (PathBuf, PathBuf) {
    let original = fixture.prepare("a", None)[0].source.clone();
    make(&original);
    fixture.commit("base", "a");
    let copy = fixture.prepare("copy", Some("base"))[0].source.clone();
    assert_ne!(original, copy);
    (original, copy)
}

fn set_xattr(path: &Path, name: &str, value: &[u8]) -> rustix::io::Result<()> {
    rustix::fs::lsetxattr(path, name, value, XattrFlags::empty())
}

fn xattr(path: &Path, name: &str) -> rustix::io::Result<Vec<u8>> {
    let mut value = vec![0; 100_000];
    let length = rustix::fs::lgetxattr(path, name, &mut *value)?;
    value.truncate(length);
    Ok(value)
}

#[test]
fn an_active_snapshot_is_a_bind_mount_of_its_own_copy() {
    let fixture = Fixture::native();
    let mounts = fixture.prepare("a", None);
    assert_eq!(mounts[0].kind, MountKind::Bind);
    assert_eq!(mounts[0].source, fixture.snapshot_directory(1));
    assert_eq!(mounts[0].options, ["rbind", "rw"]);
    assert_eq!(fs::metadata(&mounts[0].source).unwrap().mode() & 0o7777, 0o755);
}

#[test]
fn a_view_is_a_read_only_bind_mount_of_its_parent_and_has_no_directory() {
    let fixture = Fixture::native();
    fixture.prepare("a", None);
    fixture.commit("base", "a");
    let mounts = fixture.view("v", Some("base"));
    assert_eq!(mounts[0].source, fixture.snapshot_directory(1));
    assert_eq!(mounts[0].options, ["rbind", "ro"]);
    assert_eq!(fixture.directories(), ["1"]);
    let mounts = fixture.view("empty", None);
    assert_eq!(mounts[0].source, fixture.snapshot_directory(3));
    assert_eq!(snapshot_support::names(&mounts[0].source), [""; 0]);
}

#[test]
fn a_copy_does_not_follow_its_parent_or_the_other_way_round() {
    let fixture = Fixture::native();
    let (original, copy) = copy_of(&fixture, |root| fs::write(root.join("file"), "one").unwrap());
    fs::write(copy.join("file"), "two").unwrap();
    assert_eq!(fs::read_to_string(original.join("file")).unwrap(), "one");
}

#[test]
fn hard_links_stay_hard_links_also_across_directories() {
    let fixture = Fixture::native();
    let (original, copy) = copy_of(&fixture, |root| {
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::create_dir(root.join("z")).unwrap();
        fs::write(root.join("a/b/file"), "contents").unwrap();
        fs::hard_link(root.join("a/b/file"), root.join("z/link")).unwrap();
        fs::hard_link(root.join("a/b/file"), root.join("top")).unwrap();
        symlink("nowhere", root.join("symbolic")).unwrap();
        rustix::fs::linkat(CWD, root.join("symbolic"), CWD, root.join("symbolic-link"), AtFlags::empty()).unwrap();
    });
    let inode = |name: &str| fs::symlink_metadata(copy.join(name)).unwrap().ino();
    assert_eq!(inode("a/b/file"), inode("z/link"));
    assert_eq!(inode("a/b/file"), inode("top"));
    assert_eq!(inode("symbolic"), inode("symbolic-link"));
    assert_eq!(fs::metadata(copy.join("top")).unwrap().nlink(), 3);
    assert_ne!(inode("top"), fs::metadata(original.join("top")).unwrap().ino());
}

#[test]
fn holes_stay_holes_at_the_start_in_the_middle_and_at_the_end() {
    let fixture = Fixture::native();
    const MEBIBYTE: u64 = 1 << 20;
    let (original, copy) = copy_of(&fixture, |root| {
        let file = File::create(root.join("sparse")).unwrap();
        file.write_all_at(b"one", 8 * MEBIBYTE).unwrap();
        file.write_all_at(b"two", 16 * MEBIBYTE).unwrap();
        file.set_len(64 * MEBIBYTE).unwrap();
        File::create(root.join("only-hole")).unwrap().set_len(32 * MEBIBYTE).unwrap();
    });
    for name in ["sparse", "only-hole"] {
        let copied = fs::metadata(copy.join(name)).unwrap();
        assert_eq!(copied.len(), fs::metadata(original.join(name)).unwrap().len());
        assert!(copied.blocks() * 512 < MEBIBYTE, "{name} takes {} blocks", copied.blocks());
    }
    assert!(fs::read(copy.join("sparse")).unwrap() == fs::read(original.join("sparse")).unwrap());
}

#[test]
fn times_modes_and_links_are_kept_exactly() {
    let fixture = Fixture::native();
    let times = Timestamps {
        last_access: Timespec { tv_sec: 1_000_000_001, tv_nsec: 123_456_789 },
        last_modification: Timespec { tv_sec: -5, tv_nsec: 987_654_321 },
    };
    let names = ["directory", "directory/file", "link", "fifo", "read-only", "read-only/file"];
    let (original, copy) = copy_of(&fixture, |root| {
        fs::create_dir(root.join("directory")).unwrap();
        fs::create_dir(root.join("read-only")).unwrap();
        for file in ["directory/file", "read-only/file"] {
            fs::write(root.join(file), "contents").unwrap();
        }
        symlink("directory/../file with spaces", root.join("link")).unwrap();
        rustix::fs::mknodat(CWD, root.join("fifo"), FileType::Fifo, Mode::from_raw_mode(0o640), 0).unwrap();
        fs::set_permissions(root.join("directory/file"), fs::Permissions::from_mode(0o6751)).unwrap();
        fs::set_permissions(root.join("directory"), fs::Permissions::from_mode(0o3777)).unwrap();
        fs::set_permissions(root.join("read-only"), fs::Permissions::from_mode(0o555)).unwrap();
        for name in names.iter().rev() {
            rustix::fs::utimensat(CWD, root.join(name), &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
        }
        rustix::fs::utimensat(CWD, root, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
    });
    for name in names.iter().chain([&""]) {
        let (from, to) =
            (fs::symlink_metadata(original.join(name)).unwrap(), fs::symlink_metadata(copy.join(name)).unwrap());
        assert_eq!(to.mode(), from.mode(), "{name}");
        assert_eq!((to.mtime(), to.mtime_nsec()), (-5, 987_654_321), "{name}");
        assert_eq!((to.atime(), to.atime_nsec()), (1_000_000_001, 123_456_789), "{name}");
    }
    // Last, because it changes the access time.
    assert_eq!(fs::read_link(copy.join("link")).unwrap(), Path::new("directory/../file with spaces"));
    assert!(fs::symlink_metadata(copy.join("fifo")).unwrap().file_type().is_fifo());
}

#[test]
fn user_attributes_are_kept_on_files_directories_and_read_only_files() {
    let fixture = Fixture::native();
    let large = vec![b'x'; 3000];
    let (original, copy) = copy_of(&fixture, |root| {
        fs::create_dir(root.join("directory")).unwrap();
        fs::write(root.join("file"), "").unwrap();
        for name in ["directory", "file", ""] {
            // A file system without them has nothing to keep.
            let _ = set_xattr(&root.join(name), "user.empty", b"");
            let _ = set_xattr(&root.join(name), "user.large", &large);
        }
        fs::set_permissions(root.join("file"), fs::Permissions::from_mode(0o400)).unwrap();
    });
    for name in ["directory", "file", ""] {
        for attribute in ["user.empty", "user.large"] {
            assert_eq!(
                xattr(&copy.join(name), attribute),
                xattr(&original.join(name), attribute),
                "{name} {attribute}"
            );
        }
    }
}

#[test]
fn root_keeps_owners_devices_sockets_and_privileged_attributes() {
    if !is_root() {
        return;
    }
    let fixture = Fixture::native();
    // Version 2, cap_net_bind_service in the permitted set.
    let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let (_, copy) = copy_of(&fixture, |root| {
        let node = |name: &str, kind, device| {
            rustix::fs::mknodat(CWD, root.join(name), kind, Mode::from_raw_mode(0o666), device).unwrap();
        };
        node("null", FileType::CharacterDevice, rustix::fs::makedev(1, 3));
        node("disk", FileType::BlockDevice, rustix::fs::makedev(7, 300));
        node("socket", FileType::Socket, 0);
        fs::write(root.join("program"), "#!").unwrap();
        symlink("program", root.join("link")).unwrap();
        lchown(root.join("program"), Some(1000), Some(2000)).unwrap();
        fs::set_permissions(root.join("program"), fs::Permissions::from_mode(0o4755)).unwrap();
        set_xattr(&root.join("program"), "security.capability", &capability).unwrap();
        lchown(root.join("link"), Some(3000), Some(4000)).unwrap();
        set_xattr(&root.join("link"), "trusted.link", b"value").unwrap();
        set_xattr(&root.join("null"), "trusted.device", b"value").unwrap();
        lchown(root, Some(5000), Some(6000)).unwrap();
    });
    let metadata = |name: &str| fs::symlink_metadata(copy.join(name)).unwrap();
    let owner = |name: &str| (metadata(name).uid(), metadata(name).gid());
    assert_eq!(metadata("null").rdev(), rustix::fs::makedev(1, 3));
    assert_eq!(metadata("disk").rdev(), rustix::fs::makedev(7, 300));
    assert!(metadata("disk").file_type().is_block_device());
    assert!(metadata("socket").file_type().is_socket());
    assert_eq!((owner("program"), owner("link"), owner("")), ((1000, 2000), (3000, 4000), (5000, 6000)));
    assert_eq!(metadata("program").mode() & 0o7777, 0o4755);
    assert_eq!(xattr(&copy.join("program"), "security.capability").unwrap(), capability);
    assert_eq!(xattr(&copy.join("link"), "trusted.link").unwrap(), b"value");
    assert_eq!(xattr(&copy.join("null"), "trusted.device").unwrap(), b"value");
}

#[test]
fn names_that_are_not_utf8_and_directories_deeper_than_a_path_are_kept_measured_and_removed() {
    use std::os::unix::ffi::OsStrExt;
    let fixture = Fixture::native();
    let odd = std::ffi::OsStr::from_bytes(b"\xff\xfe \n\x01");
    const DEPTH: u64 = 40;
    let (_, copy) = copy_of(&fixture, |root| {
        fs::write(root.join(odd), "odd").unwrap();
        let mut directory = rustix::fs::open(root, rustix::fs::OFlags::PATH, Mode::empty()).unwrap();
        let name = "d".repeat(250);
        for _ in 0..DEPTH {
            rustix::fs::mkdirat(&directory, &name, Mode::RWXU).unwrap();
            directory = rustix::fs::openat(&directory, &name, rustix::fs::OFlags::PATH, Mode::empty()).unwrap();
        }
        rustix::fs::mknodat(&directory, "bottom", FileType::Fifo, Mode::RUSR, 0).unwrap();
    });
    assert_eq!(fs::read(copy.join(odd)).unwrap(), b"odd");
    // The root, the odd file, the directories, the FIFO.
    assert_eq!(block_on(fixture.snapshotter.usage("base")).unwrap().inodes, DEPTH + 3);
    assert_eq!(block_on(fixture.snapshotter.usage("copy")).unwrap().inodes, DEPTH + 3);
    for key in ["copy", "base"] {
        block_on(fixture.snapshotter.remove(key)).unwrap();
    }
    assert!(fixture.directories().is_empty());
}

#[test]
fn files_share_blocks_where_the_file_system_has_reflinks() {
    let fixture = Fixture::native();
    const BYTES: usize = 8 << 20;
    let (original, _) = copy_of(&fixture, |root| fs::write(root.join("file"), vec![7; BYTES]).unwrap());
    let probe = File::create(fixture.directory.path().join("scratch/probe")).unwrap();
    let file = File::open(original.join("file")).unwrap();
    if let Err(error) = rustix::fs::ioctl_ficlone(&probe, &file) {
        eprintln!("skipped: no reflinks here ({error})");
        return;
    }
    let free = || rustix::fs::statvfs(fixture.rows.directory()).map(|stat| stat.f_bavail * stat.f_frsize).unwrap();
    rustix::fs::sync();
    let before = free();
    fixture.prepare("another", Some("base"));
    rustix::fs::sync();
    assert!(before.saturating_sub(free()) < BYTES as u64 / 2);
}

/// A pool whose threads have given up root, each for itself.
#[derive(Debug)]
struct Unprivileged;

const USER: u32 = 65534;

impl Pool for Unprivileged {
    fn spawn(&self, job: Job) -> Result<()> {
        std::thread::spawn(move || {
            if geteuid().is_root() {
                let (user, group) = (Uid::from_raw(USER), Gid::from_raw(USER));
                rustix::thread::set_thread_groups(&[]).unwrap();
                rustix::thread::set_thread_res_gid(group, group, group).unwrap();
                rustix::thread::set_thread_res_uid(user, user, user).unwrap();
            }
            job();
        });
        Ok(())
    }
}

/// Puts a file of root's into the snapshot `a` of an ordinary user.
fn foreign_file(fixture: &Fixture) {
    let root = fixture.prepare("a", None)[0].source.clone();
    fs::write(root.join("of-root"), "contents").unwrap();
    fs::create_dir(root.join("read-only")).unwrap();
    fs::write(root.join("read-only/file"), "contents").unwrap();
    for path in ["read-only/file", "read-only"] {
        lchown(root.join(path), Some(USER), Some(USER)).unwrap();
    }
    set_xattr(&root.join("read-only"), "user.name", b"value").unwrap();
    fs::set_permissions(root.join("read-only"), fs::Permissions::from_mode(0o555)).unwrap();
    fixture.commit("base", "a");
}

#[test]
fn an_ordinary_user_gets_copies_of_its_own() {
    if !is_root() {
        return;
    }
    let fixture = Fixture::native_with(Arc::new(Unprivileged), NativeOptions::default());
    foreign_file(&fixture);
    let copy = fixture.prepare("copy", Some("base"))[0].source.clone();
    let metadata = fs::metadata(copy.join("of-root")).unwrap();
    assert_eq!((metadata.uid(), metadata.gid()), (USER, USER));
    assert_eq!(fs::metadata(copy.join("read-only")).unwrap().mode() & 0o7777, 0o555);
    assert_eq!(xattr(&copy.join("read-only"), "user.name").unwrap(), b"value");
    block_on(fixture.snapshotter.remove("copy")).unwrap();
    assert_eq!(fixture.directories(), ["1"], "read-only directories are no hindrance");
}

#[test]
fn an_ordinary_user_who_wants_exact_owners_is_refused_and_leaves_nothing() {
    if !is_root() {
        return;
    }
    let options = NativeOptions::default().with_ownership(Ownership::Exact);
    let fixture = Fixture::native_with(Arc::new(Unprivileged), options);
    foreign_file(&fixture);
    let refused = block_on(fixture.snapshotter.prepare(&fixture.lease, "copy", Some("base"), Labels::new()));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::PermissionDenied);
    assert_eq!(block_on(fixture.snapshotter.stat("copy")).unwrap(), None);
}

#[test]
fn an_ordinary_user_can_write_through_mounts_and_never_through_a_view_that_asks_to() {
    if !is_root() {
        return;
    }
    let fixture = Fixture::native_with(Arc::new(Unprivileged), NativeOptions::default());
    let tree = fixture.mount(&fixture.prepare("a", None), Access::ReadWrite);
    fs::write(tree.path().join("file"), "contents").unwrap();
    drop(tree);
    fixture.commit("base", "a");
    let view = fixture.view("v", Some("base"));
    let tree = fixture.mount(&view, Access::ReadOnly);
    assert_eq!(fs::read(tree.path().join("file")).unwrap(), b"contents");
    let refused = block_on(fixture.mounter.mount(&view, Access::ReadWrite));
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::PermissionDenied);
}
