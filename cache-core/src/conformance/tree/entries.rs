//! What is in a layer's tar.

use std::collections::BTreeMap;

const BLOCK: usize = 512;

/// One entry of a tar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::conformance) struct ArchiveEntry {
    pub(in crate::conformance) name: String,
    pub(in crate::conformance) kind: char,
    pub(in crate::conformance) link: String,
    pub(in crate::conformance) mode: u64,
    pub(in crate::conformance) modified: u64,
    pub(in crate::conformance) owner_names: String,
    pub(in crate::conformance) content: Vec<u8>,
}

/// The entries of `tar`, with extended headers applied. `None` if it is no tar as layers have it.
pub(in crate::conformance) fn entries(mut tar: &[u8]) -> Option<Vec<ArchiveEntry>> {
    let mut entries = Vec::new();
    let mut extended = BTreeMap::new();
    loop {
        let (header, rest) = tar.split_at_checked(BLOCK)?;
        if header.iter().all(|byte| *byte == 0) {
            return Some(entries);
        }
        let size = usize::try_from(number(header, 124, 12)?).ok()?;
        let (content, rest) = rest.split_at_checked(size.next_multiple_of(BLOCK))?;
        let content = &content[..size];
        tar = rest;
        let kind = char::from(*header.get(156)?);
        if kind == 'x' {
            extended = records(content)?;
            continue;
        }
        let mut long = |key: &str, at: usize| extended.remove(key).or_else(|| text(header, at, 100));
        entries.push(ArchiveEntry {
            name: long("path", 0)?,
            link: long("linkpath", 157)?,
            kind,
            mode: number(header, 100, 8)?,
            modified: number(header, 136, 12)?,
            owner_names: text(header, 265, 32)? + &text(header, 297, 32)?,
            content: content.to_vec(),
        });
        extended.clear();
    }
}

fn text(header: &[u8], at: usize, width: usize) -> Option<String> {
    let field = header.get(at..at + width)?;
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(width);
    Some(String::from_utf8_lossy(&field[..end]).into_owned())
}

fn number(header: &[u8], at: usize, width: usize) -> Option<u64> {
    let field = text(header, at, width)?;
    let digits = field.trim();
    if digits.is_empty() { Some(0) } else { u64::from_str_radix(digits, 8).ok() }
}

fn records(mut content: &[u8]) -> Option<BTreeMap<String, String>> {
    let mut records = BTreeMap::new();
    while !content.is_empty() {
        let space = content.iter().position(|byte| *byte == b' ')?;
        let length: usize = std::str::from_utf8(&content[..space]).ok()?.parse().ok()?;
        let record = content.get(space + 1..length.checked_sub(1)?)?;
        content = content.get(length..)?;
        let equals = record.iter().position(|byte| *byte == b'=')?;
        let part = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        records.insert(part(&record[..equals]), part(&record[equals + 1..]));
    }
    Some(records)
}
