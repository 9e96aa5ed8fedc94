//! What shared work creates is held by the lease of every caller.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::sync::Arc;
use std::task::{Context, Waker};

use cache_core::flight::{Group, Held};
use cache_core::memory::{ManualClock, Memory};
use cache_core::ports::{
    Begun, Collector, Expected, Ingester, LeaseManager, LeaseOptions, Manager, Resource, Start, TemporaryLease,
};
use cache_core::{Digest, Error, ErrorKind, Labels};
use futures::channel::oneshot;
use futures::future::{FutureExt, Shared};
use pollster::block_on;

type Go = Shared<oneshot::Receiver<()>>;

async fn make_blob(memory: Memory, go: Go) -> Result<Held<Digest>, Error> {
    let lease = TemporaryLease::create(&*memory.leases).await?;
    go.await.unwrap();
    match memory.content.begin(lease.lease(), "key", Expected::UNKNOWN, Start::Fresh).await? {
        Begun::AlreadyThere(info) => Ok(Held::new(info.digest, lease)),
        Begun::Started(mut ingest) => {
            ingest.write("blob".into()).await?;
            let committed = ingest.commit(None, Labels::new()).await?;
            Ok(Held::new(committed.info().digest, lease))
        }
    }
}

#[test]
fn each_caller_adopts_and_the_temporary_lease_ends_with_the_last_of_them() {
    block_on(async {
        let memory = Memory::new(Arc::new(ManualClock::default()));
        let group = Group::new();
        let (sender, go) = oneshot::channel();
        let go = go.shared();
        let work = || make_blob(memory.clone(), go.clone());
        let mut leases = Vec::new();
        for _ in 0..3 {
            leases.push(memory.leases.create(LeaseOptions::default()).await.unwrap());
        }
        let mut callers: Vec<_> = leases
            .iter()
            .map(|lease| group.run("key", work).then(|held| held.unwrap().adopt_into(lease)).boxed_local())
            .collect();
        for caller in &mut callers {
            assert!(caller.poll_unpin(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        // The caller that began the work leaves.
        drop(callers.remove(0));
        sender.send(()).unwrap();
        let digests: Vec<_> = futures::future::join_all(callers).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(memory.leases.list().await.unwrap().len(), 3, "the temporary lease has ended");
        for lease in &leases[1..] {
            assert_eq!(memory.leases.resources(lease).await.unwrap(), [Resource::Content(digests[0])]);
        }
        assert_eq!(memory.leases.resources(&leases[0]).await.unwrap(), []);
        memory.leases.delete(leases[1].id()).await.unwrap();
        memory.collector.collect().await.unwrap();
        assert!(memory.content.info(&digests[0]).await.unwrap().is_some());
        memory.leases.delete(leases[2].id()).await.unwrap();
        memory.collector.collect().await.unwrap();
        assert!(memory.content.info(&digests[0]).await.unwrap().is_none());
    });
}

#[test]
fn work_that_all_have_left_keeps_nothing() {
    let memory = Memory::new(Arc::new(ManualClock::default()));
    let group = Group::new();
    let (_sender, go) = oneshot::channel();
    let go = go.shared();
    let mut caller = group.run("key", || make_blob(memory.clone(), go.clone())).boxed_local();
    assert!(caller.poll_unpin(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(block_on(memory.leases.list()).unwrap().len(), 1);
    drop(caller);
    assert_eq!(block_on(memory.leases.list()).unwrap().len(), 0);
}

#[test]
fn a_dead_lease_adopts_nothing_and_what_was_found_needs_no_adoption() {
    block_on(async {
        let memory = Memory::new(Arc::new(ManualClock::default()));
        let dead = memory.leases.create(LeaseOptions::default()).await.unwrap();
        memory.leases.delete(dead.id()).await.unwrap();
        let (sender, receiver) = oneshot::channel();
        sender.send(()).unwrap();
        let held = make_blob(memory.clone(), receiver.shared()).await.unwrap();
        assert_eq!(held.adopt_into(&dead).await.unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(Held::found(7).adopt_into(&dead).await.unwrap(), 7);
    });
}
