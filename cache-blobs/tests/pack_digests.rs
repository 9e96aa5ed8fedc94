//! What every codec makes of one sample, for `.ci/check-features-bytes`, which compares builds.
#![cfg(all(feature = "gzip", feature = "zstd"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, missing_docs)]

mod pack_rig;

use std::io::Write;
use std::sync::Arc;

use cache_blobs::codec::{Codec, Codecs, DeflateLibrary, Gzip, error_of_io};
use cache_blobs::pack::{PackOptions, PackWriter, pack};
use cache_core::{Compression, Digest};
use pack_rig::{Pace, budget, data, decode, pool, sink};
use pollster::block_on;

#[test]
fn every_build_reads_what_it_packs_and_tells_its_digest() {
    // Several blocks of every codec, half of them noise.
    let noise = data(13 << 20, 7);
    let text: Vec<u8> = noise.iter().map(|byte| b"the quick brown"[usize::from(byte % 15)]).collect();
    let tar = [noise, text].concat();
    let codecs = Codecs::default();
    let of = |compression| codecs.of(&compression).unwrap();
    let zlib_rs: Arc<dyn Codec> = Arc::new(Gzip::by(DeflateLibrary::ZlibRs));
    for codec in [of(Compression::Gzip), of(Compression::Zstd), zlib_rs] {
        for level in [None, Some(1), Some(9)] {
            let (ingest, seen) = sink(Pace::Fast);
            let whole = tar.clone();
            let produce = move |out: &mut PackWriter| {
                out.write_all(&whole).map_err(|error| error_of_io("write", "a sample", error))
            };
            let options = PackOptions::default().with_level(level);
            let packed = block_on(pack(&budget(2, 64 << 20), &pool(), &*codec, ingest, options, produce)).unwrap();
            let blob = std::mem::take(&mut seen.lock().unwrap().bytes);
            assert_eq!(packed.info.digest, Digest::of(&blob));
            let library = codec.recipe(None).unwrap().library;
            assert!(decode(&codecs, blob).unwrap() == tar, "{library} at {level:?}");
            println!("packed {library} {level:?} {}", packed.info.digest);
        }
    }
}
