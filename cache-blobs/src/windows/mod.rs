//! The shape of layers for Windows: everything lies under `Files/`, beside `Hives/`, with the attributes of NTFS as records.
//!
//! Mirrors: BuildKit `util/winlayers`. Unlike there, the two directories on top have a fixed time, so that equal trees make
//! equal layers.

mod security;

use std::sync::LazyLock;

use crate::tar::{Header, Kind, Timestamp};

const FILES: &[u8] = b"Files";
const HIVES: &[u8] = b"Hives";
const FILES_PREFIX: &[u8] = b"Files/";

const FILE_ATTRIBUTES: &[u8] = b"MSWINDOWS.fileattr";
const SECURITY_DESCRIPTOR: &[u8] = b"MSWINDOWS.rawsd";
const CREATION_TIME: &[u8] = b"LIBARCHIVE.creationtime";

/// `FILE_ATTRIBUTE_DIRECTORY`.
const DIRECTORY_ATTRIBUTE: &[u8] = b"16";
/// `FILE_ATTRIBUTE_ARCHIVE`.
const ARCHIVE_ATTRIBUTE: &[u8] = b"32";
/// The file type bits of a directory in a mode.
const DIRECTORY_MODE: u32 = 1 << 14;
/// Those of a regular file.
const FILE_MODE: u32 = 1 << 15;

static DIRECTORY_SECURITY: LazyLock<Vec<u8>> = LazyLock::new(security::of_directories);
static FILE_SECURITY: LazyLock<Vec<u8>> = LazyLock::new(security::of_files);

/// The directories that every Windows layer begins with. Their modes have no permissions, as in BuildKit's layers.
pub(crate) fn roots() -> [Header; 2] {
    [HIVES, FILES].map(|name| attributed(Header::directory(name).with_mode(0)))
}

/// `header` as it stands in a Windows layer.
pub(crate) fn wrapped(header: &Header) -> Header {
    let mut wrapped = attributed(header.clone());
    wrapped.path = [FILES_PREFIX, &wrapped.path].concat();
    if !wrapped.link.is_empty() {
        wrapped.link = [FILES_PREFIX, &wrapped.link].concat();
    }
    let security = match wrapped.kind {
        Kind::Directory => Some(&DIRECTORY_SECURITY),
        Kind::File => Some(&FILE_SECURITY),
        _ => None,
    };
    wrapped.records.extend(security.map(|security| (SECURITY_DESCRIPTOR.to_vec(), security.to_vec())));
    wrapped
}

/// Takes the header of a Windows layer for what it means below `Files/`; whether it means anything there.
#[cfg(target_os = "linux")]
pub(crate) fn unwrap(header: &mut Header) -> bool {
    let Some(path) = header.path.strip_prefix(FILES_PREFIX) else { return false };
    header.path = path.to_vec();
    if let Some(link) = header.link.strip_prefix(FILES_PREFIX) {
        header.link = link.to_vec();
    }
    true
}

fn attributed(mut header: Header) -> Header {
    let attributes = match header.kind {
        Kind::Directory => Some((DIRECTORY_MODE, DIRECTORY_ATTRIBUTE)),
        Kind::File => Some((FILE_MODE, ARCHIVE_ATTRIBUTE)),
        _ => None,
    };
    if let Some((mode, attribute)) = attributes {
        header.mode |= mode;
        header.records.insert(FILE_ATTRIBUTES.to_vec(), attribute.to_vec());
    }
    let Timestamp { seconds, nanos } = header.modified;
    header.records.insert(CREATION_TIME.to_vec(), format!("{seconds}.{nanos}").into_bytes());
    header
}
