//! Names of the archive as the text that Go's JSON makes of them.

/// `bytes` with a replacement character for each byte that is not UTF-8, as in Go.
pub(in crate::codec) fn text_of(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    text
}

/// The path that all spellings of `name` mean: no leading or trailing slash, no `.`, and `..` taken back, never above the root.
/// Mirrors: stargz-snapshotter `estargz/build.go`, `cleanEntryName`.
pub(in crate::codec) fn clean(name: &str) -> String {
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
