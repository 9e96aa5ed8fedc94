//! Any tar, packed in any way.

use cache_blobs::codec::estargz::{TocKind, TocLimits};
use cache_blobs::tar::Header;
use cache_core::Digest;
use proptest::prelude::{prop_assert, prop_assert_eq};
use proptest::test_runner::TestCaseError;

use super::{Format, file, read, tar_of};
use crate::pack_rig::Pace;

/// A directory, files of these contents in it, and a link behind each.
pub(crate) fn entries(contents: impl IntoIterator<Item = Vec<u8>>) -> Vec<(Header, Vec<u8>)> {
    let mut entries = vec![(Header::directory("dir"), Vec::new())];
    for (number, contents) in (1..).zip(contents) {
        entries.push(file(&format!("dir/{number}"), contents));
        entries.push((Header::symlink(format!("link-{number}"), "dir"), Vec::new()));
    }
    entries
}

pub(crate) fn bytes_depend_on_the_tar_alone<F: Format>(tar: &[u8], piece: usize) -> Result<(), TestCaseError> {
    let outcome = |workers, pace, piece| {
        let (packed, blob, _) = F::try_pack(tar, workers, pace, piece);
        let packed = packed.unwrap();
        (Digest::of(blob), packed.diff_id, packed.annotations)
    };
    let expected = outcome(1, Pace::Fast, 1 << 20);
    for workers in [2, 3, 8] {
        for pace in [Pace::Fast, Pace::Slow(40)] {
            prop_assert_eq!(outcome(workers, pace, piece), expected.clone());
        }
    }
    Ok(())
}

/// The tar, what the table says of its entries, and every file by the reader. `of_empty` is the digest of a file without contents.
pub(crate) fn a_tar_comes_back<F: Format>(
    entries: &[(Header, Vec<u8>)],
    of_empty: Option<Digest>,
) -> Result<(), TestCaseError> {
    let tar = tar_of(entries);
    let (packed, blob) = F::packed(&tar);
    prop_assert!(F::decode(F::body(&blob)) == tar);
    prop_assert_eq!(packed.diff_id, Digest::of(F::decode(&blob)));
    let told = F::toc(&blob).entries.into_iter().filter(|entry| entry.kind != TocKind::Chunk);
    let told: Vec<_> = told.map(|entry| (entry.name, entry.size, entry.digest)).collect();
    let expected = entries.iter().map(|(header, contents)| {
        let name = String::from_utf8(header.path.clone()).unwrap();
        match name.strip_prefix("dir/") {
            _ if name == "dir" => ("dir/".to_owned(), 0, None),
            Some(_) if contents.is_empty() => (name, 0, of_empty),
            Some(_) => (name, header.size, Some(Digest::of(contents))),
            None => (name, 0, None),
        }
    });
    prop_assert_eq!(told, expected.collect::<Vec<_>>());
    let reader = F::open_with(blob, &packed.annotations, TocLimits::default()).unwrap();
    for (header, contents) in entries.iter().filter(|(header, _)| header.size > 0) {
        prop_assert!(read(&reader, std::str::from_utf8(&header.path).unwrap()).unwrap() == *contents);
    }
    Ok(())
}
