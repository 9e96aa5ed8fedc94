//! A snapshotter over memory rows in a temporary directory, and what tests ask of trees.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::print_stderr, missing_docs)]

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cache_core::memory::{ManualClock, Memory};
use cache_core::mount::LinuxMounter;
use cache_core::ports::{
    Access, Clock, Lease, LeaseManager, LeaseOptions, Mount, MountedTree, Mounter, Pool, Prepared, Snapshotter,
};
use cache_core::snapshot::{DirectorySnapshotter, MemoryRows, NativeOptions, OverlayfsOptions, SnapshotRows};
use cache_core::{Labels, ThreadPool};
use pollster::block_on;
use rustix::fs::CWD;
use rustix::mount::{OpenTreeFlags, open_tree};
use tempfile::TempDir;

/// Whether the test may mount, as root may, also root of a user namespace that has a mount namespace; says so if not.
pub fn may_mount() -> bool {
    // Recursively, because a user namespace may not look under what others have mounted.
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    said(open_tree(CWD, "/", flags).is_ok())
}

/// Whether the test may do everything; says so if not.
pub fn is_root() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap();
    said(rustix::process::geteuid().is_root() && map.split_whitespace().eq(["0", "0", "4294967295"])) && may_mount()
}

fn said(able: bool) -> bool {
    if !able {
        eprintln!("skipped: needs root");
    }
    able
}

pub struct Fixture {
    pub directory: TempDir,
    pub memory: Memory,
    pub lease: Lease,
    pub pool: Arc<dyn Pool>,
    pub rows: Arc<MemoryRows>,
    pub mounter: LinuxMounter,
    pub snapshotter: DirectorySnapshotter,
}

impl Fixture {
    pub fn native() -> Self {
        Self::native_with(Arc::new(ThreadPool::new()), NativeOptions::default())
    }

    pub fn native_with(pool: Arc<dyn Pool>, options: NativeOptions) -> Self {
        Self::build(TempDir::new().unwrap(), "native", pool, |rows, pool| {
            DirectorySnapshotter::native(rows, pool, options)
        })
    }

    pub fn overlayfs() -> Self {
        Self::overlayfs_with(OverlayfsOptions::default())
    }

    pub fn overlayfs_with(options: OverlayfsOptions) -> Self {
        Self::build(TempDir::new().unwrap(), "overlayfs", Arc::new(ThreadPool::new()), |rows, pool| {
            block_on(DirectorySnapshotter::overlayfs(rows, pool, options))
        })
    }

    /// Native, in the directory `parent`.
    pub fn native_in(parent: &Path) -> Self {
        Self::build(TempDir::new_in(parent).unwrap(), "native", Arc::new(ThreadPool::new()), |rows, pool| {
            DirectorySnapshotter::native(rows, pool, NativeOptions::default())
        })
    }

    fn build(
        directory: TempDir,
        name: &str,
        pool: Arc<dyn Pool>,
        make: impl FnOnce(Arc<dyn SnapshotRows>, Arc<dyn Pool>) -> cache_core::Result<DirectorySnapshotter>,
    ) -> Self {
        open_to_all(directory.path());
        for name in ["snapshots", "scratch"] {
            fs::create_dir(directory.path().join(name)).unwrap();
            open_to_all(&directory.path().join(name));
        }
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::default());
        let memory = Memory::new(Arc::clone(&clock));
        let lease = block_on(memory.leases.create(LeaseOptions::default())).unwrap();
        let rows = MemoryRows::open(directory.path().join("snapshots"), name, Arc::clone(&pool), clock);
        let rows = Arc::new(block_on(rows).unwrap());
        let snapshotter = make(Arc::clone(&rows) as Arc<dyn SnapshotRows>, Arc::clone(&pool)).unwrap();
        let mounter = LinuxMounter::new(Arc::clone(&pool), directory.path().join("scratch"));
        Self { directory, memory, lease, pool, rows, mounter, snapshotter }
    }

    pub fn prepare(&self, key: &str, parent: Option<&str>) -> Vec<Mount> {
        match block_on(self.snapshotter.prepare(&self.lease, key, parent, Labels::new())).unwrap() {
            Prepared::Mounts(mounts) => mounts,
            Prepared::AlreadyCommitted => unreachable!("nothing is remote here"),
        }
    }

    pub fn view(&self, key: &str, parent: Option<&str>) -> Vec<Mount> {
        block_on(self.snapshotter.view(&self.lease, key, parent, Labels::new())).unwrap()
    }

    pub fn commit(&self, name: &str, key: &str) {
        block_on(self.snapshotter.commit(&self.lease, name, key, Labels::new())).unwrap();
    }

    pub fn mount(&self, mounts: &[Mount], access: Access) -> Arc<dyn MountedTree> {
        block_on(self.mounter.mount(mounts, access)).unwrap()
    }

    /// Commits a snapshot over `parent` in which `change` was made.
    pub fn layer(&self, name: &str, parent: Option<&str>, change: impl FnOnce(&Path)) {
        let key = format!("{name}-active");
        let tree = self.mount(&self.prepare(&key, parent), Access::ReadWrite);
        change(&tree.path());
        drop(tree);
        self.commit(name, &key);
    }

    pub fn snapshot_directory(&self, id: u32) -> PathBuf {
        self.rows.directory().join(id.to_string())
    }

    /// The names in the directory of snapshots, in order.
    pub fn directories(&self) -> Vec<String> {
        names(self.rows.directory())
    }
}

fn open_to_all(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
}

/// The names in a directory, in order.
pub fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

pub fn errno<T>(outcome: io::Result<T>) -> Option<i32> {
    outcome.err().and_then(|error| error.raw_os_error())
}

pub fn create(path: &Path) -> io::Result<File> {
    File::options().write(true).create_new(true).open(path)
}

pub const EROFS: i32 = 30;
