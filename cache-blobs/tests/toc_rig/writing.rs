//! What encoders of both formats do.

use std::ops::RangeInclusive;

use cache_blobs::codec::{Codecs, Encoder, Sample};
use cache_blobs::tar::Header;
use cache_core::{Compression, CompressionConfig, Digest, ErrorKind, MediaTypeFamily};

use super::{Format, file, tar_of};
use crate::pack_rig::{Fate, Pace, data};

/// Blobs of tars without entries or without an end, and of bytes behind the end, have the tar and its entries; `check` sees
/// each blob with the number of its entries.
pub(crate) fn odd_tars_are_kept<F: Format>(check: impl Fn(&[u8], usize)) {
    let one = tar_of(&[file("f", data(700, 4))]);
    let unended = one[..one.len() - 1024].to_vec();
    let unpadded = one[..512 + 700].to_vec();
    let followed = [&one[..], &[0; 9000], b"garbage"].concat();
    for (tar, entries) in
        [(Vec::new(), 0), (vec![0; 1024], 0), (vec![0; 10_240], 0), (unended, 1), (unpadded, 1), (followed, 1)]
    {
        let (packed, blob) = F::packed(&tar);
        assert!(F::decode(F::body(&blob)) == tar);
        assert_eq!(F::toc(&blob).entries.len(), entries);
        assert_eq!(packed.diff_id, Digest::of(F::decode(&blob)));
        check(&blob, entries);
    }
}

/// What is no tar is refused, and so are `others`; the ingest is aborted.
pub(crate) fn damaged_tars_are_refused<F: Format>(others: Vec<(Vec<u8>, ErrorKind)>) {
    let one = tar_of(&[file("f", data(700, 5))]);
    let mut damaged = one.clone();
    damaged[3] ^= 1;
    let none = [one[..900].to_vec(), one[..300].to_vec(), damaged, data(100_000, 7)];
    for (tar, kind) in none.into_iter().map(|tar| (tar, ErrorKind::Corrupt)).chain(others) {
        let (outcome, _, fate) = F::try_pack(&tar, 2, Pace::Fast, 100);
        assert_eq!(outcome.unwrap_err().kind(), kind);
        assert_eq!(fate, Fate::Aborted);
    }
}

/// The packer refuses more bytes than an encoder's bound.
pub(crate) fn blobs_stay_within_the_bound<F: Format>(tars: Vec<Vec<(Header, Vec<u8>)>>) {
    for files in tars {
        let (packed, blob) = F::packed(&tar_of(&files));
        assert!(F::toc(&blob).entries.len() >= files.len());
        assert_eq!(packed.diff_id, Digest::of(F::decode(&blob)));
    }
}

pub(crate) fn levels_are_checked<F: Format>(wrong: [i32; 2], range: &str, right: RangeInclusive<i32>) {
    for level in wrong {
        let error = F::codec().recipe(Some(level)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.target().contains(range), "{error}");
    }
    for level in right {
        assert!(matches!(F::codec().encoder(Some(level)), Ok(Encoder::Blocks(_))), "{level}");
    }
}

/// Where the tail is not at hand, or none, the blob is `plain`.
pub(crate) fn the_footer_tells_it_from<F: Format>(plain: &Compression) {
    let (_, blob) = F::packed(&tar_of(&[file("f", data(10, 8))]));
    let codecs = Codecs::default();
    let head = Sample::of_head(&blob);
    let detected = |sample: &Sample<'_>| codecs.detect(sample).unwrap().compression();
    assert_eq!(detected(&head.with_tail(&blob)), F::codec().compression());
    assert_eq!(detected(&head.with_tail(&blob[1..blob.len() - 1])), *plain);
    assert_eq!(detected(&head), *plain);
    assert_eq!(codecs.of_media_type(&F::codec().media_types().oci).unwrap().compression(), *plain);
}

pub(crate) fn it_has_no_docker_media_type<F: Format>() {
    let codecs = Codecs::default();
    let config = CompressionConfig::new(F::codec().compression());
    assert_eq!(codecs.of(&config.compression).unwrap().media_types().docker, None);
    assert!(codecs.for_family(&config, MediaTypeFamily::Oci).is_ok());
    assert_eq!(codecs.for_family(&config, MediaTypeFamily::Docker).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(codecs.for_family(&config.with_level(99), MediaTypeFamily::Oci).unwrap_err().kind(), ErrorKind::Invalid);
}
