//! Tables of contents: what eStargz and zstd:chunked have in common.
//!
//! A layer with a table of contents is an ordinary compressed tar whose files begin members or frames of their own. The table
//! says where, and is JSON of nearly the same entries in both.

mod base64_bytes;
mod chunk;
mod describe;
mod document;
mod entry;
mod files;
mod form;
mod index;
mod limits;
mod plan;
mod ranges;
mod table;
mod text;

pub use base64_bytes::Base64Bytes;
pub(super) use describe::describe;
pub use document::Toc;
pub use entry::{ChunkKind, TocEntry, TocKind};
pub(super) use files::TocFiles;
pub(super) use form::Form;
pub use limits::TocLimits;
pub(super) use plan::{Cut, Done, DoneCut, Plan};
pub(super) use ranges::collect;
pub(super) use table::{DigestOf, Table, TocSink};
pub(super) use text::clean;
#[cfg(feature = "estargz")]
pub(super) use text::text_of;
