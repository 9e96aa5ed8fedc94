//! What is in an image archive.

use std::collections::BTreeMap;

use bytes::Bytes;
use cache_core::{Descriptor, Digest, MediaTypeFamily};

use super::archive::ArchiveKind;
use super::docker_manifest::docker_manifest;
use super::index_entries::{Unnamed, index_entries};
use super::options::OutputOptions;
use crate::compose::ComposedImage;
use crate::config::EmptyLists;
use crate::error::Result;
use crate::index::Index;

/// Contents of the file that makes a directory a layout.
const OCI_LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
/// Mode of what never changes.
const READ_ONLY: u32 = 0o444;
/// Mode of what another image could be added to.
const CHANGEABLE: u32 = 0o644;

/// What stands under a name.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    Directory,
    /// A file whose bytes are at hand.
    File {
        bytes: Bytes,
        mode: u32,
    },
    /// A blob that a provider has.
    Layer(Box<Descriptor>),
}

/// The path of a blob in a layout.
pub(super) fn blob_path(digest: &Digest) -> String {
    format!("{}{}", algorithm_path(digest), digest.hex())
}

fn algorithm_path(digest: &Digest) -> String {
    format!("blobs/{}/", digest.algorithm())
}

/// Everything in the archive, in the bytewise order of the names.
pub(super) fn entries(
    image: &ComposedImage,
    kind: ArchiveKind,
    options: &OutputOptions,
) -> Result<Vec<(String, Entry)>> {
    let mut entries = BTreeMap::from([("blobs/".to_owned(), Entry::Directory)]);
    let layers =
        image.layers.iter().map(|layer| (layer.descriptor.digest, Entry::Layer(Box::new(layer.descriptor.clone()))));
    let documents = [&image.config, &image.manifest]
        .map(|document| (document.descriptor.digest, file(document.bytes.clone(), READ_ONLY)));
    for (digest, entry) in layers.chain(documents) {
        entries.insert(algorithm_path(&digest), Entry::Directory);
        entries.insert(blob_path(&digest), entry);
    }
    let manifests = index_entries(image, &options.names, options.created, Unnamed::Bare);
    let index = Index::new(MediaTypeFamily::Oci, manifests).to_compact_bytes(EmptyLists::Null)?;
    entries.insert("index.json".to_owned(), file(index, CHANGEABLE));
    if kind == ArchiveKind::Docker {
        entries.insert("manifest.json".to_owned(), file(docker_manifest(image, &options.names)?, CHANGEABLE));
    }
    entries.insert("oci-layout".to_owned(), file(OCI_LAYOUT, READ_ONLY));
    Ok(entries.into_iter().collect())
}

fn file(bytes: impl Into<Bytes>, mode: u32) -> Entry {
    Entry::File { bytes: bytes.into(), mode }
}
