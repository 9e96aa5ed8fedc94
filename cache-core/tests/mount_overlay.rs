//! Overlay trees that are attached nowhere.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod snapshot_support;

use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cache_core::mount::{LinuxMounter, MAX_LOWER_LAYERS, MountCalls, OverlayLayers};
use cache_core::ports::{Access, Mount, MountKind, MountedTree, Mounter};
use cache_core::{ErrorKind, Result, ThreadPool};
use pollster::block_on;
use rustix::fs::{Mode, OFlags, openat};
use snapshot_support::{EROFS, create, errno, may_mount, names};
use tempfile::TempDir;

const CALLS: [MountCalls; 2] = [MountCalls::Automatic, MountCalls::Classic];

fn mount(scratch: &Path, mounts: &[Mount], access: Access, calls: MountCalls) -> Result<Arc<dyn MountedTree>> {
    let mounter = LinuxMounter::new(Arc::new(ThreadPool::new()), scratch).with_calls(calls);
    block_on(mounter.mount(mounts, access))
}

/// Two lower layers with a file of their own each, an upper and a work directory below `root`.
fn layers(root: &Path) -> OverlayLayers {
    for name in ["near", "far", "upper", "work"] {
        fs::create_dir_all(root.join(name)).unwrap();
        fs::write(root.join(name).join(name), name).unwrap();
    }
    for name in ["near", "far"] {
        fs::write(root.join(name).join("both"), name).unwrap();
    }
    fs::remove_file(root.join("work/work")).unwrap();
    let lower = vec![root.join("near"), root.join("far")];
    let options = vec!["index=off".to_owned()];
    OverlayLayers { work: Some(root.join("work")), upper: Some(root.join("upper")), lower, options }
}

fn mounts_of_everybody() -> String {
    fs::read_to_string("/proc/self/mountinfo").unwrap()
}

#[test]
fn a_tree_is_written_to_through_its_path_and_its_handle_and_is_attached_nowhere() {
    if !may_mount() {
        return;
    }
    for calls in CALLS {
        let directory = TempDir::new().unwrap();
        let layers = layers(directory.path());
        let tree = mount(directory.path(), &[layers.to_mount().unwrap()], Access::ReadWrite, calls).unwrap();
        assert_eq!(names(&tree.path()), ["both", "far", "near", "upper"], "{calls:?}");
        assert_eq!(fs::read_to_string(tree.path().join("both")).unwrap(), "near");
        create(&tree.path().join("by-path")).unwrap();
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        openat(tree.directory(), "by-handle", flags, Mode::RUSR).unwrap();
        fs::remove_file(tree.path().join("far")).unwrap();
        let listed = rustix::fs::Dir::read_from(tree.directory()).unwrap().count();
        assert_eq!(listed, 2 + 5, "the handle can be listed");
        assert!(!mounts_of_everybody().contains(directory.path().to_str().unwrap()), "{calls:?}");
        drop(tree);
        assert_eq!(names(&directory.path().join("upper")), ["by-handle", "by-path", "far", "upper"]);
        assert!(directory.path().join("far/far").exists());
    }
}

#[test]
fn read_only_access_to_a_writable_overlay_shows_its_upper_directory_and_refuses_changes() {
    if !may_mount() {
        return;
    }
    for calls in CALLS {
        let directory = TempDir::new().unwrap();
        let layers = layers(directory.path());
        let tree = mount(directory.path(), &[layers.to_mount().unwrap()], Access::ReadOnly, calls).unwrap();
        assert_eq!(names(&tree.path()), ["both", "far", "near", "upper"], "{calls:?}");
        assert_eq!(errno(create(&tree.path().join("new"))), Some(EROFS), "{calls:?}");
        assert_eq!(errno(fs::remove_file(tree.path().join("upper"))), Some(EROFS), "{calls:?}");
        assert!(names(&directory.path().join("work")).is_empty(), "the work directory is not touched");
    }
}

#[test]
fn directories_with_colons_backslashes_commas_and_long_names_can_be_layers() {
    if !may_mount() {
        return;
    }
    for name in [r"a:b", r"a\b", r"a\:b", "a,b", r"ends\", &"long/".repeat(120)] {
        for calls in CALLS {
            let directory = TempDir::new().unwrap();
            let layers = layers(&directory.path().join(name));
            let described = layers.to_mount().unwrap();
            assert_eq!(OverlayLayers::of(&described).unwrap().unwrap(), layers);
            let tree = mount(directory.path(), &[described], Access::ReadWrite, calls).unwrap();
            assert_eq!(names(&tree.path()), ["both", "far", "near", "upper"], "{name} {calls:?}");
            create(&tree.path().join("new")).unwrap();
            assert!(directory.path().join(name).join("upper/new").exists());
        }
    }
}

#[test]
fn as_many_layers_as_the_kernel_takes_can_be_mounted_and_one_more_is_a_limit() {
    if !may_mount() {
        return;
    }
    let directory = TempDir::new().unwrap();
    let mut lower: Vec<PathBuf> = Vec::new();
    for number in 0..=MAX_LOWER_LAYERS {
        let path = directory.path().join(format!("a-rather-long-name-of-a-layer-{number}"));
        fs::create_dir(&path).unwrap();
        fs::write(path.join(number.to_string()), "").unwrap();
        lower.push(path);
    }
    for calls in CALLS {
        let mut layers = OverlayLayers { lower: lower[1..].to_vec(), ..OverlayLayers::default() };
        let tree = mount(directory.path(), &[layers.to_mount().unwrap()], Access::ReadOnly, calls).unwrap();
        assert_eq!(names(&tree.path()).len(), MAX_LOWER_LAYERS, "{calls:?}");
        layers.lower = lower.clone();
        let refused = mount(directory.path(), &[layers.to_mount().unwrap()], Access::ReadOnly, calls);
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::LimitExceeded);
    }
}

#[test]
fn volatile_is_left_out_because_the_next_mount_would_be_refused() {
    if !may_mount() {
        return;
    }
    let directory = TempDir::new().unwrap();
    let mut layers = layers(directory.path());
    layers.options.push("volatile".to_owned());
    for _ in 0..2 {
        mount(directory.path(), &[layers.to_mount().unwrap()], Access::ReadWrite, MountCalls::Automatic).unwrap();
    }
}

#[test]
fn what_is_wrong_with_an_overlay_is_told_by_kind() {
    if !may_mount() {
        return;
    }
    let directory = TempDir::new().unwrap();
    let good = layers(directory.path());
    let cases = [
        (OverlayLayers { lower: Vec::new(), ..good.clone() }, ErrorKind::Invalid),
        (OverlayLayers { work: None, ..good.clone() }, ErrorKind::Invalid),
        (OverlayLayers { lower: vec![directory.path().join("missing")], ..good.clone() }, ErrorKind::NotFound),
        (OverlayLayers { upper: Some(directory.path().join("missing")), ..good.clone() }, ErrorKind::NotFound),
        (OverlayLayers { options: vec!["no-such-option=1".to_owned()], ..good.clone() }, ErrorKind::Invalid),
        (OverlayLayers { options: vec!["no-such-flag".to_owned()], ..good.clone() }, ErrorKind::Invalid),
    ];
    for calls in CALLS {
        for (layers, kind) in &cases {
            let mut described = OverlayLayers { lower: vec![PathBuf::from("x")], ..layers.clone() }.to_mount().unwrap();
            if layers.lower.is_empty() {
                described.options.retain(|option| !option.starts_with("lowerdir"));
            } else {
                described = layers.to_mount().unwrap();
            }
            let refused = mount(directory.path(), &[described], Access::ReadWrite, calls);
            assert_eq!(refused.unwrap_err().kind(), *kind, "{calls:?} {layers:?}");
        }
    }
    let empty_name =
        Mount { kind: MountKind::Overlay, source: "overlay".into(), options: vec!["lowerdir=/a::/b".to_owned()] };
    assert_eq!(OverlayLayers::of(&empty_name).unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn a_tree_lives_until_its_last_handle_is_dropped() {
    if !may_mount() {
        return;
    }
    for calls in CALLS {
        let directory = TempDir::new().unwrap();
        let layers = layers(directory.path());
        let tree = mount(directory.path(), &[layers.to_mount().unwrap()], Access::ReadOnly, calls).unwrap();
        let other = Arc::clone(&tree);
        drop(tree);
        assert_eq!(names(&other.path()).len(), 4, "{calls:?}");
        let kept = other.directory().as_fd().try_clone_to_owned().unwrap();
        drop(other);
        assert!(openat(&kept, "near", OFlags::RDONLY, Mode::empty()).is_ok(), "an open directory stays usable");
    }
}
