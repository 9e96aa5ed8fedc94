//! What every codec makes of one sample, for `.ci/check-features-bytes`, which compares builds.
#![cfg(all(feature = "gzip", feature = "zstd", feature = "estargz", feature = "zstd-chunked"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, missing_docs)]

mod pack_rig;

use std::sync::Arc;

use cache_blobs::codec::{Codec, Codecs, DeflateLibrary, Estargz, Gzip};
use cache_blobs::pack::{PackOptions, PackWriter, pack};
use cache_blobs::tar::{Header, Writer};
use cache_core::{Compression, Digest};
use pack_rig::{Pace, budget, data, decode, pool, sink, write_all};
use pollster::block_on;

#[test]
fn every_build_reads_what_it_packs_and_tells_its_digest() {
    // Several blocks of every codec, half of them noise.
    let noise = data(13 << 20, 7);
    let text: Vec<u8> = noise.iter().map(|byte| b"the quick brown"[usize::from(byte % 15)]).collect();
    let mut writer = Writer::new(Vec::new());
    for (name, content) in [("noise", noise), ("text", text)] {
        writer.append(&Header::file(name, content.len() as u64), &content[..]).unwrap();
    }
    let tar = writer.finish().unwrap();
    let codecs = Codecs::default();
    let of = |compression| codecs.of(&compression).unwrap();
    let gzip_by_zlib_rs: Arc<dyn Codec> = Arc::new(Gzip::by(DeflateLibrary::ZlibRs));
    let estargz_by_zlib_rs: Arc<dyn Codec> = Arc::new(Estargz::by(DeflateLibrary::ZlibRs));
    for codec in [
        of(Compression::Gzip),
        gzip_by_zlib_rs,
        of(Compression::EStargz),
        estargz_by_zlib_rs,
        of(Compression::Zstd),
        of(Compression::ZSTD_CHUNKED),
    ] {
        let compression = codec.compression();
        for level in [None, Some(1), Some(9)] {
            let (ingest, seen) = sink(Pace::Fast);
            let whole = tar.clone();
            let produce = move |out: &mut PackWriter| write_all(out, &whole);
            let options = PackOptions::default().with_level(level);
            let packed = block_on(pack(&budget(2, 64 << 20), &pool(), &*codec, ingest, options, produce)).unwrap();
            let blob = std::mem::take(&mut seen.lock().unwrap().bytes);
            assert_eq!(packed.info.digest, Digest::of(&blob));
            let library = codec.recipe(None).unwrap().library;
            let decoded = decode(&codecs, blob).unwrap();
            assert_eq!(packed.diff_id, Digest::of(&decoded), "{compression} by {library} at {level:?}");
            // Behind the tar in eStargz comes its table of contents.
            assert!(decoded.starts_with(&tar), "{compression} by {library} at {level:?}");
            assert_eq!(decoded.len() == tar.len(), compression != Compression::EStargz);
            println!("packed {compression} {library} {level:?} {}", packed.info.digest);
        }
    }
}
