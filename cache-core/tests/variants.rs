//! Variants of a blob: their labels, the walk over them, and what holds them.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod cache_support;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use cache_core::annotation::{BLOB_MEDIA_TYPE, CREATED_AT, ESTARGZ_TOC_DIGEST, UNCOMPRESSED, VARIANT};
use cache_core::cache::{CacheManager, RefOptions, UsageOptions};
use cache_core::ports::{BlobInfo, Lease, LeaseManager, Manager};
use cache_core::variants::{VariantWalk, edges, link_variant, remembered_layer};
use cache_core::{Digest, Error, ErrorKind, LabelChange, Layer, Result};
use cache_support::{Form, World, prune};
use futures::stream::BoxStream;
use pollster::block_on;

/// The store, whose label changes are counted, and of which one fails.
#[derive(Debug)]
struct Watched<'a> {
    world: &'a World,
    changes: AtomicUsize,
    fail_at: usize,
}

impl<'a> Watched<'a> {
    fn new(world: &'a World, fail_at: usize) -> Self {
        Self { world, changes: AtomicUsize::new(0), fail_at }
    }
}

#[async_trait]
impl Manager for Watched<'static> {
    async fn info(&self, digest: &Digest) -> Result<Option<BlobInfo>> {
        self.world.memory.content.info(digest).await
    }

    async fn change_labels(&self, digest: &Digest, changes: &[LabelChange]) -> Result<BlobInfo> {
        if self.changes.fetch_add(1, Ordering::SeqCst) + 1 == self.fail_at {
            return Err(Error::new(ErrorKind::Unavailable, "change labels", digest));
        }
        self.world.memory.content.change_labels(digest, changes).await
    }

    fn list(&self) -> BoxStream<'_, Result<BlobInfo>> {
        self.world.memory.content.list()
    }
}

fn world() -> &'static World {
    Box::leak(Box::new(World::new()))
}

/// A layer whose blob nothing else is: of a form of its own.
async fn blob(world: &World, lease: &Lease, text: &str) -> Layer {
    let mut layer = world.layer(lease, Form::Packed, text).await;
    layer.diff_id = Digest::of("one tar");
    layer
}

async fn info(world: &World, layer: &Layer) -> BlobInfo {
    world.memory.content.info(&layer.descriptor.digest).await.unwrap().unwrap()
}

async fn reached(world: &World, from: &Layer) -> Vec<Digest> {
    let mut walk = VariantWalk::new(world.memory.content.as_ref(), from.descriptor.digest);
    let mut reached = Vec::new();
    while let Some(info) = walk.next().await.unwrap() {
        reached.push(info.digest);
    }
    reached
}

async fn link(world: &World, main: &Layer, variant: &Layer) {
    link_variant(world.memory.content.as_ref(), main, variant).await.unwrap();
}

fn digests(layers: &[&Layer]) -> BTreeSet<Digest> {
    layers.iter().map(|layer| layer.descriptor.digest).collect()
}

#[test]
fn variants_name_each_other_by_buildkits_labels_and_remember_what_they_are() {
    block_on(async {
        let world = world();
        let lease = world.lease().await;
        let mut main = blob(world, &lease, "main").await;
        main.descriptor.annotations.insert(CREATED_AT.to_owned(), "then".to_owned());
        main.descriptor.annotations.insert(ESTARGZ_TOC_DIGEST.to_owned(), "sha256:toc".to_owned());
        let mut variant = blob(world, &lease, "variant").await;
        variant.descriptor.annotations.insert("of.a.codec".to_owned(), "kept".to_owned());
        variant.diff_id = Digest::of("a DiffID of its own");
        link(world, &main, &variant).await;

        let (of_main, of_variant) = (info(world, &main).await, info(world, &variant).await);
        let edge = |to: &Layer| (format!("{VARIANT}{}", to.descriptor.digest), to.descriptor.digest.to_string());
        let has = |info: &BlobInfo, (key, value): (String, String)| info.labels.get(&key) == Some(&value);
        assert!(has(&of_main, edge(&variant)) && has(&of_variant, edge(&main)), "both directions");
        assert!(has(&of_main, edge(&main)), "and the edge of the main blob to itself");
        assert_eq!(edge(&main).0, format!("containerd.io/gc.ref.content.blob-{}", main.descriptor.digest));
        assert_eq!(of_main.labels["buildkit.io/blob/mediatype"], main.descriptor.media_type.as_str());
        let diff_id = "buildkit.io/blob/annotation.containerd.io/uncompressed";
        assert_eq!(of_variant.labels[diff_id], variant.diff_id.to_string());
        assert_eq!(edges(&of_main), [variant.descriptor.digest], "itself is no variant");

        assert_eq!(remembered_layer(&of_variant), Some(variant.clone()));
        main.descriptor.annotations.remove(CREATED_AT);
        assert_eq!(remembered_layer(&of_main), Some(main.clone()), "what is not the blob's own is not remembered");
    });
}

#[test]
fn what_a_blob_is_called_is_told_once() {
    block_on(async {
        let world = world();
        let lease = world.lease().await;
        let (main, variant) = (blob(world, &lease, "main").await, blob(world, &lease, "variant").await);
        link(world, &main, &variant).await;
        let mut docker = main.clone();
        docker.descriptor.media_type = cache_core::MediaType::DOCKER_LAYER_GZIP;
        let watched = Watched::new(world, 0);
        link_variant(&watched, &docker, &variant).await.unwrap();
        assert_eq!(watched.changes.load(Ordering::SeqCst), 0, "nothing was missing, so nothing was written");
        assert_eq!(info(world, &main).await.labels[BLOB_MEDIA_TYPE], main.descriptor.media_type.as_str());
    });
}

#[test]
fn a_blob_of_which_nothing_was_told_is_no_layer() {
    block_on(async {
        let world = world();
        let lease = world.lease().await;
        let main = blob(world, &lease, "main").await;
        assert_eq!(remembered_layer(&info(world, &main).await), None);
        let named = [LabelChange::set(BLOB_MEDIA_TYPE, "application/vnd.oci.image.layer.v1.tar+gzip")];
        let info = world.memory.content.change_labels(&main.descriptor.digest, &named).await.unwrap();
        assert_eq!(remembered_layer(&info), None, "a compressed blob without a DiffID");
        let named = [LabelChange::set(UNCOMPRESSED, main.diff_id.to_string())];
        let info = world.memory.content.change_labels(&main.descriptor.digest, &named).await.unwrap();
        assert_eq!(remembered_layer(&info), Some(main.clone()), "the DiffID that containerd keeps will do");
        let plain = [
            LabelChange::set(BLOB_MEDIA_TYPE, "application/vnd.docker.image.rootfs.diff.tar"),
            LabelChange::remove(UNCOMPRESSED),
        ];
        let info = world.memory.content.change_labels(&main.descriptor.digest, &plain).await.unwrap();
        assert_eq!(remembered_layer(&info).unwrap().diff_id, main.descriptor.digest, "a plain tar is its own DiffID");
    });
}

#[test]
fn a_walk_visits_each_variant_once_in_the_order_of_the_labels_and_survives_loops() {
    block_on(async {
        let world = world();
        let lease = world.lease().await;
        let mut layers = Vec::new();
        for number in 0..6 {
            layers.push(blob(world, &lease, &format!("variant {number}")).await);
        }
        // A ring, a chord and a blob that names one that is not there.
        for number in 0..6 {
            link(world, &layers[number], &layers[(number + 1) % 6]).await;
        }
        link(world, &layers[0], &layers[3]).await;
        let absent = Digest::of("not there");
        let dangling = [LabelChange::set(format!("{VARIANT}{absent}"), absent.to_string())];
        world.memory.content.change_labels(&layers[2].descriptor.digest, &dangling).await.unwrap();

        let all: BTreeSet<_> = layers.iter().map(|layer| layer.descriptor.digest).collect();
        for from in &layers {
            let reached = reached(world, from).await;
            assert_eq!(reached[0], from.descriptor.digest, "the start comes first");
            assert_eq!((reached.len(), reached.iter().copied().collect()), (6, all.clone()));
        }
        assert_eq!(reached(world, &layers[0]).await, reached(world, &layers[0]).await);
        let absent = cache_support::layer(Form::Plain, "not there either");
        assert_eq!(reached(world, &absent).await, [], "a blob that is not there has no variants");
    });
}

#[test]
fn a_link_that_broke_off_names_nothing_unknown_and_the_next_link_repairs_it() {
    block_on(async {
        for fail_at in [1, 2] {
            let world = world();
            let lease = world.lease().await;
            let (main, variant) = (blob(world, &lease, "main").await, blob(world, &lease, "variant").await);
            let failing = Watched::new(world, fail_at);
            let failed = link_variant(&failing, &main, &variant).await.unwrap_err();
            assert_eq!(failed.kind(), ErrorKind::Unavailable);
            assert_eq!(reached(world, &main).await, [main.descriptor.digest], "the main blob's edge comes last");
            if fail_at == 2 {
                assert_eq!(reached(world, &variant).await, [variant.descriptor.digest, main.descriptor.digest]);
                assert_eq!(remembered_layer(&info(world, &variant).await), Some(variant.clone()));
            }
            link(world, &main, &variant).await;
            assert_eq!(reached(world, &main).await, [main.descriptor.digest, variant.descriptor.digest]);
            assert_eq!(reached(world, &variant).await, [variant.descriptor.digest, main.descriptor.digest]);
            let absent = cache_support::layer(Form::Plain, "absent");
            for (one, other) in [(&main, &absent), (&absent, &main)] {
                let content = world.memory.content.as_ref();
                assert_eq!(link_variant(content, one, other).await.unwrap_err().kind(), ErrorKind::NotFound);
            }
        }
    });
}

async fn by_blob(manager: &CacheManager, lease: &Lease, layer: &Layer) -> cache_core::cache::ImmutableRef {
    manager.get_by_blob(lease, layer, None, RefOptions::default()).await.unwrap()
}

#[test]
fn a_ref_keeps_the_variants_of_its_blob_and_refs_share_them() {
    block_on(async {
        let world = world();
        let manager = world.open().await;
        let lease = world.lease().await;
        let (one, other) = (blob(world, &lease, "one").await, blob(world, &lease, "other").await);
        let (of_one, of_other) = (by_blob(&manager, &lease, &one).await, by_blob(&manager, &lease, &other).await);
        let (first, second) = (blob(world, &lease, "first").await, blob(world, &lease, "second").await);
        link(world, &one, &first).await;
        link(world, &other, &second).await;
        link(world, &one, &other).await;
        world.memory.leases.delete(lease.id()).await.unwrap();
        world.collect().await;
        let all = digests(&[&one, &other, &first, &second]);
        assert_eq!(world.blobs().await.into_iter().collect::<BTreeSet<_>>(), all);

        // Each ref sees and keeps what was linked through the other one, also when that is gone.
        drop(of_one);
        assert_eq!(prune(&manager).await, 1);
        assert_eq!(world.blobs().await.into_iter().collect::<BTreeSet<_>>(), all);
        assert_eq!(reached(world, &other).await.into_iter().collect::<BTreeSet<_>>(), all);
        drop(of_other);
        assert_eq!(prune(&manager).await, 1);
        assert_eq!(world.blobs().await, [], "blobs that name each other go with the last ref");
    });
}

/// BuildKit's TestLoopLeaseContent.
#[test]
fn variants_in_a_loop_go_with_their_ref() {
    block_on(async {
        let world = world();
        let manager = world.open().await;
        let lease = world.lease().await;
        let mut layers = Vec::new();
        for number in 0..6 {
            layers.push(blob(world, &lease, &format!("variant {number}")).await);
        }
        let made = by_blob(&manager, &lease, &layers[0]).await;
        for number in 0..6 {
            link(world, &layers[number], &layers[(number + 1) % 6]).await;
        }
        world.memory.leases.delete(lease.id()).await.unwrap();
        world.collect().await;
        assert_eq!(world.blobs().await.len(), 6);
        drop(made);
        prune(&manager).await;
        assert_eq!((world.blobs().await.len(), world.leases().await), (0, 0));
    });
}

#[test]
fn variants_count_once_among_the_refs_that_share_them() {
    block_on(async {
        let world = world();
        let manager = world.open().await;
        let lease = world.lease().await;
        let (one, other) = (blob(world, &lease, "one").await, blob(world, &lease, "other").await);
        let of_one = by_blob(&manager, &lease, &one).await;
        world.clock.advance(std::time::Duration::from_secs(1));
        let of_other = by_blob(&manager, &lease, &other).await;
        assert_eq!(of_one.size().await.unwrap(), one.descriptor.size);
        let variant = blob(world, &lease, "a variant of some length").await;
        link(world, &one, &variant).await;
        link(world, &other, &variant).await;
        let all = one.descriptor.size + other.descriptor.size + variant.descriptor.size;
        for made in [&of_one, &of_other] {
            assert_eq!(made.size().await.unwrap(), all, "each by itself holds all of them");
        }
        let refs = manager.disk_usage(&UsageOptions::default()).await.unwrap();
        assert_eq!(refs.iter().map(|usage| usage.bytes).collect::<Vec<_>>(), [all, 0], "the oldest counts them");
        assert!(refs.iter().all(|usage| usage.shared));
    });
}
