//! Numbers in header fields: octal text, or base-256 where octal is too short.

/// Whether Go would write `value` as octal text into a field of `width` bytes (the last one is NUL).
pub(super) fn fits_octal(width: usize, value: u64) -> bool {
    let bits = (width - 1) * 3;
    bits >= 64 || value < 1 << bits
}

/// Octal text with leading zeros and a final NUL. The caller has checked that it fits.
pub(super) fn put_octal(field: &mut [u8], value: u64) {
    let (last, digits) = field.split_last_mut().expect("header fields are not empty");
    *last = 0;
    let mut rest = value;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest & 7) as u8;
        rest >>= 3;
    }
}

/// A field's number, or `None` when it is neither octal text nor base-256 within 64 bits.
pub(super) fn parse(field: &[u8]) -> Option<i64> {
    match field.first() {
        Some(first) if first & 0x80 != 0 => parse_base256(field),
        _ => parse_octal(field).and_then(|value| i64::try_from(value).ok()),
    }
}

/// A field's number where negative ones make no sense.
pub(super) fn parse_unsigned(field: &[u8]) -> Option<u64> {
    parse(field).and_then(|value| u64::try_from(value).ok())
}

/// Old writers pad with spaces or NULs on either side; an empty field is 0. What follows a NUL is not looked at.
fn parse_octal(field: &[u8]) -> Option<u64> {
    let start = field.iter().position(|byte| !matches!(byte, b' ' | 0)).unwrap_or(field.len());
    let text = field[start..].split(|byte| *byte == 0).next().unwrap_or_default().trim_ascii_end();
    text.iter().try_fold(0u64, |value, byte| match byte {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    })
}

/// Two's complement, big-endian, with the topmost bit set as a marker.
fn parse_base256(field: &[u8]) -> Option<i64> {
    let negative = field[0] & 0x40 != 0;
    let mut value: i128 = if negative { -1 } else { 0 };
    for (index, byte) in field.iter().enumerate() {
        let byte = if index == 0 && !negative { byte & 0x7f } else { *byte };
        value = (value << 8) | i128::from(byte);
        i64::try_from(value).ok()?;
    }
    i64::try_from(value).ok()
}
