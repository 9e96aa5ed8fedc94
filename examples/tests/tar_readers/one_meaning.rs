//! What every tool makes the same files of.
//!
//! Left out are entries that each tool understands in its own way, or that are no file to it:
//! - absolute names, names with `.` or `..`, empty ones and those longer than the kernel takes;
//! - a second entry of one name, and entries below what is no directory;
//! - whiteouts, which are files to all but us, and everything below one;
//! - hard links to anything but an earlier file with the same mode and owner: GNU tar leaves the file as it is, Python and we
//!   change it;
//! - symlinks to nothing.
//!
//! And headers lose what no file on Linux can have: owners of more than 32 bits, devices of more than 12 and 20, xattrs without a
//! namespace, and times over which bsdtar crashes.

use std::collections::BTreeMap;

use cache_blobs::tar::{Header, Kind, Timestamp};

/// The longest name of the kernel, and the longest path without what stands before it.
const NAME_MAX: usize = 255;
const PATH_MAX: usize = 3500;

/// A name below which nothing can be, or a directory.
enum Place {
    Directory,
    File(Header),
    Other,
}

/// The entries among `entries` that have one meaning, as files can be.
pub fn of(entries: &[(Header, Vec<u8>)]) -> Vec<(Header, Vec<u8>)> {
    let mut places = BTreeMap::new();
    let mut kept = Vec::new();
    for (header, content) in entries {
        let header = possible(header.clone());
        if let Some(names) = names(&header.path, header.kind)
            && place(&mut places, names, &header)
        {
            kept.push((header, content.clone()));
        }
    }
    kept
}

fn possible(mut header: Header) -> Header {
    let number = |number: u64| number.min(0xffff_fffe);
    header = header.clone().with_owner(number(header.uid), number(header.gid));
    if matches!(header.kind, Kind::CharDevice | Kind::BlockDevice) {
        header = header.clone().with_device(header.device_major & 0xfff, header.device_minor & 0xf_ffff);
    }
    header.xattrs.clear();
    let seconds = header.modified.seconds.clamp(0, 1 << 33);
    header.modified = Timestamp { seconds, ..header.modified };
    header
}

/// The components of a path that every tool takes for the same.
fn names(path: &[u8], kind: Kind) -> Option<Vec<&[u8]>> {
    let path = match kind {
        Kind::Directory => path.strip_suffix(b"/").unwrap_or(path),
        _ => path,
    };
    let names: Vec<_> = path.split(|byte| *byte == b'/').collect();
    let is_sound =
        |name: &[u8]| !matches!(name, b"" | b"." | b"..") && !name.starts_with(b".wh.") && name.len() <= NAME_MAX;
    (path.len() <= PATH_MAX && names.iter().all(|name| is_sound(name))).then_some(names)
}

/// Puts `header` where `names` say, with the directories above it; whether it can be there.
fn place(places: &mut BTreeMap<Vec<u8>, Place>, names: Vec<&[u8]>, header: &Header) -> bool {
    let path = names.join(&b'/');
    let above: Vec<_> = (1..names.len()).map(|length| names[..length].join(&b'/')).collect();
    let is_free = !places.contains_key(&path);
    if !is_free || above.iter().any(|path| !matches!(places.get(path), None | Some(Place::Directory))) {
        return false;
    }
    let place = match header.kind {
        Kind::Directory => Place::Directory,
        Kind::File => Place::File(header.clone()),
        Kind::Symlink if header.link.is_empty() || header.link.len() > PATH_MAX => return false,
        Kind::HardLink => {
            let Some(Place::File(file)) = places.get(&header.link) else { return false };
            if (file.mode, file.uid, file.gid) != (header.mode, header.uid, header.gid) {
                return false;
            }
            Place::Other
        }
        _ => Place::Other,
    };
    for path in above {
        places.insert(path, Place::Directory);
    }
    places.insert(path, place);
    true
}
