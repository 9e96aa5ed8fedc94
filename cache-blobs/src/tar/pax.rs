//! PAX records: `LENGTH KEY=VALUE\n`, where LENGTH counts itself.

use super::{Problem, Timestamp};

pub(super) const PATH: &[u8] = b"path";
pub(super) const LINK: &[u8] = b"linkpath";
pub(super) const SIZE: &[u8] = b"size";
pub(super) const UID: &[u8] = b"uid";
pub(super) const GID: &[u8] = b"gid";
pub(super) const USER_NAME: &[u8] = b"uname";
pub(super) const GROUP_NAME: &[u8] = b"gname";
pub(super) const MODIFIED: &[u8] = b"mtime";
pub(super) const XATTR_PREFIX: &[u8] = b"SCHILY.xattr.";
pub(super) const SPARSE_PREFIX: &[u8] = b"GNU.sparse.";

/// Appends one record, or gives `false` when no record can hold it.
pub(super) fn put_record(out: &mut Vec<u8>, key: &[u8], value: &[u8]) -> bool {
    if !is_valid(key, value) {
        return false;
    }
    let rest = key.len() + value.len() + b" =\n".len();
    // Adding the digits of the length can make the length one digit longer, but not two.
    let length = rest + digits(rest + digits(rest));
    out.extend_from_slice(length.to_string().as_bytes());
    for part in [b" ", key, b"=", value, b"\n"] {
        out.extend_from_slice(part);
    }
    true
}

/// One record, and the bytes after it.
pub(super) struct Record<'a> {
    pub(super) key: &'a [u8],
    pub(super) value: &'a [u8],
    pub(super) rest: &'a [u8],
}

/// The first record of `data`.
pub(super) fn take_record(data: &[u8]) -> Result<Record<'_>, Problem> {
    let space = data.iter().take(20).position(|byte| *byte == b' ').ok_or(Problem::Record)?;
    let length =
        parse_decimal(&data[..space]).and_then(|length| usize::try_from(length).ok()).ok_or(Problem::Record)?;
    if length <= space + 1 || length > data.len() {
        return Err(Problem::Record);
    }
    let (record, rest) = data.split_at(length);
    let record = record[space + 1..].strip_suffix(b"\n").ok_or(Problem::Record)?;
    let equals = record.iter().position(|byte| *byte == b'=').ok_or(Problem::Record)?;
    let (key, value) = (&record[..equals], &record[equals + 1..]);
    match is_valid(key, value) {
        true => Ok(Record { key, value, rest }),
        false if is_name(key) && value.contains(&0) => Err(Problem::NulInName),
        false => Err(Problem::Record),
    }
}

/// Digits only: no sign, no space, no fraction.
pub(super) fn parse_decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Seconds with an optional sign and an optional fraction, of which nine digits count.
pub(crate) fn parse_time(text: &[u8]) -> Option<Timestamp> {
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = match text.iter().position(|byte| *byte == b'.') {
        Some(point) => (&text[..point], &text[point + 1..]),
        None => (text, &b""[..]),
    };
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let seconds = i64::try_from(parse_decimal(whole)?).ok()?;
    let nanos =
        (0..9).fold(0u32, |nanos, place| nanos * 10 + fraction.get(place).map_or(0, |digit| u32::from(digit - b'0')));
    Some(match (negative, nanos) {
        (false, nanos) => Timestamp { seconds, nanos },
        (true, 0) => Timestamp::from_seconds(-seconds),
        (true, nanos) => Timestamp { seconds: -seconds - 1, nanos: 1_000_000_000 - nanos },
    })
}

/// The text of a time as Go writes it: without trailing zeros, and counted towards zero when negative.
pub(super) fn format_time(time: Timestamp) -> String {
    if time.nanos == 0 {
        return time.seconds.to_string();
    }
    let (sign, seconds, nanos) = match time.seconds < 0 {
        true => ("-", -(i128::from(time.seconds) + 1), 1_000_000_000 - time.nanos),
        false => ("", i128::from(time.seconds), time.nanos),
    };
    format!("{sign}{seconds}.{nanos:09}").trim_end_matches('0').to_owned()
}

fn is_name(key: &[u8]) -> bool {
    matches!(key, PATH | LINK | USER_NAME | GROUP_NAME)
}

fn is_valid(key: &[u8], value: &[u8]) -> bool {
    let no_nul = if is_name(key) { !value.contains(&0) } else { !key.contains(&0) };
    !key.is_empty() && !key.contains(&b'=') && no_nul
}

fn digits(number: usize) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}
