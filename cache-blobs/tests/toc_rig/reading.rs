//! What readers of both formats do.

use cache_blobs::codec::estargz::{Toc, TocEntry, TocKind, TocLimits};
use cache_blobs::tar::Header;
use cache_core::{Annotations, Digest, ErrorKind};

use super::{Files, Format, file, read, read_range, tar_of};

/// A small file, a large one, a second name of that, a link and an empty file: annotations and blob.
pub(crate) fn sample<F: Format>(large: &[u8]) -> (Annotations, Vec<u8>) {
    let (packed, blob) = F::packed(&tar_of(&[
        (Header::directory("d"), Vec::new()),
        file("d/small", b"small".to_vec()),
        file("d/large", large.to_vec()),
        (Header::hard_link("again", "d/large"), Vec::new()),
        (Header::symlink("link", "d/large"), Vec::new()),
        file("empty", Vec::new()),
    ]));
    (packed.annotations, blob)
}

/// By the annotations and by the footer.
pub(crate) fn any_spelling_of_any_name_is_read<F: Format>(large: &[u8]) {
    let (annotations, blob) = sample::<F>(large);
    for annotations in [annotations, Annotations::new()] {
        let reader = F::open_with(blob.clone(), &annotations, TocLimits::default()).unwrap();
        for path in ["d/large", "/d/large", "./d//large", "d/../d/large", "again"] {
            assert!(read(&reader, path).unwrap() == large, "{path}");
        }
        assert_eq!(read(&reader, "d/small").unwrap(), b"small");
        assert_eq!(read(&reader, "empty").unwrap(), b"");
        assert!(reader.stream("d/none", 0..1).unwrap().is_none());
        for path in ["d", "link"] {
            assert_eq!(reader.stream(path, 0..1).err().unwrap().kind(), ErrorKind::Invalid);
        }
        assert_eq!(reader.described("/link").unwrap().link_name, "d/large");
    }
}

pub(crate) fn a_damaged_chunk_is_corrupt<F: Format>(large: &[u8]) {
    let (_, mut blob) = sample::<F>(large);
    let second = F::toc(&blob).entries.into_iter().find(|entry| entry.chunk_offset > 0).unwrap();
    blob[second.offset as usize + 20] ^= 4;
    let reader = F::open(blob).unwrap();
    let (begin, end) = (second.chunk_offset, second.chunk_offset + second.chunk_size);
    assert!(read_range(&reader, "d/large", 0..begin).unwrap() == large[..begin as usize]);
    assert_eq!(read(&reader, "d/large").unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(read_range(&reader, "d/large", end..u64::MAX).unwrap() == large[end as usize..]);
}

/// A lie about one entry. The directory is the first one, the small file follows, then the large one with its chunks.
pub(crate) type Lie = (&'static str, fn(&mut Vec<TocEntry>));

const SEEN_AT_ONCE: [Lie; 8] = [
    ("an offset behind the table", |it| it[1].offset = 1 << 40),
    ("two chunks in one place", |it| it[1].offset = it[2].offset),
    ("a file that is shorter", |it| it[2].size = 10),
    ("a chunk too few", |it| drop(it.remove(3))),
    ("a chunk too many", |it| it.insert(2, it[3].clone())),
    ("chunks in another order", |it| it.swap(3, 4)),
    ("a chunk elsewhere in its file", |it| it[3].chunk_offset += 1),
    ("a chunk of a directory", |it| it[1].kind = TocKind::Chunk),
];

const SEEN_WHEN_READ: [Lie; 4] = [
    ("an offset inside of a member or frame", |it| it[1].offset += 1),
    ("the offset of another member or frame", |it| it[1].offset = 0),
    ("a file that is longer", |it| it[1].size = 900),
    ("a file that is shorter", |it| it[1].size = 4),
];

/// Opening the blob finds these lies and `at_once`, reading the small file the others and `when_read`.
pub(crate) fn a_table_that_lies_is_corrupt<F: Format>(blob: &[u8], at_once: &[Lie], when_read: &[Lie]) {
    let honest = F::toc(blob).entries;
    assert!(honest[1].name == "d/small" && honest[2].name == "d/large" && honest[4].kind == TocKind::Chunk);
    let lying = |lie: fn(&mut Vec<TocEntry>)| {
        let mut entries = honest.clone();
        lie(&mut entries);
        F::open(F::with_entries(blob, &entries))
    };
    for (what, lie) in SEEN_AT_ONCE.iter().chain(at_once) {
        assert_eq!(lying(*lie).unwrap_err().kind(), ErrorKind::Corrupt, "{what}");
    }
    for (what, lie) in SEEN_WHEN_READ.iter().chain(when_read) {
        let reader = lying(*lie).unwrap();
        assert_eq!(read(&reader, "d/small").unwrap_err().kind(), ErrorKind::Corrupt, "{what}");
        assert!(read_range(&reader, "d/large", 0..1).is_ok(), "{what}");
    }
}

/// And `entries` of a table are refused besides.
pub(crate) fn json_that_is_no_table_is_refused<F: Format>(blob: &[u8], entries: &[&str]) {
    let valid = F::json(blob);
    let with = |json: &[u8]| F::open(F::with_toc(F::body(blob), json)).map(drop).map_err(|error| error.kind());
    assert_eq!(with(&valid), Ok(()));
    for json in [&b""[..], b"{}", b"[]", b"{\"version\":1,\"entries\":[{}]}", &valid[..valid.len() - 1]] {
        assert_eq!(with(json), Err(ErrorKind::Corrupt));
    }
    for entry in entries.iter().chain(&[r#"{"name":"x","type":"socket"}"#]) {
        let json = format!(r#"{{"version":1,"entries":[{entry}]}}"#);
        assert_eq!(with(json.as_bytes()), Err(ErrorKind::Corrupt), "{entry}");
    }
    assert_eq!(with(br#"{"version":2,"entries":[]}"#), Err(ErrorKind::Unsupported));
}

/// The small file is read within `chunk_bytes`, the large one is not.
pub(crate) fn limits_are_told_apart_from_damage<F: Format>(large: &[u8], chunk_bytes: u64) -> F::Reader {
    let (annotations, blob) = sample::<F>(large);
    let bytes = F::json(&blob).len() as u64;
    let open = |limits| F::open_with(blob.clone(), &annotations, limits);
    assert!(open(TocLimits::default().with_toc_bytes(bytes)).is_ok());
    let error = open(TocLimits::default().with_toc_bytes(bytes - 1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    let reader = open(TocLimits::default().with_chunk_bytes(chunk_bytes)).unwrap();
    assert_eq!(read(&reader, "d/small").unwrap(), b"small");
    assert_eq!(read(&reader, "d/large").unwrap_err().kind(), ErrorKind::LimitExceeded);
    reader
}

/// Reads every file that the table has, whose digest is the table's, and tells how many there are. `of_empty` is what it says
/// of files without contents.
pub(crate) fn every_file_has_its_digest<F: Format>(
    reader: &F::Reader,
    entries: &[TocEntry],
    of_empty: Option<Digest>,
) -> usize {
    let files = entries.iter().filter(|entry| entry.kind == TocKind::Reg);
    let check = |entry: &TocEntry| {
        let contents = read(reader, &entry.name).unwrap();
        assert_eq!(contents.len() as u64, entry.size);
        assert_eq!(if entry.size == 0 { of_empty } else { Some(Digest::of(contents)) }, entry.digest);
    };
    files.map(check).count()
}

/// Each regular file that is not empty, with the entries of its chunks.
pub(crate) fn files(toc: &Toc) -> Vec<Vec<TocEntry>> {
    let mut files: Vec<Vec<TocEntry>> = Vec::new();
    for entry in &toc.entries {
        match entry.kind {
            TocKind::Reg if entry.size > 0 => files.push(vec![entry.clone()]),
            TocKind::Chunk => files.last_mut().unwrap().push(entry.clone()),
            _ => {}
        }
    }
    files
}
