//! One entry of a table of contents.

use std::collections::BTreeMap;

use cache_core::Digest;
use cache_core::json::null_as_empty;
use serde::{Deserialize, Serialize};

use super::base64_bytes::Base64Bytes;

/// What an entry of a table of contents is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TocKind {
    /// Directory.
    Dir,
    /// Regular file, with its first chunk.
    #[default]
    Reg,
    /// Symbolic link.
    Symlink,
    /// Another name of an earlier entry.
    Hardlink,
    /// Character device.
    Char,
    /// Block device.
    Block,
    /// Named pipe.
    Fifo,
    /// A further chunk of the regular file before it.
    Chunk,
}

/// What a chunk of a file holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChunkKind {
    /// Bytes.
    #[default]
    #[serde(rename = "")]
    Data,
    /// Zeros alone, which need not be fetched.
    Zeros,
}

/// An entry of the archive, or a further chunk of one. Fields that are empty or 0 are not written.
/// Mirrors: stargz-snapshotter `estargz/types.go`, `TOCEntry`; containers/storage `pkg/chunked/internal/minimal`, `FileMetadata`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TocEntry {
    /// Name as in the archive, a directory's with its `/`. Bytes that are not UTF-8 are replaced.
    pub name: String,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: TocKind,
    /// Bytes of a regular file.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub size: u64,
    /// Time of last modification, RFC 3339. In eStargz in whole seconds, and empty for the beginning of 1970.
    #[serde(default, rename = "modtime", skip_serializing_if = "String::is_empty")]
    pub modified: String,
    /// Time of last access, RFC 3339, where the archive has it. Only in zstd:chunked.
    #[serde(default, rename = "accesstime", skip_serializing_if = "String::is_empty")]
    pub accessed: String,
    /// Time of last change of the entry itself, RFC 3339, where the archive has it. Only in zstd:chunked.
    #[serde(default, rename = "changetime", skip_serializing_if = "String::is_empty")]
    pub changed: String,
    /// Target of a symbolic link, or the name that a hard link repeats.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub link_name: String,
    /// The mode as the archive stores it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub mode: u64,
    /// Numeric owner.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub uid: u64,
    /// Numeric group.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub gid: u64,
    /// Owner's name, where it is another one than for the last entry of this owner.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user_name: String,
    /// Group's name, likewise.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group_name: String,
    /// Bytes of blob before the gzip member or zstd frame in which the chunk begins.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub offset: u64,
    /// Bytes of blob before the end of the file's last frame; 0 in eStargz, and for what is no regular file with contents.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub end_offset: u64,
    /// Bytes that the member inflates to before the chunk. Ours begin with the member. Only in eStargz.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub inner_offset: u64,
    /// Major number of a device.
    #[serde(default, skip_serializing_if = "is_zero_32")]
    pub dev_major: u32,
    /// Minor number of a device.
    #[serde(default, skip_serializing_if = "is_zero_32")]
    pub dev_minor: u32,
    /// Extended attributes.
    #[serde(default, deserialize_with = "null_as_empty", skip_serializing_if = "BTreeMap::is_empty")]
    pub xattrs: BTreeMap<String, Base64Bytes>,
    /// Digest of a regular file's contents; in eStargz also of an empty one's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Bytes of the file before the chunk.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub chunk_offset: u64,
    /// Bytes of the chunk; 0 if it reaches to the end of the file.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub chunk_size: u64,
    /// Digest of the chunk. In zstd:chunked a file's only chunk has none but the file's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk_digest: Option<Digest>,
    /// What the chunk holds; in eStargz always data.
    #[serde(default, rename = "chunkType", skip_serializing_if = "is_data")]
    pub chunk_kind: ChunkKind,
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_data(kind: &ChunkKind) -> bool {
    *kind == ChunkKind::Data
}

// The signature is serde's.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero_32(number: &u32) -> bool {
    *number == 0
}
