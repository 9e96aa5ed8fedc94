//! File trees of snapshots in layers. Everything is compared: names, types, modes, owners, contents, links, devices,
//! and, stricter than containerd's suite, times and extended attributes.

use rustix::fs::FileType;

use crate::conformance::require::{require_equal, require_kind};
use crate::conformance::snapshot::SnapshotSubject;
use crate::conformance::snapshot::layers::{Layers, need_root};
use crate::conformance::tree::Change;
use crate::conformance::{Outcome, Unmet};
use crate::error::ErrorKind;

/// Files, directories, links of both sorts, pipes, empty and large files, special mode bits and odd names.
pub async fn files_of_every_sort_are_kept(subject: SnapshotSubject) -> Outcome {
    let large = Change::File("large".into(), vec![7; 3_000_000], 0o600);
    let pipe = Change::Node("pipe".into(), FileType::Fifo, 0, 0);
    Layers::new(subject)
        .await?
        .add_all(&[
            &[
                Change::directory("d", 0o755),
                Change::directory("d/sticky", 0o1777),
                Change::directory("d/group", 0o2775),
                Change::file("d/plain", "content", 0o644),
                Change::file("d/empty", "", 0o600),
                Change::file("d/program", "#!/bin/sh\n", 0o4755),
                Change::file("name with space", "1", 0o644),
                Change::file("name\nwith line", "2", 0o644),
                Change::file("\u{431}\u{443}\u{43a}\u{432}\u{44b}", "3", 0o644),
                Change::file(".wh.not-a-whiteout", "4", 0o644),
                Change::symlink("absolute", "/etc/passwd"),
                Change::symlink("relative", "d/plain"),
                Change::symlink("dangling", "nowhere"),
                Change::hard_link("d/linked", "d/plain"),
                Change::hard_link("linked too", "d/plain"),
                large,
                pipe,
            ],
            &[Change::file("d/another", "5", 0o644)],
        ])
        .await
}

/// Extended attributes and times with nanoseconds, of files, directories and symbolic links.
pub async fn attributes_and_times_are_kept(subject: SnapshotSubject) -> Outcome {
    Layers::new(subject)
        .await?
        .add_all(&[
            &[
                Change::directory("d", 0o755),
                Change::file("d/f", "content", 0o644),
                Change::symlink("l", "d/f"),
                Change::xattr("d", "user.directory", b"\x00\xff"),
                Change::xattr("d/f", "user.file", b"value"),
                Change::xattr("d/f", "user.empty", b""),
                Change::time("d/f", 1, 1),
                Change::time("l", -1, 999_999_999),
                Change::time("d", 2_000_000_000, 0),
            ],
            &[Change::file("other", "", 0o644)],
            &[Change::xattr("d/f", "user.file", b"other value"), Change::mode("d/f", 0o600)],
        ])
        .await
}

/// Devices with their numbers, owners, and attributes that only root may set.
pub async fn devices_and_owners_are_kept(subject: SnapshotSubject) -> Outcome {
    need_root()?;
    Layers::new(subject)
        .await?
        .add_all(&[
            &[
                Change::Node("null".into(), FileType::CharacterDevice, 1, 3),
                Change::Node("disk".into(), FileType::BlockDevice, 259, 70_000),
                Change::file("capable", "", 0o755),
                // cap_net_raw=ep, version 2.
                Change::xattr(
                    "capable",
                    "security.capability",
                    &[1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
                ),
                Change::file("owned", "", 0o644),
                Change::owner("owned", 1000, 4_000_000_000),
                Change::symlink("link", "owned"),
                Change::owner("link", 7, 8),
            ],
            &[Change::file("other", "", 0o644)],
        ])
        .await
}

/// New, overwritten and deleted files in one layer over another. Mirrors: case `Basic`.
pub async fn changes_lie_over_the_parent(subject: SnapshotSubject) -> Outcome {
    Layers::new(subject)
        .await?
        .add_all(&[
            &[
                Change::file("foo", "foo\n", 0o777),
                Change::directory("a", 0o755),
                Change::directory("a/b", 0o755),
                Change::directory("a/b/c", 0o755),
                Change::file("a/b/c/f", "deep", 0o644),
            ],
            &[
                Change::file("bar", "bar\n", 0o777),
                Change::file("foo", "other foo\n", 0o777),
                Change::file("a/f", "shallow", 0o644),
                Change::remove("a/b"),
            ],
            &[Change::directory("a/b", 0o700), Change::file("a/b/new", "new", 0o644)],
        ])
        .await
}

/// Another content of the same size, with the time of before, and another mode alone. Mirrors: case `LayerFileupdate`,
/// five times.
pub async fn edits_of_the_same_size_and_second_are_kept(subject: SnapshotSubject) -> Outcome {
    let mut layers = Layers::new(subject).await?;
    layers
        .add(&[
            Change::directory("etc", 0o700),
            Change::file("etc/hosts", "mydomain 10.0.0.1", 0o644),
            Change::file("etc/profile", "PATH=/usr/bin", 0o644),
            Change::time("etc/hosts", 1_500_000_000, 0),
        ])
        .await?;
    for (number, mode) in ["1", "2", "3", "4", "5"].into_iter().zip([0o600, 0o666, 0o600, 0o666, 0o600]) {
        layers
            .add(&[
                Change::file("etc/hosts", &format!("mydomain 10.0.0.{number}"), 0o644),
                Change::time("etc/hosts", 1_500_000_000, 0),
                Change::mode("etc/profile", mode),
            ])
            .await?;
    }
    Ok(())
}

/// A directory that is deleted and made again shows nothing of before, also in later layers.
/// Mirrors: case `RemoveDirectoryInLowerLayer`.
pub async fn a_recreated_directory_hides_the_old_one(subject: SnapshotSubject) -> Outcome {
    Layers::new(subject)
        .await?
        .add_all(&[
            &[Change::directory("dir1", 0o700), Change::file("dir1/f1", "1", 0o644), Change::file("other", "2", 0o644)],
            &[Change::remove("dir1"), Change::directory("dir1", 0o700), Change::file("dir1/f2", "3", 0o644)],
            &[Change::file("dir1/f3", "4", 0o644)],
            &[Change::remove("dir1"), Change::file("dir1", "a file now", 0o644)],
            &[Change::remove("dir1"), Change::directory("dir1", 0o755)],
        ])
        .await
}

/// Owners of files and directories that an earlier layer made. Mirrors: case `Chown`.
pub async fn changed_owners_are_kept(subject: SnapshotSubject) -> Outcome {
    need_root()?;
    Layers::new(subject)
        .await?
        .add_all(&[
            &[
                Change::directory("opt", 0o700),
                Change::directory("opt/a", 0o700),
                Change::directory("opt/a/b", 0o700),
                Change::file("opt/a/b/file.txt", "hello", 0o644),
            ],
            &[
                Change::owner("opt", 1, 1),
                Change::owner("opt/a", 1, 1),
                Change::owner("opt/a/b", 1, 1),
                Change::owner("opt/a/b/file.txt", 1, 1),
            ],
        ])
        .await
}

/// Modes and owners of directories that are made, given away, deleted and made again.
/// Mirrors: case `DirectoryPermissionOnCommit`.
pub async fn directory_modes_are_kept_at_commit(subject: SnapshotSubject) -> Outcome {
    need_root()?;
    Layers::new(subject)
        .await?
        .add_all(&[
            &[
                Change::directory("dir1", 0o700),
                Change::directory("dir2", 0o700),
                Change::directory("dir3", 0o700),
                Change::directory("dir4", 0o700),
                Change::file("dir4/f1", "...", 0o644),
                Change::directory("dir5", 0o700),
                Change::file("dir5/f1", "...", 0o644),
                Change::owner("dir1", 1, 1),
                Change::owner("dir2", 1, 1),
                Change::owner("dir3", 1, 1),
                Change::owner("dir5", 1, 1),
                Change::owner("dir5/f1", 1, 1),
            ],
            &[
                Change::owner("dir2", 0, 0),
                Change::remove("dir3"),
                Change::owner("dir4", 1, 1),
                Change::owner("dir4/f1", 1, 1),
            ],
            &[
                Change::remove("dir2"),
                Change::directory("dir2", 0o700),
                Change::directory("dir3", 0o755),
                Change::mode("dir4", 0o711),
                Change::mode("dir5", 0o555),
            ],
        ])
        .await
}

/// A deleted file is not seen, also after a layer without changes. Mirrors: case `DeletedFilesInChildSnapshot`.
pub async fn deleted_files_stay_deleted(subject: SnapshotSubject) -> Outcome {
    Layers::new(subject)
        .await?
        .add_all(&[
            &[
                Change::file("foo", "foo\n", 0o777),
                Change::file("bar", "bar\n", 0o777),
                Change::symlink("link", "bar"),
                Change::directory("empty", 0o755),
            ],
            &[Change::remove("foo"), Change::remove("link"), Change::remove("empty")],
            &[],
            &[Change::file("foo", "again\n", 0o644)],
        ])
        .await
}

/// A file of a lower layer under a new name: copied, or linked, and its old name deleted.
/// Mirrors: case `MoveFileFromLowerLayer`.
pub async fn files_of_a_lower_layer_can_be_moved(subject: SnapshotSubject) -> Outcome {
    Layers::new(subject)
        .await?
        .add_all(&[
            &[
                Change::directory("dir1", 0o700),
                Change::file("dir1/f1", "Hello", 0o644),
                Change::directory("dir2", 0o700),
                Change::file("dir2/f2", "...", 0o644),
            ],
            &[Change::file("dir2/f1", "Hello", 0o644), Change::remove("dir1"), Change::hard_link("f3", "dir2/f2")],
            &[Change::remove("dir2/f2")],
        ])
        .await
}

/// Files are renamed, also over others, and links with them. Mirrors: case `Rename`.
pub async fn files_can_be_renamed(subject: SnapshotSubject) -> Outcome {
    Layers::new(subject)
        .await?
        .add_all(&[
            &[
                Change::directory("d1", 0o700),
                Change::file("d1/f1", "1", 0o644),
                Change::file("d1/f2", "2", 0o644),
                Change::file("d1/f3", "3", 0o644),
                Change::symlink("d1/l", "f1"),
                Change::directory("d2", 0o755),
            ],
            &[
                Change::rename("d1/f1", "d1/renamed"),
                Change::rename("d1/f2", "d1/f3"),
                Change::rename("d1/l", "d2/l"),
                Change::file("d1/f1", "another", 0o644),
            ],
        ])
        .await
}

/// Directories are renamed with what is in them, where the snapshotter can: overlayfs without `redirect_dir` refuses
/// it, as it does between file systems, and programs copy then. Mirrors: case `Rename`.
pub async fn directories_can_be_renamed(subject: SnapshotSubject) -> Outcome {
    let mut layers = Layers::new(subject).await?;
    layers.add(&[Change::directory("d1", 0o755), Change::file("d1/f", "1", 0o644)]).await?;
    let can = {
        let lease = layers.subject().lease().await?;
        let mounts = layers.subject().prepare(&lease, "try", Some(&Layers::name(0))).await?;
        let tree = layers.subject().mount(&mounts, crate::ports::Access::ReadWrite).await?;
        let renamed = std::fs::rename(tree.path().join("d1"), tree.path().join("d2"));
        drop(tree);
        layers.subject().snapshotter.remove("try").await?;
        match renamed {
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::XDEV.raw_os_error()) => false,
            renamed => {
                renamed?;
                true
            }
        }
    };
    if !can {
        return Err(Unmet::needs("a snapshotter that renames directories"));
    }
    layers.add_all(&[&[Change::rename("d1", "d2"), Change::file("d2/g", "2", 0o644)]]).await
}

/// A layer with one over it stays, and the tree of the upper one with it. Mirrors: case `RemoveIntermediateSnapshot`.
pub async fn a_middle_layer_cannot_be_removed(subject: SnapshotSubject) -> Outcome {
    let mut layers = Layers::new(subject).await?;
    for number in 0..3 {
        layers.add(&[Change::file(&format!("f{number}"), "content", 0o644)]).await?;
    }
    for number in [1, 0] {
        let removed = layers.subject().snapshotter.remove(&Layers::name(number)).await;
        require_kind(removed, ErrorKind::Busy, "a layer with one over it is not removed")?;
    }
    layers.add(&[]).await?;
    for number in (0..4).rev() {
        layers.subject().snapshotter.remove(&Layers::name(number)).await?;
    }
    require_equal(&layers.subject().snapshotter.list().await?, &Vec::new(), "from the top everything is removed")
}

/// 128 layers, each a change of one file and a new directory. Mirrors: case `128LayersMount`.
pub async fn of_128_layers_each_shows_its_tree(subject: SnapshotSubject) -> Outcome {
    let mut layers = Layers::new(subject).await?;
    layers
        .add(&[
            Change::file("bottom", "way at the bottom\n", 0o777),
            Change::file("overwriteme", "FIRST!\n", 0o777),
            Change::directory("addhere", 0o755),
            Change::directory("onlyme", 0o755),
            Change::file("onlyme/bottom", "bye!\n", 0o777),
        ])
        .await?;
    for number in 1..=128 {
        layers
            .add(&[
                Change::file("overwriteme", &format!("{number} WAS HERE!\n"), 0o777),
                Change::file(&format!("addhere/file-{number}"), "same\n", 0o755),
                Change::remove("onlyme"),
                Change::directory("onlyme", 0o755),
                Change::file(&format!("onlyme/file-{number}"), "only me!\n", 0o777),
            ])
            .await?;
    }
    Ok(())
}
