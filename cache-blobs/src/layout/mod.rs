//! An OCI image layout in a directory: blobs by digest, and an index of what has a name.
//!
//! ```text
//! DIR/oci-layout              {"imageLayoutVersion":"1.0.0"}
//! DIR/index.json              names → manifests
//! DIR/index.json.lock         held while index.json is rewritten, gone afterwards
//! DIR/blobs/<algorithm>/<hex>
//! DIR/ingest/                 blobs on their way in, gone when the last one has arrived
//! ```
//!
//! Inside of the directory no symbolic link is ever followed; the path to the directory itself may hold some.

mod blob;
mod directory;
mod index;
mod ingest;
mod lock;
mod oci_layout;
mod temporary;

pub use index::{LayoutIndex, LayoutName};
pub use oci_layout::{LayoutOptions, OciLayout};
