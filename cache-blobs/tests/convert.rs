//! Conversion of layers from any compression into any other.
#![cfg(all(target_os = "linux", feature = "gzip", feature = "zstd"))]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod cancel_rig;
mod pack_rig;
mod variant_rig;

use cache_blobs::convert::{ConversionLimits, Converter, ConverterBackends, find_variant, variants};
use cache_blobs::pack::Budget;
use cache_core::annotation::{RECIPE, UNCOMPRESSED};
use cache_core::ports::{LeaseManager, Resource};
use cache_core::variants::remembered_layer;
use cache_core::{Compression, CompressionConfig, Descriptor, Digest, ErrorKind, Layer, MediaType};
use cancel_rig::{Rig, run_polls};
use futures::future::{join, join_all};
use pack_rig::{data, decode};
use pollster::block_on;
use variant_rig::{ALL, blobs, bytes, collect, config, converter, foreign_tars, labels, layer, lease, put, tar};

/// BuildKit's TestConversion: every pair keeps the tar, ours and everybody's, bit for bit.
#[test]
fn every_compression_becomes_every_other_with_the_same_tar() {
    let mut tars = foreign_tars();
    tars.push(("ours".to_owned(), tar("ours", 3_000_000)));
    tars.push(("empty".to_owned(), Vec::new()));
    tars.push(("no tar at all".to_owned(), data(100_000, 7)));
    for (name, tar) in tars {
        for from in &ALL {
            // A store for each source: what one made, the other would find.
            let rig = Rig::new("native").unwrap();
            let (lease, converter) = (lease(&rig), converter(&rig));
            let source = layer(&rig, &lease, from, &tar);
            for to in &ALL {
                let before = blobs(&rig).len();
                let made = block_on(converter.convert(&lease, &source, &config(to))).unwrap();
                assert_eq!(blobs(&rig).len() - before, usize::from(from != to), "{name} from {from} to {to}");
                assert_eq!(made.diff_id, Digest::of(&tar), "{name} from {from} to {to}");
                assert_eq!(made.descriptor.media_type, variant_rig::media_type(to));
                let blob = bytes(&rig, &made.descriptor);
                assert_eq!(made.descriptor.size, blob.len() as u64);
                assert!(decode(&rig.codecs, blob).unwrap() == tar, "{name} from {from} to {to}");
                if from == to {
                    assert_eq!(made, source, "what is in the wanted compression stays as it is");
                }
            }
        }
    }
}

#[test]
fn a_new_blob_knows_its_diff_id_its_recipe_and_its_source() {
    let rig = Rig::new("native").unwrap();
    let (lease, converter) = (lease(&rig), converter(&rig));
    let source = layer(&rig, &lease, &Compression::Gzip, &tar("file", 100_000));
    let wanted = CompressionConfig::zstd().with_level(7);
    let made = block_on(converter.convert(&lease, &source, &wanted)).unwrap();
    let labels = labels(&rig, &made.descriptor.digest);
    assert_eq!(labels[UNCOMPRESSED], source.diff_id.to_string());
    assert!(labels[RECIPE].contains(r#""codec":"zstd""#) && labels[RECIPE].contains(r#""level":7"#));
    let content = rig.backends.content.as_ref();
    assert_eq!(block_on(variants(content, &source)).unwrap(), [source.clone(), made.clone()]);
    assert_eq!(block_on(variants(content, &made)).unwrap(), [made.clone(), source.clone()]);
    let info = block_on(content.info(&made.descriptor.digest)).unwrap().unwrap();
    assert_eq!(remembered_layer(&info), Some(made.clone()));
    let holds = block_on(rig.local.leases.resources(&lease)).unwrap();
    assert!(holds.contains(&Resource::Content(made.descriptor.digest)), "the caller's lease holds what was made");

    // From the variant back: the source is found, whatever level is named.
    let back = block_on(converter.convert(&lease, &made, &CompressionConfig::gzip().with_level(1))).unwrap();
    assert_eq!(back, source);
}

#[test]
fn what_a_blob_is_its_content_says_where_it_has_no_recipe() {
    let rig = Rig::new("native").unwrap();
    let (lease, converter) = (lease(&rig), converter(&rig));
    let tar = tar("file", 1000);
    let mut docker = layer(&rig, &lease, &Compression::Zstd, &tar);
    docker.descriptor.media_type = MediaType::DOCKER_LAYER_GZIP;
    let content = rig.backends.content.as_ref();
    let find = |wanted| block_on(find_variant(content, &rig.codecs, &docker, &wanted)).unwrap();
    assert_eq!(find(Compression::Zstd), Some(docker.clone()), "Docker's types promise nothing");
    assert_eq!(find(Compression::Gzip), None);
    let made = block_on(converter.convert(&lease, &docker, &CompressionConfig::gzip())).unwrap();
    assert_eq!(find(Compression::Gzip), Some(made));
}

/// Layers that are not what their descriptors say, each with the compressions in which it is given back as it is.
fn broken(rig: &Rig, lease: &cache_core::ports::Lease) -> Vec<(&'static str, Layer, Vec<Compression>)> {
    let tar = tar("file", 200_000);
    let whole = variant_rig::foreign_blob(&Compression::Gzip, &tar);
    let zstd = variant_rig::foreign_blob(&Compression::Zstd, &tar);
    let blob = |bytes: &[u8], media_type: MediaType, diff_id| {
        put(rig, lease, bytes);
        Layer::new(Descriptor::of(media_type, bytes), diff_id)
    };
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0x55;
    let truncated = &whole[..whole.len() - 9];
    let continued = [&whole[..], b"and more"].concat();
    let diff_id = Digest::of(&tar);
    let gzip = || MediaType::OCI_LAYER_GZIP;
    // Nobody reads a blob that is what is wanted already.
    let unread = || vec![Compression::Gzip];
    vec![
        ("another DiffID", blob(&whole, gzip(), Digest::of("another tar")), unread()),
        ("damaged", blob(&damaged, gzip(), diff_id), unread()),
        ("truncated", blob(truncated, gzip(), diff_id), unread()),
        ("continued", blob(&continued, gzip(), diff_id), unread()),
        ("gzip under zstd's name", blob(&whole, MediaType::OCI_LAYER_ZSTD, diff_id), Vec::new()),
        ("gzip under a plain tar's name", blob(&whole, MediaType::OCI_LAYER, diff_id), Vec::new()),
        ("zstd under gzip's name", blob(&zstd, gzip(), diff_id), Vec::new()),
        ("a plain tar under gzip's name", blob(&tar, gzip(), diff_id), Vec::new()),
    ]
}

#[test]
fn a_blob_that_is_not_its_layer_is_corrupt_and_makes_nothing() {
    let rig = Rig::new("native").unwrap();
    let (lease, converter) = (lease(&rig), converter(&rig));
    for (what, layer, unread) in broken(&rig, &lease) {
        let before = rig.visible();
        for wanted in &ALL {
            let outcome = block_on(converter.convert(&lease, &layer, &config(wanted)));
            let expected = if unread.contains(wanted) { Ok(layer.clone()) } else { Err(ErrorKind::Corrupt) };
            assert_eq!(outcome.map_err(|error| error.kind()), expected, "{what} to {wanted}");
        }
        rig.settle();
        rig.wait_for_budget();
        assert_eq!(rig.visible(), before, "{what}");
    }
}

#[test]
fn what_is_missing_or_unknown_is_told_by_kind() {
    let rig = Rig::new("native").unwrap();
    let (lease, converter) = (lease(&rig), converter(&rig));
    let tar = tar("file", 1000);
    let absent = Layer::new(Descriptor::of(MediaType::OCI_LAYER, b"absent"), Digest::of("absent"));
    let kind = |layer: &Layer, wanted: CompressionConfig| {
        block_on(converter.convert(&lease, layer, &wanted)).unwrap_err().kind()
    };
    assert_eq!(kind(&absent, CompressionConfig::gzip()), ErrorKind::NotFound);
    let source = layer(&rig, &lease, &Compression::Gzip, &tar);
    assert_eq!(kind(&source, CompressionConfig::zstd().with_level(23)), ErrorKind::Invalid);
    assert_eq!(kind(&source, CompressionConfig::gzip().with_level(13)), ErrorKind::Invalid, "though nothing is to do");
    let unknown = Compression::Custom(cache_core::CodecId::new("unheard-of"));
    assert_eq!(kind(&source, CompressionConfig::new(unknown)), ErrorKind::Unsupported);
    block_on(rig.local.leases.delete(lease.id())).unwrap();
    assert_eq!(kind(&source, CompressionConfig::zstd()), ErrorKind::Invalid, "a dead lease");
}

#[test]
fn a_bomb_is_limit_exceeded_and_honest_zeros_pass() {
    let rig = Rig::new("native").unwrap();
    let lease = lease(&rig);
    let limits = ConversionLimits::default().with_ratio(100, 1 << 20);
    let strict = converter(&rig).with_limits(limits);
    let bomb = layer(&rig, &lease, &Compression::Zstd, &vec![b'x'; 20 << 20]);
    let before = blobs(&rig);
    for wanted in [CompressionConfig::gzip(), CompressionConfig::uncompressed()] {
        let refused = block_on(strict.convert(&lease, &bomb, &wanted)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::LimitExceeded);
    }
    let short = converter(&rig).with_limits(ConversionLimits::default().with_bytes(1 << 20));
    let refused = block_on(short.convert(&lease, &bomb, &CompressionConfig::gzip())).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::LimitExceeded);
    rig.settle();
    assert_eq!((blobs(&rig), rig.visible().ingests), (before, Vec::new()));
    let zeros = layer(&rig, &lease, &Compression::Zstd, &vec![0; 20 << 20]);
    block_on(strict.convert(&lease, &zeros, &CompressionConfig::gzip())).unwrap();
}

#[test]
fn callers_that_want_the_same_share_one_conversion_and_each_lease_holds_it() {
    let rig = Rig::new("native").unwrap();
    let converter = converter(&rig);
    let (first, second) = (lease(&rig), lease(&rig));
    let source = layer(&rig, &first, &Compression::Gzip, &tar("file", 2_000_000));
    let clone = converter.clone();
    let wanted = CompressionConfig::zstd();
    // The default level, by name and by silence, is one level.
    let named = wanted.clone().with_level(0);
    let both = join(converter.convert(&first, &source, &wanted), clone.convert(&second, &source, &named));
    let (one, other) = block_on(both);
    let made = one.unwrap();
    assert_eq!(other.unwrap(), made);
    for lease in [&first, &second] {
        let holds = block_on(rig.local.leases.resources(lease)).unwrap();
        assert!(holds.contains(&Resource::Content(made.descriptor.digest)));
    }
    // Another compression is another work, and another level is no longer: the first variant is there.
    let plain = block_on(converter.convert(&first, &source, &CompressionConfig::uncompressed())).unwrap();
    assert_ne!(plain.descriptor.digest, made.descriptor.digest);
    assert_eq!(block_on(converter.convert(&first, &source, &wanted.with_level(19))).unwrap(), made);
}

#[test]
fn conversions_dropped_at_any_await_point_leave_a_whole_variant_or_none() {
    let tar = tar("file", 700_000);
    for wanted in [CompressionConfig::zstd(), CompressionConfig::uncompressed()] {
        for polls in 0.. {
            let rig = Rig::new("native").unwrap();
            let (holds, caller) = (lease(&rig), lease(&rig));
            let source = layer(&rig, &holds, &Compression::Gzip, &tar);
            let converter = converter(&rig);
            let done = run_polls(polls, converter.convert(&caller, &source, &wanted));
            block_on(rig.local.leases.delete(caller.id())).unwrap();
            rig.settle();
            rig.wait_for_budget();
            let content = rig.backends.content.as_ref();
            let linked = block_on(variants(content, &source)).unwrap();
            assert_eq!(blobs(&rig).len(), linked.len(), "poll {polls}: a blob without a link stayed");
            assert_eq!((rig.visible().ingests.len(), rig.visible().ingest_files.len()), (0, 0), "poll {polls}");
            for variant in linked {
                assert!(decode(&rig.codecs, bytes(&rig, &variant.descriptor)).unwrap() == tar);
            }
            // Whatever was left, the next caller gets it.
            let again = block_on(converter.convert(&lease(&rig), &source, &wanted)).unwrap();
            assert!(decode(&rig.codecs, bytes(&rig, &again.descriptor)).unwrap() == tar);
            if let Some(done) = done {
                assert_eq!(done.unwrap(), again);
                break;
            }
        }
    }
}

/// One budget of one block of zstd: whoever does not fit waits, and nobody blocks another for good.
#[test]
fn sixty_four_conversions_share_a_budget_of_one_block() {
    let rig = Rig::new("native").unwrap();
    let lease = lease(&rig);
    let budget = std::sync::Arc::new(Budget::new(std::num::NonZeroUsize::new(2).unwrap(), 17 << 20).unwrap());
    let converter = Converter::new(ConverterBackends { budget: budget.clone(), ..variant_rig::backends(&rig) });
    let sources: Vec<_> = (0..64)
        .map(|number| {
            let from = &ALL[number % 2];
            layer(&rig, &lease, from, &tar(&format!("file-{number}"), 50_000))
        })
        .collect();
    let wanted = CompressionConfig::zstd();
    let made = block_on(join_all(sources.iter().map(|source| converter.convert(&lease, source, &wanted))));
    for (source, made) in sources.iter().zip(made) {
        assert_eq!(made.unwrap().diff_id, source.diff_id);
    }
    assert!(budget.usage().peak_bytes <= 17 << 20);
    collect(&rig);
}
