//! eStargz with prioritised files: the order of the entries, and the landmark.
#![cfg(feature = "estargz")]
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod pack_rig;
mod toc_rig;

use std::io::Cursor;

use cache_blobs::codec::estargz::{
    MissingFiles, NO_PREFETCH_LANDMARK, PREFETCH_LANDMARK, Piece, PrefetchOptions, PrefetchOrder, TocKind,
};
use cache_blobs::tar::{Header, Reader};
use cache_core::{Digest, ErrorKind, Result};
use pack_rig::data;
use toc_rig::{Format, Stargz, file, tar_of};

type Entries = Vec<(Header, Vec<u8>)>;

fn directory(path: &str) -> (Header, Vec<u8>) {
    (Header::directory(path), Vec::new())
}

fn link(path: &str, target: &str) -> (Header, Vec<u8>) {
    (Header::hard_link(path, target), Vec::new())
}

fn empty(path: &str) -> (Header, Vec<u8>) {
    file(path, Vec::new())
}

fn options(prioritized: &[&str]) -> PrefetchOptions {
    PrefetchOptions::default().with_prioritized(prioritized.iter().copied())
}

fn reordered_by(tar: &[u8], options: &PrefetchOptions) -> Result<Vec<u8>> {
    let mut tar = Cursor::new(tar);
    let order = PrefetchOrder::of(&mut tar, options)?;
    let mut out = Vec::new();
    order.copy(&mut tar, &mut out)?;
    assert_eq!(out.len() as u64, order.tar_bytes());
    Ok(out)
}

fn reordered(tar: &[u8], prioritized: &[&str]) -> Vec<u8> {
    reordered_by(tar, &options(prioritized)).unwrap()
}

fn names(tar: &[u8]) -> Vec<String> {
    let mut reader = Reader::new(tar);
    let mut names = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        names.push(String::from_utf8(entry.header().path.clone()).unwrap());
    }
    names
}

fn names_of(entries: &Entries, prioritized: &[&str]) -> Vec<String> {
    names(&reordered(&tar_of(entries), prioritized))
}

/// A directory in a directory, files, a second name of one, and a link.
fn tree() -> Entries {
    vec![
        directory("a"),
        file("a/one", data(700, 1)),
        file("a/two", data(5_000_000, 2)),
        directory("b"),
        directory("b/c"),
        file("b/c/three", data(512, 3)),
        link("b/again", "a/two"),
        (Header::symlink("link", "a/one"), Vec::new()),
        empty("z"),
    ]
}

#[test]
fn prioritised_files_come_first_in_their_order_each_behind_its_directories_then_the_landmark_then_the_rest() {
    let cases: [(&[&str], &[&str]); 5] = [
        (&["z"], &["z", ".prefetch.landmark", "a/", "a/one", "a/two", "b/", "b/c/", "b/c/three", "b/again", "link"]),
        (
            &["b/c/three", "a/one"],
            &["b/", "b/c/", "b/c/three", "a/", "a/one", ".prefetch.landmark", "a/two", "b/again", "link", "z"],
        ),
        (
            &["link", "b/c", "link", "b"],
            &["link", "b/", "b/c/", ".prefetch.landmark", "a/", "a/one", "a/two", "b/c/three", "b/again", "z"],
        ),
        // The name that a hard link repeats is an entry before it, as are the directories of that.
        (
            &["b/again"],
            &["b/", "a/", "a/two", "b/again", ".prefetch.landmark", "a/one", "b/c/", "b/c/three", "link", "z"],
        ),
        (&["/"], &[".prefetch.landmark", "a/", "a/one", "a/two", "b/", "b/c/", "b/c/three", "b/again", "link", "z"]),
    ];
    for (prioritized, expected) in cases {
        assert_eq!(names_of(&tree(), prioritized), expected, "{prioritized:?}");
    }
}

#[test]
fn without_prioritised_files_another_landmark_is_the_first_entry() {
    let expected: Vec<_> = [".no.prefetch.landmark".to_owned()].into_iter().chain(names(&tar_of(&tree()))).collect();
    assert_eq!(names_of(&tree(), &[]), expected);
    assert_eq!(names(&reordered(b"", &[])), [NO_PREFETCH_LANDMARK]);
}

#[test]
fn a_landmark_is_a_file_of_the_byte_15_of_which_only_name_and_size_are_set() {
    for (prioritized, name) in [(&[][..], NO_PREFETCH_LANDMARK), (&["z"], PREFETCH_LANDMARK)] {
        let alone = tar_of(&[(Header::file(name, 1).with_mode(0), vec![0xf])]);
        let tar = reordered(&tar_of(&[empty("z")]), prioritized);
        let place = tar.windows(name.len()).position(|bytes| bytes == name.as_bytes()).unwrap();
        assert_eq!(tar[place..place + 1024], alone[..1024]);
    }
}

#[test]
fn names_mean_the_same_in_any_spelling_in_the_list_and_in_the_tar() {
    for prefix in ["", "./", "/", "../", "x/../"] {
        let spelled = |path: &str| format!("{prefix}{path}");
        let entries = vec![
            directory(&spelled("d")),
            file(&spelled("d/f"), data(9, 1)),
            empty(&spelled("g")),
            link(&spelled("h"), "/./d/f"),
        ];
        for name in ["d/f", "/d/f", "./d//f", "../d/f", "d/./f", "g/../d/f", "no/no/../../d/f", "d/f/"] {
            let expected = ["d/", "d/f", ".prefetch.landmark", "g", "h"].map(|name| match name.starts_with('.') {
                true => name.to_owned(),
                false => spelled(name),
            });
            assert_eq!(names_of(&entries, &[name]), expected, "{prefix} {name}");
        }
        let expected = [spelled("d/"), spelled("d/f"), spelled("h"), PREFETCH_LANDMARK.to_owned(), spelled("g")];
        assert_eq!(names_of(&entries, &["h"]), expected, "{prefix}");
    }
    // An entry of the root is moved like any directory.
    let entries = vec![directory("./"), empty("./a"), empty("./b")];
    assert_eq!(names_of(&entries, &["b"]), ["./", "./b", ".prefetch.landmark", "./a"]);
    assert_eq!(names_of(&entries, &["."]), ["./", ".prefetch.landmark", "./a", "./b"]);
}

#[test]
fn hard_links_of_hard_links_and_in_circles_are_followed_once() {
    let chain = vec![directory("d"), empty("d/f"), link("one", "d/f"), empty("x"), link("two", "one")];
    assert_eq!(names_of(&chain, &["two"]), ["d/", "d/f", "one", "two", ".prefetch.landmark", "x"]);
    let circle = vec![empty("x"), link("one", "two"), link("two", "one"), link("self", "self")];
    assert_eq!(names_of(&circle, &["one", "self"]), ["two", "one", "self", ".prefetch.landmark", "x"]);
    // A long chain, and a path of many directories, take no stack.
    let mut long = vec![empty("0")];
    long.extend((1..20_000).map(|number| link(&number.to_string(), &(number - 1).to_string())));
    assert_eq!(names_of(&long, &["19999"]).last().unwrap(), PREFETCH_LANDMARK);
    let deep = vec![empty("x"), empty("d/".repeat(10_000).trim_end_matches('/'))];
    assert_eq!(names_of(&deep, &[&"d/".repeat(10_000)])[1..], [PREFETCH_LANDMARK, "x"]);
}

#[test]
fn a_missing_name_is_refused_or_told_as_it_was_spelled() {
    let tar = tar_of(&tree());
    let wanted = options(&["./no", "a/one", "a/one/below", "no/../no"]);
    assert_eq!(reordered_by(&tar, &wanted).unwrap_err().kind(), ErrorKind::NotFound);
    let order = PrefetchOrder::of(&tar[..], &wanted.with_missing(MissingFiles::Tell)).unwrap();
    assert_eq!(order.missing(), [&b"./no"[..], b"a/one/below", b"no/../no"]);
    let Piece::Old(first) = &order.pieces()[0] else { panic!("{order:?}") };
    assert_eq!(names(&tar[first.start as usize..first.end as usize]), ["a/", "a/one"]);
    // If all are missing, some were wanted nevertheless.
    let told = options(&["no"]).with_missing(MissingFiles::Tell);
    assert_eq!(names(&reordered_by(&tar, &told).unwrap())[0], PREFETCH_LANDMARK);
    // Directories that the tar has not are not missing: whoever unpacks it makes them.
    let bare = vec![empty("x"), empty("a/b/c"), link("l", "elsewhere")];
    assert_eq!(names_of(&bare, &["a/b/c", "l"]), ["a/b/c", "l", ".prefetch.landmark", "x"]);
}

#[test]
fn of_entries_of_one_name_the_last_is_kept_in_its_place() {
    let entries = vec![
        directory("d"),
        file("d/f", b"old".to_vec()),
        empty("x"),
        file("./d/f", b"new".to_vec()),
        directory("./d/"),
        empty("y"),
    ];
    assert_eq!(names_of(&entries, &[]), [".no.prefetch.landmark", "x", "./d/f", "./d/", "y"]);
    assert_eq!(names_of(&entries, &["d/f"]), ["./d/", "./d/f", ".prefetch.landmark", "x", "y"]);
    assert!(reordered(&tar_of(&entries), &["d/f"])[1024..].starts_with(b"new"));
}

#[test]
fn an_entry_that_others_need_is_not_replaced_under_them() {
    let before_its_link = vec![empty("f"), link("l", "./f"), empty("./f")];
    let below_a_file = vec![directory("d"), empty("d/f"), empty("d")];
    let below_another_link =
        vec![(Header::symlink("s", "a"), Vec::new()), empty("s/f"), (Header::symlink("s", "b"), Vec::new())];
    for entries in [before_its_link, below_a_file, below_another_link] {
        let error = reordered_by(&tar_of(&entries), &options(&[])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
}

#[test]
fn whiteouts_stay_in_front_of_what_they_would_remove() {
    let entries = vec![empty("x"), empty(".wh.d"), directory("d"), empty("d/.wh.f"), empty("d/f"), empty("d/.wh.g")];
    let expected = [".wh.d", "d/", "d/.wh.f", "d/f", ".prefetch.landmark", "x", "d/.wh.g"];
    assert_eq!(names_of(&entries, &["d/f"]), expected);
}

#[test]
fn what_an_earlier_conversion_added_and_what_follows_the_end_is_left_out() {
    let twice = reordered(&reordered(&tar_of(&tree()), &["z"]), &["a/one"]);
    assert_eq!(names(&twice).iter().filter(|name| name.contains("landmark")).count(), 1);
    let alike: Vec<_> = reordered(&tar_of(&tree()), &["a/one"]);
    assert_ne!(names(&twice), names(&alike), "the rest is in the order in which it was");
    assert!(reordered(&alike, &["a/one"]) == alike, "an order that is there already");
    let with_table = vec![empty("./.no.prefetch.landmark"), empty("f"), empty("stargz.index.json")];
    assert_eq!(names_of(&with_table, &["f"]), ["f", ".prefetch.landmark"]);
    let tar = tar_of(&[file("f", data(700, 4))]);
    let expected = reordered(&tar, &[]);
    let unended = tar[..tar.len() - 1024].to_vec();
    let unpadded = tar[..512 + 700].to_vec();
    for other in [unended, unpadded, [&tar[..], &[0; 9000], b"garbage"].concat()] {
        assert!(reordered(&other, &[]) == expected);
        assert!(reordered(&other, &["f"]).ends_with(&expected[expected.len() - 1024..]));
    }
}

#[test]
fn the_diff_id_is_another_one_and_covers_the_new_tar_whose_landmark_ends_what_is_fetched_ahead() {
    let tar = tar_of(&tree());
    let new = reordered(&tar, &["a/two", "b/c/three"]);
    let (plain, (prioritized, blob)) = (Stargz::packed(&tar).0, Stargz::packed(&new));
    assert!(Stargz::decode(Stargz::body(&blob)) == new);
    assert_eq!(prioritized.diff_id, Digest::of(Stargz::decode(&blob)));
    assert_ne!(prioritized.diff_id, plain.diff_id);
    let entries = Stargz::toc(&blob).entries;
    let landmark = entries.iter().find(|entry| entry.name == PREFETCH_LANDMARK).unwrap();
    assert_eq!((landmark.size, landmark.mode, landmark.modified.as_str()), (1, 0, ""));
    assert_eq!(landmark.digest, Some(Digest::of([0xf])));
    assert_eq!(Stargz::decode(&blob[landmark.offset as usize..])[0], 0xf);
    let ahead = entries.iter().filter(|it| it.size > 0 && it.offset < landmark.offset && it.kind == TocKind::Reg);
    assert_eq!(ahead.map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["a/two", "b/c/three"]);
}

#[test]
fn tars_that_cannot_be_reordered_are_refused() {
    let tar = tar_of(&tree());
    let kind = |tar: &[u8], options: &PrefetchOptions| PrefetchOrder::of(tar, options).unwrap_err().kind();
    assert_eq!(kind(&data(9000, 1), &options(&[])), ErrorKind::Corrupt);
    assert_eq!(kind(&tar[..900], &options(&[])), ErrorKind::Corrupt);
    // Each part of each name counts once, with something for the entry.
    let parts = ["a", "one", "two", "b", "c", "three", "again", "link", "z"];
    let room: u64 = parts.map(|part| part.len() as u64 + 192).iter().sum();
    assert!(PrefetchOrder::of(&tar[..], &options(&[]).with_index_bytes(room)).is_ok());
    assert_eq!(kind(&tar, &options(&[]).with_index_bytes(room - 1)), ErrorKind::LimitExceeded);
    let order = PrefetchOrder::of(&tar[..], &options(&["z"])).unwrap();
    let mut shorter = Cursor::new(&tar[..tar.len() - 2048]);
    assert_eq!(order.copy(&mut shorter, &mut Vec::new()).unwrap_err().kind(), ErrorKind::Corrupt);
}
