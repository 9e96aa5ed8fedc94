//! Refs whose blobs are elsewhere until somebody reads them.
#![cfg(all(target_os = "linux", feature = "gzip", feature = "zstd"))]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod cancel_rig;
mod lazy_rig;
mod variant_rig;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use cache_blobs::RemoteBlob;
use cache_blobs::chain::{RemoteExt, RemoteOptions};
use cache_blobs::convert::variants;
use cache_core::annotation::{BLOB_MEDIA_TYPE, CREATED_AT};
use cache_core::cache::{CacheManager, ImmutableRef, MissingBlobs, RefOptions, UsageOptions};
use cache_core::ports::{Manager, MountedTree};
use cache_core::{Compression, Descriptor, ErrorKind, MediaType};
use cancel_rig::run_polls;
use futures::future::join_all;
use lazy_rig::{Shared, as_they_are, digest, forced, world};
use pollster::block_on;
use variant_rig::{blobs, labels, tar};

#[test]
fn asking_about_lazy_refs_pulls_nothing() {
    let world = world();
    let top = world.chain(&vec![Compression::Gzip; 6]);
    for of in top.layer_chain() {
        assert!(block_on(of.is_lazy()).unwrap());
        assert_eq!(block_on(of.size()).unwrap(), 0, "what is not here takes no room");
    }
    assert!(block_on(top.missing_blobs()).unwrap().is_empty(), "its place is known");
    let remote = world.remote(&top, &as_they_are());
    let shown: Vec<_> = remote.layers().iter().map(|layer| layer.layer.descriptor.digest).collect();
    assert_eq!(shown, top.layer_chain().iter().map(digest).collect::<Vec<_>>());
    let remotes = block_on(top.remotes(&world.lease, &world.backends, &as_they_are())).unwrap().unwrap();
    assert_eq!(remotes.variants.count(), 1);
    block_on(world.rig.cache.disk_usage(&UsageOptions::default())).unwrap();
    assert_eq!((world.elsewhere.opens.load(Ordering::SeqCst), blobs(&world.rig).len()), (0, 0));
}

#[test]
fn a_lazy_blob_is_pulled_whole_and_once_for_all_who_read_it() {
    let world = world();
    let layer = world.layer(&Compression::Gzip, "file");
    let one = world.lazy(&layer, None, RefOptions::default().with_image_name("docker.io/library/a:1"));
    // Another ref of the same blob.
    let below = world.chain(&[Compression::Zstd]);
    let other = world.lazy(&layer, Some(&below), RefOptions::default().with_description("told"));
    let remotes = [world.remote(&one, &as_they_are()), world.remote(&other, &as_they_are())];
    let readers = remotes.iter().cycle().take(10).map(|remote| {
        let shown = remote.layers().last().unwrap();
        shown.provider.open(&shown.layer.descriptor)
    });
    for reader in block_on(join_all(readers)) {
        let reader = reader.unwrap().unwrap();
        assert_eq!(reader.size(), layer.descriptor.size);
    }
    assert_eq!(world.pulls(), 1);
    assert!(!block_on(one.is_lazy()).unwrap() && !block_on(other.is_lazy()).unwrap());
    assert!(block_on(below.is_lazy()).unwrap(), "nobody read this one");

    // It is linked, with itself, and remembers what it is called.
    let labels = labels(&world.rig, &layer.descriptor.digest);
    assert_eq!(labels[BLOB_MEDIA_TYPE], layer.descriptor.media_type.as_str());
    assert_eq!(block_on(variants(world.rig.backends.content.as_ref(), &layer)).unwrap(), vec![layer.clone()]);
    // Each ref holds it.
    block_on(world.rig.backends.leases.delete(world.lease.id())).unwrap();
    drop((one, remotes));
    world.rig.settle();
    assert!(blobs(&world.rig).contains(&layer.descriptor.digest));
    assert_eq!(other.description(), "told");
}

#[test]
fn a_pulled_ref_says_where_it_was_pulled_from_unless_it_says_something_else() {
    let world = world();
    let names = ["docker.io/library/a:1", "docker.io/library/b:1"];
    let layer = world.layer(&Compression::Gzip, "file");
    let of = world.lazy(&layer, None, RefOptions::default().with_image_name(names[0]));
    block_on(of.add_image_name(names[1])).unwrap();
    assert_eq!(of.description(), "");
    block_on(of.make_present()).unwrap();
    assert_eq!(of.description(), "pulled from docker.io/library/a:1");
    let described = world.layer(&Compression::Gzip, "described");
    let options = RefOptions::default().with_image_name(names[0]).with_description("a step");
    let of = world.lazy(&described, None, options);
    block_on(of.make_present()).unwrap();
    assert_eq!(of.description(), "a step");
}

#[test]
fn the_provider_of_a_lazy_layer_has_no_other_blob() {
    let world = world();
    let top = world.chain(&[Compression::Gzip, Compression::Gzip]);
    let present = tar("present", 10);
    variant_rig::put(&world.rig, &world.lease, &present);
    let remote = world.remote(&top, &as_they_are());
    let provider = &remote.layers()[0].provider;
    for other in [&remote.layers()[1].layer.descriptor, &Descriptor::of(MediaType::OCI_LAYER, &present)] {
        assert!(block_on(provider.open(other)).unwrap().is_none(), "another digest is not found");
    }
    assert_eq!(world.pulls(), 0);
}

#[test]
fn mounting_pulls_and_unpacks_the_whole_chain() {
    let world = world();
    let top = world.chain(&[&variant_rig::ALL[..], &variant_rig::ALL[..]].concat());
    let tree = block_on(top.mount()).unwrap();
    for at in 0..6 {
        assert_eq!(fs::metadata(tree.path().join(format!("file-{at}"))).unwrap().len(), 50_000);
    }
    assert_eq!((world.pulls(), blobs(&world.rig).len()), (6, 6));
    // A mutable ref on top needs the snapshot, too, and finds it.
    block_on(world.rig.cache.create(Some(&top), RefOptions::default())).unwrap();
    assert_eq!(world.pulls(), 6);
}

#[test]
fn the_blobs_of_a_chain_are_pulled_several_at_a_time_but_no_more_than_four() {
    let world = world();
    let top = world.chain(&vec![Compression::Gzip; 12]);
    world.elsewhere.gather.store(5, Ordering::SeqCst);
    block_on(top.make_chain_present()).unwrap();
    assert_eq!((world.pulls(), blobs(&world.rig).len()), (12, 12));
    let peak = world.elsewhere.open_peak.load(Ordering::SeqCst);
    assert_eq!(peak, 4, "at a time");
    assert!(block_on(world.rig.backends.snapshotter.list()).unwrap().is_empty(), "nothing is unpacked");
}

#[test]
fn a_process_that_was_not_told_lists_all_blobs_that_it_lacks() {
    let world = world();
    let top = world.chain(&vec![Compression::Gzip; 6]);
    let refs = top.layer_chain();
    block_on(refs[2].make_present()).unwrap();
    let expected: Vec<_> = refs.iter().enumerate().filter(|(at, _)| *at != 2).map(|(_, of)| digest(of)).collect();
    let manager = block_on(CacheManager::open(world.rig.backends.clone())).unwrap();
    let same = block_on(manager.get(top.id())).unwrap();
    assert_eq!(block_on(same.missing_blobs()).unwrap().digests(), expected);
    let unread = block_on(same.remote(&world.lease, &world.backends)).unwrap_err();
    let unmounted = block_on(same.mounts()).unwrap_err();
    for error in [unread, unmounted] {
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(MissingBlobs::of(&error).unwrap().digests(), expected);
    }
    let whole = block_on(same.make_chain_present()).unwrap_err();
    assert_eq!(MissingBlobs::of(&whole).unwrap().digests(), expected);
    let alone = block_on(same.make_present()).unwrap_err();
    assert_eq!(MissingBlobs::of(&alone).unwrap().digests(), [digest(&top)]);
    // Once told, it can.
    for of in same.layer_chain() {
        of.provide(RemoteBlob::from_provider(Arc::new(Shared(Arc::clone(&world.elsewhere)))));
    }
    block_on(same.mounts()).unwrap();
    assert_eq!(blobs(&world.rig).len(), 6);
}

#[test]
fn lazy_layers_say_from_which_repositories_they_can_be_mounted() {
    let world = world();
    let layer = world.layer(&Compression::Gzip, "file");
    let of = world.lazy(&layer, None, RefOptions::default());
    for name in [
        "registry.example:5000/group/image:tag",
        "registry.example:5000/group/image@sha256:0000000000000000000000000000000000000000000000000000000000000000",
        "registry.example/other:5000",
        "docker.io/library/busybox:latest",
        "[::1]:443/v6",
        "no-host",
    ] {
        block_on(of.add_image_name(name)).unwrap();
    }
    let annotations = |of: &ImmutableRef, options: &RemoteOptions| {
        let mut annotations = world.remote(of, options).layers()[0].layer.descriptor.annotations.clone();
        assert!(annotations.remove(CREATED_AT).is_some());
        annotations.into_iter().collect::<Vec<_>>()
    };
    let sources = [
        ("containerd.io/distribution.source.::1".to_owned(), "v6".to_owned()),
        ("containerd.io/distribution.source.docker.io".to_owned(), "library/busybox".to_owned()),
        ("containerd.io/distribution.source.registry.example".to_owned(), "group/image,other".to_owned()),
    ];
    assert_eq!(annotations(&of, &as_they_are()), sources);
    // Converted, it keeps them, though the new blob brings no annotations of its own.
    assert_eq!(annotations(&of, &forced(&Compression::Zstd)), sources);
    assert_eq!(annotations(&of, &as_they_are()), [], "it is here now; the store's own labels say the rest");
}

#[test]
fn forcing_keeps_lazy_what_needs_no_conversion() {
    let world = world();
    let top = world.chain(&[&variant_rig::ALL[..], &variant_rig::ALL[..]].concat());
    let remote = world.remote(&top, &forced(&Compression::Gzip));
    let lazy: Vec<_> = top.layer_chain().iter().map(|of| block_on(of.is_lazy()).unwrap()).collect();
    assert_eq!(lazy, [false, true, false, false, true, false]);
    assert_eq!(world.pulls(), 4);
    for (layer, of) in remote.layers().iter().zip(top.layer_chain()) {
        assert_eq!(layer.layer.descriptor.media_type, MediaType::OCI_LAYER_GZIP);
        assert_eq!(layer.layer.diff_id, of.layer().unwrap().diff_id);
        assert!(block_on(layer.provider.open(&layer.layer.descriptor)).unwrap().is_some());
    }
    assert_eq!(blobs(&world.rig).len(), 6 + 4, "what was pulled to be converted stays, too");
}

#[test]
fn a_pull_that_broke_off_goes_on_and_one_that_is_wrong_leaves_nothing() {
    let world = world();
    let top = world.chain(&[Compression::Uncompressed]);
    world.elsewhere.breaks_off.store(true, Ordering::SeqCst);
    let failed = block_on(top.make_present()).unwrap_err();
    assert_eq!((failed.kind(), blobs(&world.rig).len()), (ErrorKind::Unavailable, 0));
    assert_eq!(top.description(), "", "not pulled, not described");
    block_on(top.make_present()).unwrap();
    let starts: Vec<_> = world.elsewhere.reads.lock().unwrap().iter().map(|(_, start)| *start).collect();
    assert!(starts[0] == 0 && starts[1] > 20_000, "{starts:?}");

    let wrong = world.layer(&Compression::Gzip, "wrong");
    let of = world.lazy(&wrong, None, RefOptions::default());
    world.elsewhere.blobs.lock().unwrap().get_mut(&wrong.descriptor.digest).unwrap()[100] ^= 1;
    assert_eq!(block_on(of.make_present()).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(block_on(of.mounts()).unwrap_err().kind(), ErrorKind::Corrupt);
    world.elsewhere.blobs.lock().unwrap().clear();
    assert_eq!(block_on(of.make_present()).unwrap_err().kind(), ErrorKind::NotFound);
    world.rig.settle();
    assert_eq!(blobs(&world.rig).len(), 1);
    assert!(block_on(world.rig.local.content.info(&wrong.descriptor.digest)).unwrap().is_none());
}

#[test]
fn a_ref_that_exists_learns_where_its_blob_is() {
    let world = world();
    let top = world.chain(&vec![Compression::Gzip; 2]);
    let manager = block_on(CacheManager::open(world.rig.backends.clone())).unwrap();
    let bottom = block_on(manager.get(top.parent().unwrap().id())).unwrap();
    assert_eq!(block_on(bottom.missing_blobs()).unwrap().digests(), [digest(&bottom)]);
    let source = RemoteBlob::from_provider(Arc::new(Shared(Arc::clone(&world.elsewhere))));
    let layer = bottom.layer().unwrap();
    let again = manager.get_by_remote_blob(&world.lease, &layer, source, None, RefOptions::default());
    let again = block_on(again).unwrap();
    assert_eq!(again.id(), bottom.id());
    block_on(bottom.make_present()).unwrap();
    assert_eq!(world.pulls(), 1);
    // Without a source, a blob that is not there makes no ref.
    let absent = world.layer(&Compression::Gzip, "absent");
    let refused = manager.get_by_blob(&world.lease, &absent, None, RefOptions::default());
    assert_eq!(block_on(refused).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_pull_that_is_dropped_anywhere_leaves_a_ref_that_can_be_pulled() {
    for polls in 0.. {
        let world = world();
        let top = world.chain(&[Compression::Zstd, Compression::Gzip]);
        let done = run_polls(polls, top.mounts()).is_some();
        world.rig.settle();
        for of in top.layer_chain() {
            let here = blobs(&world.rig).contains(&digest(&of));
            assert_eq!(block_on(of.is_lazy()).unwrap(), !here, "poll {polls}");
        }
        block_on(top.mounts()).unwrap();
        assert_eq!(blobs(&world.rig).len(), 2, "poll {polls}");
        assert!(world.rig.visible().ingests.is_empty(), "poll {polls}");
        if done {
            break;
        }
    }
}
