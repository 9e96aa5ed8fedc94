//! Refs over the embedded store, used by several processes, some of which are killed.
#![cfg(all(target_os = "linux", feature = "local"))]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

#[path = "local_support/child.rs"]
mod child;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use cache_core::cache::{CacheManager, PruneOptions, RefOptions, Retention, UsageOptions};
use cache_core::local::{Depth, Local, Repair, StoreOptions};
use cache_core::mount::LinuxMounter;
use cache_core::ports::{
    Access, Applied, Applier, ApplyOptions, ApplySource, Begun, Expected, Ingester, LeaseManager, Manager, Mount,
    MountedTree, Mounter, Pool, Snapshotter, Start, TemporaryLease,
};
use cache_core::snapshot::DirectorySnapshotter;
use cache_core::{
    Backends, Descriptor, Digest, Error, ErrorKind, Labels, Layer, MediaType, Result, SystemClock, ThreadPool,
};
use child::{Process, role, say};
use futures::{StreamExt, TryStreamExt};
use pollster::block_on;

/// Unpacks a "layer" whose bytes are the name of a file.
#[derive(Debug)]
struct NameApplier {
    content: Arc<dyn cache_core::ports::ContentStore>,
    mounter: Arc<dyn Mounter>,
}

#[async_trait]
impl Applier for NameApplier {
    async fn apply(&self, blob: &Descriptor, _: ApplySource, mounts: &[Mount], _: &ApplyOptions) -> Result<Applied> {
        let missing = || Error::new(ErrorKind::NotFound, "apply", blob.digest);
        let reader = self.content.open(blob).await?.ok_or_else(missing)?;
        let name = reader.read(0..reader.size()).await?.try_collect::<Vec<_>>().await?.concat();
        let tree = self.mounter.mount(mounts, Access::ReadWrite).await?;
        let path = tree.path().join(std::str::from_utf8(&name).unwrap());
        fs::write(&path, &name).map_err(|error| Error::io("write", path.display(), error))?;
        Ok(Applied { diff_id: Digest::of(&name), size: name.len() as u64 })
    }
}

struct Opened {
    local: Local,
    snapshotter: Arc<DirectorySnapshotter>,
    manager: CacheManager,
}

async fn open(directory: &Path) -> Opened {
    let pool: Arc<dyn Pool> = Arc::new(ThreadPool::new());
    let clock = Arc::new(SystemClock::new(Arc::clone(&pool)));
    let local = Local::open(directory, Arc::clone(&pool), StoreOptions::new(clock.clone())).await.unwrap();
    let rows = local.snapshots("native");
    let snapshotter = Arc::new(DirectorySnapshotter::native(rows, Arc::clone(&pool), Default::default()).unwrap());
    let scratch = directory.join("mounts");
    fs::create_dir_all(&scratch).unwrap();
    let mounter: Arc<dyn Mounter> = Arc::new(LinuxMounter::new(Arc::clone(&pool), scratch));
    let backends = Backends {
        content: local.content.clone(),
        snapshotter: snapshotter.clone(),
        leases: local.leases.clone(),
        metadata: local.metadata.clone(),
        locks: local.locks.clone(),
        mounter: mounter.clone(),
        applier: Some(Arc::new(NameApplier { content: local.content.clone(), mounter })),
        collector: Some(local.collector.clone()),
        pool,
        clock,
    };
    let manager = CacheManager::open(backends).await.unwrap();
    Opened { local, snapshotter, manager }
}

impl Opened {
    async fn layer(&self, lease: &TemporaryLease, name: &str) -> Layer {
        let descriptor = Descriptor::of(MediaType::OCI_LAYER, name.as_bytes());
        let key = format!("{name} of {}", lease.lease().id());
        let begun = self.local.content.begin(lease.lease(), &key, Expected::of(&descriptor), Start::Fresh).await;
        if let Begun::Started(mut ingest) = begun.unwrap() {
            ingest.write(name.to_owned().into()).await.unwrap();
            ingest.commit(None, Labels::new()).await.unwrap();
        }
        Layer::new(descriptor, Digest::of(name))
    }

    /// A layer of all processes, a layer of this build, and a step on top of both.
    async fn build(&self, name: &str) {
        let lease = TemporaryLease::create(&*self.local.leases).await.unwrap();
        let (shared, own) = (self.layer(&lease, "shared").await, self.layer(&lease, name).await);
        let base = self.manager.get_by_blob(lease.lease(), &shared, None, RefOptions::default()).await.unwrap();
        let own = self.manager.get_by_blob(lease.lease(), &own, Some(&base), RefOptions::default()).await.unwrap();
        let step = self.manager.create(Some(&own), RefOptions::default()).await.unwrap();
        let tree = step.mount(Access::ReadWrite).await.unwrap();
        fs::write(tree.path().join("step"), name).unwrap();
        drop(tree);
        let step = step.commit().await.unwrap();
        let blob = self.layer(&lease, &format!("{name}-step")).await;
        step.set_blob(lease.lease(), &blob).await.unwrap();
        let tree = step.mount().await.unwrap();
        let mut names: Vec<_> =
            fs::read_dir(tree.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        let mut expected = ["shared".to_owned(), name.to_owned(), "step".to_owned()];
        expected.sort();
        assert_eq!(names, expected);
        assert_eq!(fs::read_to_string(tree.path().join("step")).unwrap(), name);
    }

    async fn prune(&self) {
        self.manager.prune(&PruneOptions::all()).await.unwrap();
    }

    async fn assert_empty(&self) {
        assert_eq!(self.manager.disk_usage(&UsageOptions::default()).await.unwrap(), []);
        assert_eq!(self.local.leases.list().await.unwrap(), []);
        assert_eq!(self.snapshotter.list().await.unwrap(), []);
        assert_eq!(self.local.content.list().count().await, 0);
        let report = self.local.check(Depth::Bytes, Repair::Report).await.unwrap();
        assert!(report.damage.is_empty(), "{report:?}");
    }
}

#[test]
fn child_process() {
    let Some((role, directory, number)) = role() else { return };
    block_on(async {
        match role.as_str() {
            "builder" => {
                for round in 0.. {
                    let opened = open(&directory).await;
                    opened.build(&format!("build-{number}-{}", round % 3)).await;
                    if round % 4 == 3 {
                        opened.prune().await;
                    }
                    say("built");
                }
            }
            "finisher" => {
                let opened = open(&directory).await;
                for round in 0..4 {
                    opened.build(&format!("finish-{number}-{round}")).await;
                }
                opened.manager.flush().await;
            }
            "holder" => {
                let opened = open(&directory).await;
                let held = opened.manager.create(None, RefOptions::default()).await.unwrap();
                let done = opened.manager.create(None, RefOptions::default()).await.unwrap().commit().await.unwrap();
                let kept = RefOptions::default().with_retention(Retention::Retain);
                let kept = opened.manager.create(None, kept).await.unwrap();
                say(held.id());
                say(done.id());
                say(kept.id());
                futures::future::pending::<()>().await;
                drop((held, done, kept));
            }
            role => panic!("unknown role {role}"),
        }
    });
}

#[test]
fn what_a_living_process_uses_stays_and_what_a_killed_one_used_is_free() {
    let directory = tempfile::tempdir().unwrap();
    let mut holder = Process::spawn("holder", directory.path(), 0);
    let [held, done, kept] = [(); 3].map(|()| holder.line().unwrap());
    block_on(async {
        let opened = open(directory.path()).await;
        opened.prune().await;
        let refs = opened.manager.disk_usage(&UsageOptions::default()).await.unwrap();
        assert_eq!(refs.iter().filter(|usage| usage.in_use).count(), 3);
        for id in [&held, &kept] {
            assert_eq!(opened.manager.get_mutable(id).await.unwrap_err().kind(), ErrorKind::Busy);
            assert_eq!(opened.manager.get(id).await.unwrap_err().kind(), ErrorKind::Busy);
        }
        drop(opened.manager.get(&done).await.unwrap());
        holder.kill();
        let opened = open(directory.path()).await;
        assert_eq!(opened.manager.get_mutable(&held).await.unwrap_err().kind(), ErrorKind::NotFound);
        drop(opened.manager.get_mutable(&kept).await.unwrap());
        drop(opened.manager.get(&done).await.unwrap());
        opened.prune().await;
        opened.assert_empty().await;
    });
}

#[test]
fn builds_go_on_while_others_are_killed_and_everything_can_be_pruned_after() {
    for round in 0..3 {
        let directory = tempfile::tempdir().unwrap();
        let mut killed: Vec<_> = (0..2).map(|number| Process::spawn("builder", directory.path(), number)).collect();
        let left_alone: Vec<_> = (0..2).map(|number| Process::spawn("finisher", directory.path(), number)).collect();
        for (number, mut builder) in killed.drain(..).enumerate() {
            for _ in 0..=(round + number) {
                builder.line().expect("a builder goes on until it is killed");
            }
            builder.kill();
        }
        for builder in left_alone {
            let (ended_well, said) = builder.wait();
            assert!(ended_well, "{said:?}");
        }
        block_on(async {
            let opened = open(directory.path()).await;
            opened.prune().await;
            opened.assert_empty().await;
        });
    }
}
