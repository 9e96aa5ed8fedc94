//! Remotes of a ref: the main one, its variants, and how layers are shown in them.
#![cfg(all(target_os = "linux", feature = "estargz", feature = "gzip", feature = "zstd"))]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod cancel_rig;
mod variant_rig;

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use async_trait::async_trait;
use cache_blobs::chain::{Creation, LayerBackends, NonDistributable, RemoteExt, RemoteOptions, Remotes};
use cache_blobs::convert::find_variant;
use cache_blobs::remote::Remote;
use cache_core::annotation::CREATED_AT;
use cache_core::cache::{ImmutableRef, MissingBlobs, RefOptions};
use cache_core::ports::{DiffOptions, Differ, Lease, LeaseManager, Mount};
use cache_core::{
    Compression, CompressionConfig, Descriptor, Digest, ErrorKind, Layer, MediaType, MediaTypeFamily, Result,
};
use cancel_rig::Rig;
use cancel_rig::work::step;
use futures::channel::oneshot;
use futures::future::join;
use pollster::block_on;
use variant_rig::{ALL, blobs, chain, collect, config, converter, layer, lease, tar};

struct World {
    rig: Rig,
    lease: Lease,
    backends: LayerBackends,
}

fn world() -> World {
    let rig = Rig::new("native").unwrap();
    let backends = rig.layers.clone().with_converter(converter(&rig));
    World { lease: lease(&rig), backends, rig }
}

impl World {
    /// A chain of so many gzip layers; the top.
    fn gzip(&self, layers: usize, name: &str) -> ImmutableRef {
        chain(&self.rig, &self.lease, &vec![Compression::Gzip; layers], name)
    }

    fn remotes(&self, top: &ImmutableRef, options: &RemoteOptions) -> Remotes {
        block_on(top.remotes(&self.lease, &self.backends, options)).unwrap().unwrap()
    }

    fn main(&self, top: &ImmutableRef, options: &RemoteOptions) -> Remote {
        block_on(top.main_remote(&self.lease, &self.backends, options)).unwrap().unwrap()
    }

    /// Makes the variants of a ref's own layer.
    fn vary(&self, of: &ImmutableRef, wanted: &[Compression]) {
        for wanted in wanted {
            let converter = converter(&self.rig);
            block_on(converter.convert(&self.lease, &of.layer().unwrap(), &config(wanted))).unwrap();
        }
    }
}

fn new_layers(compression: &Compression) -> RemoteOptions {
    RemoteOptions::new(DiffOptions::new(config(compression)))
}

fn forced(compression: &Compression) -> RemoteOptions {
    RemoteOptions::new(DiffOptions::new(config(compression).forced()))
}

fn digests(remote: &Remote) -> Vec<Digest> {
    remote.layers().iter().map(|layer| layer.layer.descriptor.digest).collect()
}

fn only(layer: Layer, top: Option<&ImmutableRef>, world: &World) -> ImmutableRef {
    block_on(world.rig.cache.get_by_blob(&world.lease, &layer, top, RefOptions::default())).unwrap()
}

/// Seven layers: with BuildKit's shared slices, chains of five and more lose variants of their upper layers.
#[test]
fn every_combination_of_variants_is_a_remote_of_its_own() {
    let world = world();
    let top = world.gzip(7, "layer");
    let refs = top.layer_chain();
    for (at, of) in refs.iter().enumerate() {
        let wanted: &[_] =
            if at % 3 == 1 { &[Compression::Zstd, Compression::Uncompressed] } else { &[Compression::Zstd] };
        world.vary(of, wanted);
    }
    let options = new_layers(&Compression::Zstd);
    let remotes = world.remotes(&top, &options);
    let own: Vec<_> = refs.iter().map(|of| of.layer().unwrap().descriptor.digest).collect();
    assert_eq!(digests(&remotes.main), own, "the main remote is that without variants");
    assert_eq!(digests(&remotes.main), digests(&world.main(&top, &options)));

    let sizes: Vec<_> = remotes.variants.sets().iter().map(Vec::len).collect();
    assert_eq!(sizes, [2, 3, 2, 2, 3, 2, 1], "those below in any compression, the topmost in the wanted one");
    let all: Vec<_> = remotes.variants.iter(usize::MAX).collect();
    assert_eq!((all.len() as u64, remotes.variants.count()), (144, 144));
    let distinct: BTreeSet<_> = all.iter().map(digests).collect();
    assert_eq!(distinct.len(), 144, "no two are the same");
    let content = world.rig.backends.content.as_ref();
    for remote in &all {
        assert_eq!(remote.layers().len(), 7);
        for (layer, of) in remote.layers().iter().zip(&refs) {
            assert_eq!(layer.layer.diff_id, of.layer().unwrap().diff_id, "each layer is in its place");
            assert!(block_on(layer.provider.open(&layer.layer.descriptor)).unwrap().is_some());
        }
        let topmost = &remote.layers()[6].layer;
        let found = block_on(find_variant(content, &world.rig.codecs, topmost, &Compression::Zstd)).unwrap();
        assert_eq!(found.unwrap().descriptor.digest, topmost.descriptor.digest);
    }
}

#[test]
fn combinations_are_made_when_asked_for_and_no_more_than_wanted() {
    let world = world();
    let top = world.gzip(40, "layer");
    for of in top.layer_chain() {
        world.vary(&of, &[Compression::Zstd, Compression::Uncompressed]);
    }
    let remotes = world.remotes(&top, &new_layers(&Compression::Uncompressed));
    assert_eq!(remotes.variants.count(), 3_u64.pow(39));
    let some: Vec<_> = remotes.variants.iter(100).collect();
    assert_eq!(some.len(), 100);
    assert_eq!(some.iter().map(digests).collect::<BTreeSet<_>>().len(), 100);
    assert_eq!(digests(&some[0])[..39], digests(&remotes.main)[..39], "each layer's own blob comes first");
    assert_eq!(remotes.variants.iter(0).count(), 0);
}

#[test]
fn without_the_topmost_variant_there_is_the_main_remote_alone() {
    let world = world();
    let top = world.gzip(6, "layer");
    world.vary(&top.parent().unwrap(), &[Compression::Zstd]);
    let remotes = world.remotes(&top, &new_layers(&Compression::Zstd));
    assert_eq!((remotes.variants.count(), remotes.variants.iter(9).count()), (0, 0));
    assert_eq!(remotes.main.layers().len(), 6);
    // The topmost layer's own blob is of the wanted compression.
    let remotes = world.remotes(&top, &new_layers(&Compression::Gzip));
    assert_eq!(remotes.variants.count(), 2);
    world.vary(&top, &[Compression::Zstd]);
    assert_eq!(world.remotes(&top, &new_layers(&Compression::Zstd)).variants.count(), 2);
    assert_eq!(world.remotes(&top, &forced(&Compression::Zstd)).variants.count(), 0, "forced: one remote");
}

/// Two diffs at once: the one in gzip ends first, the other one when whoever wanted gzip has it.
#[derive(Debug)]
struct GzipFirst {
    inner: Arc<dyn Differ>,
    other_began: AtomicBool,
    gzip_is_told: Mutex<Option<oneshot::Receiver<()>>>,
}

impl GzipFirst {
    /// Lets the other call of the same task have its turns, but not forever: it may never come so far.
    async fn wait_for_other(&self) {
        let mut turns = 0;
        poll_fn(|context| {
            turns += 1;
            if self.other_began.load(Ordering::SeqCst) || turns > 1_000_000 {
                return Poll::Ready(());
            }
            std::thread::yield_now();
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}

#[async_trait]
impl Differ for GzipFirst {
    fn supports(&self, options: &DiffOptions) -> bool {
        self.inner.supports(options)
    }

    async fn diff(
        &self,
        lease: &Lease,
        key: &str,
        lower: &[Mount],
        upper: &[Mount],
        options: &DiffOptions,
    ) -> Result<Layer> {
        if options.compression.compression == Compression::Gzip {
            self.wait_for_other().await;
            return self.inner.diff(lease, key, lower, upper, options).await;
        }
        self.other_began.store(true, Ordering::SeqCst);
        let made = self.inner.diff(lease, key, lower, upper, options).await;
        let told = self.gzip_is_told.lock().unwrap().take().unwrap();
        told.await.unwrap();
        made
    }
}

/// In BuildKit, concurrent callers share the work whatever they want: the second one's compression is never made.
#[test]
fn the_compression_of_a_caller_who_came_second_is_on_top_of_the_variants() {
    came_second(&Compression::Zstd, MediaType::OCI_LAYER_ZSTD);
    // Its DiffID is its own.
    came_second(&Compression::EStargz, MediaType::OCI_LAYER_GZIP);
}

fn came_second(compression: &Compression, media_type: MediaType) {
    let world = world();
    let base = world.gzip(5, "layer");
    let top = step(&world.rig, Some(&base), 1);
    let (tell, told) = oneshot::channel();
    let differ = GzipFirst {
        inner: Arc::new(world.rig.differ.clone()),
        other_began: AtomicBool::new(false),
        gzip_is_told: Mutex::new(Some(told)),
    };
    let backends = LayerBackends::new(Arc::new(differ)).with_converter(converter(&world.rig));
    let (first, second) = (lease(&world.rig), lease(&world.rig));
    let (gzip, wanted) = (new_layers(&Compression::Gzip), new_layers(compression));
    let one = async {
        let remotes = top.remotes(&first, &backends, &gzip).await;
        tell.send(()).unwrap();
        remotes.unwrap().unwrap()
    };
    let other = async { top.remotes(&second, &backends, &wanted).await.unwrap().unwrap() };
    let (one, other) = block_on(join(one, other));

    let types = |remote: &Remote| -> Vec<_> {
        remote.layers().iter().map(|layer| layer.layer.descriptor.media_type.clone()).collect()
    };
    assert_eq!(types(&one.main), vec![MediaType::OCI_LAYER_GZIP; 6]);
    assert_eq!(digests(&other.main), digests(&one.main), "one blob is the ref's");
    let mut expected = vec![MediaType::OCI_LAYER_GZIP; 5];
    expected.push(media_type);
    let all: Vec<_> = other.variants.iter(9).collect();
    assert_eq!(all.iter().map(types).collect::<Vec<_>>(), [expected]);
    let [gzip_layer, other_layer] = [&one.main, &all[0]].map(|remote| &remote.layers()[5].layer);
    assert_ne!(other_layer.descriptor.digest, gzip_layer.descriptor.digest);
    assert_eq!(other_layer.diff_id == gzip_layer.diff_id, *compression != Compression::EStargz);

    // It stays with the ref when its maker's lease is gone.
    for lease in [first, second] {
        block_on(world.rig.local.leases.delete(lease.id())).unwrap();
    }
    collect(&world.rig);
    assert!(blobs(&world.rig).contains(&other_layer.descriptor.digest));
    let later = world.remotes(&top, &wanted);
    assert_eq!(later.variants.iter(9).map(|remote| digests(&remote)).collect::<Vec<_>>(), [digests(&all[0])]);
}

#[test]
fn looking_only_makes_neither_blobs_nor_variants() {
    let world = world();
    let top = world.gzip(6, "layer");
    let before = world.rig.visible();
    let look = forced(&Compression::Zstd).with_creation(Creation::LookOnly);
    assert!(block_on(top.main_remote(&world.lease, &world.backends, &look)).unwrap().is_none());
    assert_eq!(world.rig.visible(), before);
    let made = world.main(&top, &forced(&Compression::Zstd));
    let found = block_on(top.remotes(&world.lease, &world.backends, &look)).unwrap().unwrap();
    assert_eq!(digests(&found.main), digests(&made));
}

#[test]
fn every_layer_says_when_it_was_created() {
    let world = world();
    let top = world.gzip(6, "layer");
    world.vary(&top, &[Compression::Zstd]);
    let remotes = world.remotes(&top, &new_layers(&Compression::Zstd));
    let forced = world.main(&top, &forced(&Compression::Uncompressed));
    for remote in remotes.variants.iter(9).chain([remotes.main, forced]) {
        for (layer, of) in remote.layers().iter().zip(top.layer_chain()) {
            assert_eq!(layer.layer.descriptor.annotations[CREATED_AT], of.created_at().to_utc().to_string());
        }
    }
}

#[test]
fn a_record_without_a_media_type_gets_the_one_that_its_content_shows() {
    let world = world();
    let mut top = None;
    for (at, compression) in ALL.iter().cycle().take(6).enumerate() {
        let mut nameless = layer(&world.rig, &world.lease, compression, &tar(&format!("file-{at}"), 500));
        nameless.descriptor.media_type = MediaType::default();
        top = Some(only(nameless, top.as_ref(), &world));
    }
    let top = top.unwrap();
    let remote = world.main(&top, &new_layers(&Compression::Gzip));
    for (layer, compression) in remote.layers().iter().zip(ALL.iter().cycle()) {
        assert_eq!(layer.layer.descriptor.media_type, variant_rig::media_type(compression));
    }
    // Converted ones remember it for everybody.
    let zstd = world.main(&top, &forced(&Compression::Zstd));
    assert!(zstd.layers().iter().all(|layer| layer.layer.descriptor.media_type == MediaType::OCI_LAYER_ZSTD));
}

#[test]
fn blobs_that_nobody_has_are_all_named_in_one_error() {
    let world = world();
    let top = world.gzip(6, "layer");
    let refs = top.layer_chain();
    let gone: Vec<_> = [1, 3, 4].map(|at: usize| refs[at].layer().unwrap().descriptor.digest).into();
    for at in [1, 3, 4] {
        variant_rig::lose(&world.rig, &refs[at], &world.lease);
    }
    for options in [new_layers(&Compression::Gzip), forced(&Compression::Zstd)] {
        let refused = block_on(top.remotes(&world.lease, &world.backends, &options)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::NotFound);
        assert_eq!(MissingBlobs::of(&refused).unwrap().digests(), gone);
    }
    assert!(block_on(refs[0].remote(&world.lease, &world.backends)).unwrap().is_some());
}

/// BuildKit's TestNondistributableBlobs, with its weak point: Docker's gzip type is mapped, too.
#[test]
fn urls_and_their_media_types_are_kept_on_request_and_dropped_else() {
    let world = world();
    let mut top = None;
    let given = [
        (MediaType::OCI_LAYER_NON_DISTRIBUTABLE_GZIP, true),
        (MediaType::OCI_LAYER_GZIP, true),
        (MediaType::DOCKER_LAYER_GZIP, true),
        (MediaType::DOCKER_LAYER_FOREIGN_GZIP, true),
        (MediaType::DOCKER_LAYER_FOREIGN_GZIP, false),
        (MediaType::OCI_LAYER_GZIP, false),
    ];
    for (at, (media_type, has_urls)) in given.iter().enumerate() {
        let mut one = layer(&world.rig, &world.lease, &Compression::Gzip, &tar(&format!("file-{at}"), 500));
        one.descriptor.media_type = media_type.clone();
        if *has_urls {
            one.descriptor.urls = vec![format!("https://example.com/{at}")];
        }
        top = Some(only(one, top.as_ref(), &world));
    }
    let top = top.unwrap();
    let shown = |remote: &Remote| -> Vec<_> {
        let layers = remote.layers().iter().map(|layer| &layer.layer.descriptor);
        layers.map(|descriptor| (descriptor.media_type.clone(), descriptor.urls.len())).collect()
    };
    let options = new_layers(&Compression::Gzip);
    let prefer = options.clone().with_non_distributable(NonDistributable::Prefer);
    assert_eq!(
        shown(&world.main(&top, &prefer)),
        [
            (MediaType::OCI_LAYER_NON_DISTRIBUTABLE_GZIP, 1),
            (MediaType::OCI_LAYER_NON_DISTRIBUTABLE_GZIP, 1),
            (MediaType::DOCKER_LAYER_FOREIGN_GZIP, 1),
            (MediaType::DOCKER_LAYER_FOREIGN_GZIP, 1),
            (MediaType::DOCKER_LAYER_GZIP, 0),
            (MediaType::OCI_LAYER_GZIP, 0),
        ]
    );
    let distributable = world.main(&top, &options);
    assert!(shown(&distributable).iter().all(|(media_type, urls)| !media_type.is_non_distributable() && *urls == 0));
    // What is converted is another blob, which is nowhere else.
    let converted = forced(&Compression::Zstd).with_non_distributable(NonDistributable::Prefer);
    assert_eq!(shown(&world.main(&top, &converted)), vec![(MediaType::OCI_LAYER_ZSTD, 0); 6]);
    let kept = forced(&Compression::Gzip).with_non_distributable(NonDistributable::Prefer);
    assert_eq!(shown(&world.main(&top, &kept)), shown(&world.main(&top, &prefer)));
}

#[test]
fn layers_get_the_names_of_the_wanted_family() {
    let world = world();
    let top = chain(&world.rig, &world.lease, &[&ALL[..], &ALL[..]].concat(), "layer");
    let named = |options: RemoteOptions| -> Vec<_> {
        let remote = world.main(&top, &options.with_family(MediaTypeFamily::Docker));
        remote.layers().iter().map(|layer| layer.layer.descriptor.media_type.clone()).collect()
    };
    let docker = [MediaType::DOCKER_LAYER, MediaType::DOCKER_LAYER_GZIP, MediaType::DOCKER_LAYER_ZSTD];
    assert_eq!(named(new_layers(&Compression::Gzip)), [&docker[..], &docker[..]].concat());
    assert_eq!(named(forced(&Compression::Zstd)), vec![MediaType::DOCKER_LAYER_ZSTD; 6], "allowed, with a warning");
    let oci = world.main(&top, &new_layers(&Compression::Gzip).with_family(MediaTypeFamily::Oci));
    assert!(oci.layers().iter().all(|layer| layer.layer.descriptor.media_type.has_name_in(MediaTypeFamily::Oci)));
}

#[test]
fn without_a_converter_only_the_main_remote_can_be_had() {
    let world = world();
    let top = world.gzip(2, "layer");
    let bare = LayerBackends::new(Arc::new(world.rig.differ.clone()));
    assert!(block_on(top.remote(&world.lease, &bare)).unwrap().is_some());
    for options in [new_layers(&Compression::Gzip), forced(&Compression::Zstd)] {
        let refused = block_on(top.remotes(&world.lease, &bare, &options)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unsupported);
    }
    let before = blobs(&world.rig);
    let wrong = RemoteOptions::new(DiffOptions::new(CompressionConfig::zstd().with_level(99).forced()));
    let refused = block_on(top.main_remote(&world.lease, &world.backends, &wrong)).unwrap_err();
    assert_eq!((refused.kind(), blobs(&world.rig)), (ErrorKind::Invalid, before));
    let absent = Layer::new(Descriptor::of(MediaType::OCI_LAYER, b"absent"), Digest::of("absent"));
    let kind = block_on(converter(&world.rig).convert(&world.lease, &absent, &CompressionConfig::zstd()));
    assert_eq!(kind.unwrap_err().kind(), ErrorKind::NotFound);
}
