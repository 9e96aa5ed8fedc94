//! From a [`Header`] to the bytes in front of its contents.
//!
//! Mirrors: Go 1.25 `archive/tar` `Header.allowedFormats`, `Writer.writeUSTARHeader`, `Writer.writePAXHeader`, for
//! headers of format PAX and for those whose format is unset.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::block::{self, Block};
use super::{Field, Header, Kind, TAR_BLOCK_BYTES, number, pax};

/// Go refuses to write a longer extended header.
const MAX_EXTENDED_BYTES: usize = 1 << 20;

/// All header blocks of an entry, extended header included.
pub(super) fn encode(header: &Header) -> Result<Vec<u8>, Field> {
    let path = stored_path(header);
    if header.kind != Kind::Directory
        && header.kind != Kind::Symlink
        && header.kind != Kind::HardLink
        && path.ends_with(b"/")
    {
        return Err(Field::Path);
    }
    if header.kind != Kind::File && header.size != 0 {
        return Err(Field::Size);
    }
    let plan = Plan::of(header, &path)?;
    let mut out = Vec::with_capacity(TAR_BLOCK_BYTES);
    let split = if plan.ustar { split_path(&path) } else { None };
    if !plan.ustar {
        put_extended(&mut out, &path, &plan.records)?;
    }
    let mut main = Block::zeroed();
    let (prefix, name) = split.unwrap_or((b"", &path));
    put_text(main.field_mut(block::PREFIX), prefix);
    put_text(main.field_mut(block::NAME), &ascii_only(name));
    put_fields(&mut main, header);
    main.seal();
    out.extend_from_slice(&main.0);
    Ok(out)
}

fn stored_path(header: &Header) -> Cow<'_, [u8]> {
    if header.kind == Kind::Directory && !header.path.ends_with(b"/") {
        let mut path = header.path.clone();
        path.push(b'/');
        return Cow::Owned(path);
    }
    Cow::Borrowed(&header.path)
}

/// Which records an entry needs, and whether it does without any.
struct Plan {
    ustar: bool,
    records: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Plan {
    fn of(header: &Header, path: &[u8]) -> Result<Self, Field> {
        let mut plan = Self { ustar: true, records: BTreeMap::new() };
        plan.text(path, block::NAME.len(), pax::PATH, split_path(path).is_some(), Field::Path)?;
        plan.text(&header.link, block::LINK.len(), pax::LINK, false, Field::Link)?;
        plan.text(&header.user_name, block::USER_NAME.len(), pax::USER_NAME, false, Field::OwnerName)?;
        plan.text(&header.group_name, block::GROUP_NAME.len(), pax::GROUP_NAME, false, Field::OwnerName)?;
        plan.number(header.uid, block::UID.len(), pax::UID);
        plan.number(header.gid, block::GID.len(), pax::GID);
        plan.number(header.size, block::SIZE.len(), pax::SIZE);
        if i64::try_from(header.size).is_err() {
            return Err(Field::Size);
        }
        if !number::fits_octal(block::MODE.len(), u64::from(header.mode)) {
            return Err(Field::Mode);
        }
        for device in [header.device_major, header.device_minor] {
            if !number::fits_octal(block::DEVICE_MAJOR.len(), u64::from(device)) {
                return Err(Field::Device);
            }
        }
        plan.time(header)?;
        for (name, value) in &header.xattrs {
            let key = [pax::XATTR_PREFIX, name].concat();
            plan.needs_pax(key, value.clone());
        }
        for (key, value) in &header.records {
            if !has_own_field(key) && !plan.records.contains_key(key) {
                plan.needs_pax(key.clone(), value.clone());
            }
        }
        Ok(plan)
    }

    fn text(&mut self, value: &[u8], width: usize, key: &[u8], splits: bool, field: Field) -> Result<(), Field> {
        if value.contains(&0) {
            return Err(field);
        }
        if !value.is_ascii() || value.len() > width {
            // A name that ustar can split is still recorded, for when another value forces PAX.
            self.ustar &= splits;
            self.records.insert(key.to_vec(), value.to_vec());
        }
        Ok(())
    }

    fn number(&mut self, value: u64, width: usize, key: &[u8]) {
        if !number::fits_octal(width, value) {
            self.needs_pax(key.to_vec(), value.to_string().into_bytes());
        }
    }

    fn time(&mut self, header: &Header) -> Result<(), Field> {
        let time = header.modified;
        if time.nanos >= 1_000_000_000 {
            return Err(Field::Modified);
        }
        let fits = u64::try_from(time.seconds).is_ok_and(|seconds| number::fits_octal(block::MODIFIED.len(), seconds));
        if !fits || time.nanos != 0 {
            self.needs_pax(pax::MODIFIED.to_vec(), pax::format_time(time).into_bytes());
        }
        Ok(())
    }

    fn needs_pax(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.ustar = false;
        self.records.insert(key, value);
    }
}

/// Keys that a field of [`Header`] or the layout of the contents decides.
fn has_own_field(key: &[u8]) -> bool {
    matches!(
        key,
        pax::PATH | pax::LINK | pax::SIZE | pax::UID | pax::GID | pax::USER_NAME | pax::GROUP_NAME | pax::MODIFIED
    ) || key.starts_with(pax::SPARSE_PREFIX)
}

fn put_extended(out: &mut Vec<u8>, path: &[u8], records: &BTreeMap<Vec<u8>, Vec<u8>>) -> Result<(), Field> {
    let mut data = Vec::new();
    for (key, value) in records {
        if !pax::put_record(&mut data, key, value) {
            return Err(Field::Record);
        }
    }
    if data.len() > MAX_EXTENDED_BYTES {
        return Err(Field::ExtendedHeader);
    }
    let mut extended = Block::zeroed();
    put_text(extended.field_mut(block::NAME), &extended_name(path));
    for field in [block::MODE, block::UID, block::GID, block::MODIFIED] {
        number::put_octal(extended.field_mut(field), 0);
    }
    number::put_octal(extended.field_mut(block::SIZE), data.len() as u64);
    extended.0[block::TYPE_FLAG] = b'x';
    extended.seal();
    out.extend_from_slice(&extended.0);
    out.extend_from_slice(&data);
    out.resize(out.len().next_multiple_of(TAR_BLOCK_BYTES), 0);
    Ok(())
}

/// `DIRECTORY/PaxHeaders.0/NAME`, cleaned, then reduced to ASCII, cut to the field, without a final slash: Go's order.
fn extended_name(path: &[u8]) -> Vec<u8> {
    let (directory, name) = match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (&b""[..], path),
    };
    let rooted = path.starts_with(b"/");
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in directory.split(|byte| *byte == b'/').chain([&b"PaxHeaders.0"[..], name]) {
        match part {
            b"" | b"." => {}
            b".." if parts.last().is_some_and(|last| *last != b"..") => {
                parts.pop();
            }
            b".." if rooted => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join(&b'/');
    let joined = if rooted { [b"/", &joined[..]].concat() } else { joined };
    let mut name = ascii_only(&joined).into_owned();
    name.truncate(block::NAME.len());
    while name.ends_with(b"/") {
        name.pop();
    }
    name
}

/// Prefix and name of a ustar header, for a path that is longer than the name field alone.
fn split_path(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.len() <= block::NAME.len() || !path.is_ascii() {
        return None;
    }
    let reach = if path.len() > block::PREFIX.len() + 1 {
        block::PREFIX.len() + 1
    } else if path.ends_with(b"/") {
        path.len() - 1
    } else {
        path.len()
    };
    let slash = path[..reach].iter().rposition(|byte| *byte == b'/').filter(|slash| *slash > 0)?;
    let (prefix, name) = (&path[..slash], &path[slash + 1..]);
    (!name.is_empty() && name.len() <= block::NAME.len() && prefix.len() <= block::PREFIX.len())
        .then_some((prefix, name))
}

fn put_fields(block: &mut Block, header: &Header) {
    block.0[block::TYPE_FLAG] = header.kind.type_flag();
    let modified = u64::try_from(header.modified.seconds).unwrap_or_default();
    for (field, value) in [
        (block::MODE, u64::from(header.mode)),
        (block::UID, header.uid),
        (block::GID, header.gid),
        (block::SIZE, header.size),
        (block::MODIFIED, modified),
        (block::DEVICE_MAJOR, u64::from(header.device_major)),
        (block::DEVICE_MINOR, u64::from(header.device_minor)),
    ] {
        // What does not fit stands in a record, and zero stands here.
        let value = if number::fits_octal(field.len(), value) { value } else { 0 };
        number::put_octal(block.field_mut(field), value);
    }
    put_text(block.field_mut(block::LINK), &ascii_only(&header.link));
    put_text(block.field_mut(block::USER_NAME), &ascii_only(&header.user_name));
    put_text(block.field_mut(block::GROUP_NAME), &ascii_only(&header.group_name));
}

/// Copies what fits. A cut that would end in a slash drops that slash, since old readers would see a directory.
fn put_text(field: &mut [u8], text: &[u8]) {
    let width = field.len();
    let kept = text.len().min(width);
    field[..kept].copy_from_slice(&text[..kept]);
    if text.len() > width && field[width - 1] == b'/' {
        let end = text[..width - 1].iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
        field[end] = 0;
    }
}

fn ascii_only(text: &[u8]) -> Cow<'_, [u8]> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.iter().copied().filter(u8::is_ascii).collect())
}
