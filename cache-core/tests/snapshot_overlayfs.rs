//! The overlayfs snapshotter: its directories, its mounts and what is seen through them.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod snapshot_support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use cache_core::mount::OverlayLayers;
use cache_core::ports::{Access, Mount, MountKind, Snapshotter};
use cache_core::snapshot::{Durability, OverlayfsOptions};
use pollster::block_on;
use snapshot_support::{EROFS, Fixture, create, errno, is_root, may_mount};

fn keys(mount: &Mount) -> Vec<&str> {
    mount.options.iter().map(|option| option.split('=').next().unwrap()).collect()
}

fn knows_index() -> bool {
    Path::new("/sys/module/overlay/parameters/index").exists()
}

#[test]
fn an_empty_active_snapshot_is_a_bind_mount_of_fs() {
    let fixture = Fixture::overlayfs();
    let mounts = fixture.prepare("a", None);
    let source = fixture.snapshot_directory(1).join("fs");
    let options = vec!["rw".to_owned(), "rbind".to_owned()];
    assert_eq!(mounts, [Mount { kind: MountKind::Bind, source, options }]);
    assert_eq!(mounts, block_on(fixture.snapshotter.mounts("a")).unwrap());
}

#[test]
fn an_active_snapshot_has_fs_and_work_and_a_view_without_parent_only_fs() {
    let fixture = Fixture::overlayfs();
    fixture.prepare("a", None);
    fixture.view("v", None);
    assert_eq!(snapshot_support::names(&fixture.snapshot_directory(1)), ["fs", "work"]);
    assert_eq!(snapshot_support::names(&fixture.snapshot_directory(2)), ["fs"]);
    let mode = |path: PathBuf| fs::metadata(path).unwrap().mode() & 0o7777;
    assert_eq!(mode(fixture.snapshot_directory(1)), 0o700);
    assert_eq!(mode(fixture.snapshot_directory(1).join("fs")), 0o755);
    assert_eq!(mode(fixture.snapshot_directory(1).join("work")), 0o711);
}

#[test]
fn options_are_workdir_upperdir_lowerdir_then_the_configured_ones() {
    let fixture = Fixture::overlayfs_with(OverlayfsOptions::default().with_mount_option("redirect_dir=off"));
    fixture.prepare("a", None);
    fixture.commit("base", "a");
    let mounts = fixture.prepare("b", Some("base"));
    let [mount] = &mounts[..] else { panic!("{mounts:?}") };
    assert_eq!(mount.kind, MountKind::Overlay);
    let mut expected = vec!["workdir", "upperdir", "lowerdir", "redirect_dir"];
    if knows_index() {
        expected.push("index");
    }
    let found: Vec<_> = keys(mount).into_iter().filter(|key| *key != "userxattr").collect();
    assert_eq!(found, expected);
    let own = fixture.snapshot_directory(2);
    assert_eq!(mount.options[0], format!("workdir={}", own.join("work").display()));
    assert_eq!(mount.options[1], format!("upperdir={}", own.join("fs").display()));
    assert_eq!(mount.options[2], format!("lowerdir={}", fixture.snapshot_directory(1).join("fs").display()));
}

#[test]
fn a_configured_index_is_not_overridden() {
    let fixture = Fixture::overlayfs_with(OverlayfsOptions::default().with_mount_option("index=on"));
    fixture.prepare("a", None);
    fixture.commit("base", "a");
    let mounts = fixture.prepare("b", Some("base"));
    let indexes: Vec<_> = mounts[0].options.iter().filter(|option| option.starts_with("index")).collect();
    assert_eq!(indexes, ["index=on"]);
}

#[test]
fn lower_directories_are_listed_nearest_first() {
    let fixture = Fixture::overlayfs();
    let mut parent = None;
    for name in ["one", "two", "three"] {
        fixture.prepare("a", parent);
        fixture.commit(name, "a");
        parent = Some(name);
    }
    let mounts = fixture.prepare("top", parent);
    let layers = OverlayLayers::of(&mounts[0]).unwrap().unwrap();
    let fs = |id| fixture.snapshot_directory(id).join("fs");
    assert_eq!(layers.lower, [fs(3), fs(2), fs(1)]);
    assert_eq!(layers.upper, Some(fs(4)));
}

#[test]
fn a_view_of_one_parent_is_a_read_only_bind_mount_of_it() {
    let fixture = Fixture::overlayfs();
    fixture.prepare("a", None);
    fixture.commit("base", "a");
    let mounts = fixture.view("v", Some("base"));
    let options = vec!["ro".to_owned(), "rbind".to_owned()];
    let source = fixture.snapshot_directory(1).join("fs");
    assert_eq!(mounts, [Mount { kind: MountKind::Bind, source, options }]);
    assert_eq!(fixture.directories(), ["1"], "a view needs no directory");
}

#[test]
fn a_view_of_two_parents_is_an_overlay_without_upper_directory() {
    let fixture = Fixture::overlayfs();
    fixture.prepare("a", None);
    fixture.commit("base", "a");
    fixture.prepare("b", Some("base"));
    fixture.commit("top", "b");
    let mounts = fixture.view("v", Some("top"));
    let layers = OverlayLayers::of(&mounts[0]).unwrap().unwrap();
    assert_eq!((layers.upper, layers.work), (None, None));
    assert_eq!(layers.lower.len(), 2);
}

#[test]
fn a_new_upper_directory_takes_over_its_parents_owner_and_mode() {
    if !is_root() {
        return;
    }
    let fixture = Fixture::overlayfs();
    fixture.layer("base", None, |root| {
        chown(root, Some(1234), Some(5678)).unwrap();
        fs::set_permissions(root, fs::Permissions::from_mode(0o711)).unwrap();
    });
    let tree = fixture.mount(&fixture.prepare("b", Some("base")), Access::ReadWrite);
    let root = fs::metadata(tree.path()).unwrap();
    assert_eq!((root.uid(), root.gid(), root.mode() & 0o7777), (1234, 5678, 0o711));
}

#[test]
fn the_mounted_root_has_mode_0755() {
    if !may_mount() {
        return;
    }
    let fixture = Fixture::overlayfs();
    let tree = fixture.mount(&fixture.prepare("a", None), Access::ReadWrite);
    assert_eq!(fs::metadata(tree.path()).unwrap().mode() & 0o7777, 0o755);
    drop(tree);
    fixture.commit("base", "a");
    let tree = fixture.mount(&fixture.prepare("b", Some("base")), Access::ReadWrite);
    assert_eq!(fs::metadata(tree.path()).unwrap().mode() & 0o7777, 0o755);
}

#[test]
fn a_view_cannot_be_written_to_whatever_access_is_asked_for() {
    if !may_mount() {
        return;
    }
    let fixture = Fixture::overlayfs();
    fixture.layer("base", None, |root| fs::write(root.join("file"), "base").unwrap());
    fixture.layer("top", Some("base"), |root| fs::write(root.join("other"), "top").unwrap());
    for (key, parent) in [("one", "base"), ("two", "top")] {
        let mounts = fixture.view(key, Some(parent));
        for access in [Access::ReadOnly, Access::ReadWrite] {
            let tree = fixture.mount(&mounts, access);
            assert_eq!(fs::read_to_string(tree.path().join("file")).unwrap(), "base");
            assert_eq!(errno(create(&tree.path().join("new"))), Some(EROFS));
            assert_eq!(errno(fs::remove_file(tree.path().join("file"))), Some(EROFS));
        }
    }
}

#[test]
fn changes_of_each_layer_are_seen_in_the_next() {
    if !may_mount() {
        return;
    }
    let fixture = Fixture::overlayfs();
    fixture.layer("base", None, |root| {
        fs::create_dir_all(root.join("directory/old")).unwrap();
        fs::write(root.join("file"), "one").unwrap();
        fs::write(root.join("moved"), "moved").unwrap();
    });
    fixture.layer("second", Some("base"), |root| {
        fs::remove_dir_all(root.join("directory")).unwrap();
        fs::create_dir_all(root.join("directory/new")).unwrap();
        fs::write(root.join("file"), "two").unwrap();
        fs::rename(root.join("moved"), root.join("there")).unwrap();
    });
    fixture.layer("third", Some("second"), |_| ());
    let tree = fixture.mount(&fixture.view("v", Some("third")), Access::ReadOnly);
    assert_eq!(snapshot_support::names(&tree.path()), ["directory", "file", "there"]);
    assert_eq!(snapshot_support::names(&tree.path().join("directory")), ["new"]);
    assert_eq!(fs::read_to_string(tree.path().join("file")).unwrap(), "two");
}

#[test]
fn every_one_of_128_layers_shows_the_same_tree_as_a_plain_directory() {
    if !may_mount() {
        return;
    }
    let fixture = Fixture::overlayfs_with(OverlayfsOptions::default().with_durability(Durability::Relaxed));
    let flat = tempfile::tempdir().unwrap();
    let change = |root: &Path, number: usize| {
        fs::write(root.join("same"), number.to_string()).unwrap();
        fs::create_dir(root.join(format!("directory-{number}"))).unwrap();
        fs::write(root.join(format!("directory-{number}/file")), "x".repeat(number)).unwrap();
        symlink("same", root.join(format!("link-{number}"))).unwrap();
        if number > 2 {
            fs::remove_dir_all(root.join(format!("directory-{}", number - 2))).unwrap();
        }
    };
    let mut parent: Option<String> = None;
    for number in 1..=128 {
        let name = format!("layer-{number}");
        fixture.layer(&name, parent.as_deref(), |root| {
            assert_eq!(manifest(root), manifest(flat.path()), "before layer {number}");
            change(root, number);
            change(flat.path(), number);
            assert_eq!(manifest(root), manifest(flat.path()), "after layer {number}");
        });
        parent = Some(name);
    }
    let mounts = fixture.view("v", parent.as_deref());
    assert!(mounts[0].options.iter().map(String::len).sum::<usize>() > 4096, "they fit in a page");
    let tree = fixture.mount(&mounts, Access::ReadOnly);
    assert_eq!(manifest(&tree.path()), manifest(flat.path()));
}

/// Path, mode and contents of everything below `root`.
fn manifest(root: &Path) -> BTreeMap<PathBuf, (u32, String)> {
    let mut manifest = BTreeMap::new();
    let mut pending = vec![PathBuf::new()];
    while let Some(path) = pending.pop() {
        for entry in fs::read_dir(root.join(&path)).unwrap() {
            let name = path.join(entry.unwrap().file_name());
            let metadata = fs::symlink_metadata(root.join(&name)).unwrap();
            let contents = if metadata.is_dir() {
                pending.push(name.clone());
                String::new()
            } else if metadata.is_symlink() {
                fs::read_link(root.join(&name)).unwrap().display().to_string()
            } else {
                fs::read_to_string(root.join(&name)).unwrap()
            };
            manifest.insert(name, (metadata.mode(), contents));
        }
    }
    manifest
}

#[test]
fn usage_counts_own_blocks_of_each_inode_once_and_is_kept_at_commit() {
    if !may_mount() {
        return;
    }
    let fixture = Fixture::overlayfs();
    fixture.layer("base", None, |root| fs::write(root.join("base"), vec![7; 1 << 20]).unwrap());
    let mounts = fixture.prepare("a", Some("base"));
    let tree = fixture.mount(&mounts, Access::ReadWrite);
    fs::write(tree.path().join("file"), vec![7; 64 * 1024]).unwrap();
    fs::hard_link(tree.path().join("file"), tree.path().join("link")).unwrap();
    drop(tree);
    rustix::fs::sync();
    let upper = fixture.snapshot_directory(2).join("fs");
    let blocks = fs::metadata(&upper).unwrap().blocks() + fs::metadata(upper.join("file")).unwrap().blocks();
    let active = block_on(fixture.snapshotter.usage("a")).unwrap();
    assert_eq!((active.bytes, active.inodes), (blocks * 512, 2));
    fixture.commit("top", "a");
    assert_eq!(block_on(fixture.snapshotter.usage("top")).unwrap(), active);
    fixture.view("v", Some("top"));
    assert_eq!(block_on(fixture.snapshotter.usage("v")).unwrap().bytes, 0);
}
