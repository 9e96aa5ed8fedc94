//! Histories are made to account for every layer, as BuildKit makes them.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use cache_core::Timestamp;
use exporter_image::config::HistoryEntry;
use exporter_image::history::{LayerMeta, normalize_history};

/// A time in the year 2000, by its second.
fn at(second: u32) -> Timestamp {
    Timestamp::from_unix(946_684_800 + i64::from(second), 0).unwrap()
}

/// `L3` is an entry with a layer of second 3, `-` one without layer and time.
fn history(text: &str) -> Vec<HistoryEntry> {
    text.split_whitespace()
        .map(|word| {
            let entry = HistoryEntry::new("step");
            let entry = if word.starts_with('L') { entry } else { entry.without_layer() };
            match word[1..].parse() {
                Ok(second) => entry.with_created(at(second)),
                Err(_) => entry,
            }
        })
        .collect()
}

fn shown(history: &[HistoryEntry]) -> String {
    let words: Vec<_> = history
        .iter()
        .map(|entry| {
            let kind = if entry.empty_layer { '-' } else { 'L' };
            let time = entry.created.map(|time| (time.unix_seconds() - at(0).unix_seconds()).to_string());
            format!("{kind}{}", time.unwrap_or_default())
        })
        .collect();
    words.join(" ")
}

fn metas(seconds: &[Option<u32>]) -> Vec<LayerMeta> {
    seconds.iter().map(|second| LayerMeta::new("made", second.map(at))).collect()
}

#[test]
fn histories_account_for_layers_and_times() {
    let none: &[Option<u32>] = &[];
    for (case, given, layers, known, expected) in [
        ("nothing to do", "L1 -2 L3", 2, &[Some(8), Some(9)][..], "L1 -2 L3"),
        ("an entry beyond the layers made none", "L1 L2 L3 -4", 2, none, "L1 L2 -3 -4"),
        ("no layers at all", "L1 -2 L3", 0, none, "-1 -2 -3"),
        ("missing entries are added", "L1", 3, &[Some(7), Some(8), Some(9)], "L1 L8 L9"),
        ("all entries are added", "", 2, &[Some(8), Some(9)], "L8 L9"),
        ("added entries may have no time", "", 2, &[None, None], "L L"),
        ("an entry gets its layer's time", "L - L", 2, &[Some(5), Some(6)], "L5 -6 L6"),
        ("a time that is there stays", "L1 L", 2, &[Some(5), Some(6)], "L1 L6"),
        ("empty entries do not count as layers", "- - L", 1, &[Some(5)], "-5 -5 L5"),
        ("a first gap gets the next new layer's time", "L1 - L7", 2, none, "L1 -7 L7"),
        ("a gap at the end gets the last time", "L1 L4 - -", 2, none, "L1 L4 -4 -4"),
        ("a later gap gets the last time before it", "L1 - L7 - L9 -", 3, none, "L1 -7 L7 -7 L9 -9"),
        ("nothing is known", "- L -", 1, &[None], "- L -"),
        ("the chain is longer than the image", "", 2, &[Some(1), Some(2), Some(3)], "L2 L3"),
        ("the chain is shorter than the image", "", 3, &[Some(1)], "L1 L1 L1"),
    ] {
        let normalised = normalize_history(Some(history(given)), layers, &metas(known)).unwrap();
        assert_eq!(shown(&normalised), expected, "{case}");
    }
}

#[test]
fn added_entries_say_what_the_layer_is_and_who_added_them() {
    let chain = [LayerMeta::new("RUN make", Some(at(1))), LayerMeta::new("", None), LayerMeta::default()];
    let added = normalize_history(None, 3, &chain).unwrap();
    let said: Vec<_> = added.iter().map(|entry| (entry.created_by.as_str(), entry.comment.as_str())).collect();
    let comment = "buildkit.exporter.image.v0";
    assert_eq!(said, [("RUN make", comment), ("created by buildkit", comment), ("", comment)]);
    assert!(added.iter().all(|entry| !entry.empty_layer));
}

#[test]
fn nothing_stays_nothing_and_an_empty_list_stays_a_list() {
    assert_eq!(normalize_history(None, 0, &[]), None);
    assert_eq!(normalize_history(Some(Vec::new()), 0, &[]), Some(Vec::new()));
}

#[test]
fn what_an_entry_says_is_kept() {
    let mut entry = HistoryEntry::new("RUN x").with_comment("buildkit.dockerfile.v0");
    entry.author = "somebody".to_owned();
    let normalised = normalize_history(Some(vec![entry.clone()]), 1, &metas(&[Some(3)])).unwrap();
    assert_eq!(normalised, [entry.with_created(at(3))]);
}

#[test]
fn entries_are_written_in_gos_order_without_what_says_nothing() {
    let mut entry = HistoryEntry::new("b").with_created(at(0)).with_comment("d").without_layer();
    entry.author = "c".to_owned();
    let text = r#"{"created":"2000-01-01T00:00:00Z","created_by":"b","author":"c","comment":"d","empty_layer":true}"#;
    assert_eq!(serde_json::to_string(&entry).unwrap(), text);
    assert_eq!(serde_json::to_string(&HistoryEntry::default()).unwrap(), "{}");
    let null = r#"{"created":null,"created_by":null,"author":null,"comment":null,"empty_layer":null}"#;
    assert_eq!(serde_json::from_str::<HistoryEntry>(null).unwrap(), HistoryEntry::default());
}
