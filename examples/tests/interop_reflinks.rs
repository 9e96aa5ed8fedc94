//! On a file system that has reflinks, a snapshot that is a copy takes no room for what it shares with its parent.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::print_stdout)]

mod support;

use std::fs::File;
use std::path::Path;
use std::process::Command;

use cache_core::mount::run_attached;
use cache_core::ports::{Mount, MountKind};
use support::building::{Build, states};
use support::{is_root, succeed, with_tools};

/// Bytes of the file that every snapshot of the build holds.
const LARGE: u64 = 32 << 20;

/// Bytes of the disk. XFS makes none that are much smaller.
const DISK: u64 = 512 << 20;

/// Runs `work` with an XFS whose disk is a file. Nobody else sees it, and it is gone afterwards.
fn with_xfs(reflinks: bool, work: impl FnOnce(&Path) + Send) {
    let directory = tempfile::tempdir().unwrap();
    let disk = directory.path().join("disk");
    File::create(&disk).unwrap().set_len(DISK).unwrap();
    let features = if reflinks { "reflink=1" } else { "reflink=0" };
    succeed(Command::new("mkfs.xfs").args(["-q", "-m", features]).arg(&disk));
    let at = directory.path().join("at");
    std::fs::create_dir(&at).unwrap();
    let bind = Mount { kind: MountKind::Bind, source: at.clone(), options: vec!["rbind".into(), "rw".into()] };
    run_attached(&[bind], &at, |at| {
        succeed(Command::new("mount").args(["-o", "loop"]).args([&disk, at]));
        work(at);
    })
    .unwrap();
}

fn free(disk: &Path) -> u64 {
    let stat = rustix::fs::statvfs(disk).unwrap();
    stat.f_bavail * stat.f_frsize
}

/// Bytes that the snapshot of a second, small step takes on the disk, over one that holds a large file.
fn taken_by_a_small_step(disk: &Path) -> u64 {
    let store = disk.join("store");
    let steps = [("large", &*format!("head -c {LARGE} /dev/urandom > large")), ("small", "echo small > small")];
    assert_eq!(states(&Build::new(&store, &steps[..1]).run()), ["run"]);
    let before = free(disk);
    assert_eq!(states(&Build::new(&store, &steps).run()), ["cached", "run"]);
    before.saturating_sub(free(disk))
}

#[test]
fn a_copy_takes_room_for_what_it_shares_only_where_there_are_no_reflinks() {
    let test = "copies with and without reflinks";
    if !with_tools(test, &["mkfs.xfs", "mount"]) || !is_root(test) {
        return;
    }
    let systems = std::fs::read_to_string("/proc/filesystems").unwrap();
    if !systems.contains("\txfs\n") || !Path::new("/dev/loop-control").exists() {
        println!("skipped: {test} needs XFS on a loop device");
        return;
    }
    with_xfs(true, |disk| assert!(taken_by_a_small_step(disk) < LARGE / 2));
    with_xfs(false, |disk| assert!(taken_by_a_small_step(disk) > LARGE / 2));
}
