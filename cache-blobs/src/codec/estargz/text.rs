//! Bytes of the archive as the text that Go's JSON makes of them.

use cache_core::Timestamp;

use crate::tar;

/// `bytes` with a replacement character for each byte that is not UTF-8, as in Go.
pub(super) fn text_of(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    text
}

/// A time as the table has it: whole seconds, rounded half up; nothing for the first second of 1970, and for times that RFC
/// 3339 cannot say. Mirrors: stargz-snapshotter `estargz/build.go`, `formatModtime`.
pub(super) fn time_of(time: tar::Timestamp) -> Option<String> {
    if time.seconds == 0 {
        return None;
    }
    let rounded = time.seconds.checked_add(i64::from(time.nanos >= 500_000_000))?;
    Timestamp::from_unix(rounded, 0).map(|time| time.to_string())
}

/// The path that all spellings of `name` mean: no leading or trailing slash, no `.`, and `..` taken back, never above the root.
/// Mirrors: stargz-snapshotter `estargz/build.go`, `cleanEntryName`.
pub(super) fn clean(name: &str) -> String {
    let mut parts = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}
