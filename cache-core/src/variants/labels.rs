//! What a blob's labels say of its layer and of its variants.

use crate::annotation::{
    BLOB_ANNOTATION, BLOB_MEDIA_TYPE, ESTARGZ_TOC_DIGEST, ESTARGZ_UNCOMPRESSED_SIZE, UNCOMPRESSED, VARIANT,
};
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::labels::Labels;
use crate::layer::Layer;
use crate::media_type::MediaType;
use crate::ports::BlobInfo;

/// Annotations that are a blob's own wherever it is listed; others belong to the manifest or the cache in which it was found.
/// Mirrors: BuildKit `util/compression`'s and `cache/refs.go`'s list of annotations to be saved.
const BLOBS_OWN: [&str; 8] = [
    ESTARGZ_TOC_DIGEST,
    ESTARGZ_UNCOMPRESSED_SIZE,
    "containerd.io/snapshot/overlaybd.localcommitpath",
    "containerd.io/snapshot/overlaybd/blob-digest",
    "containerd.io/snapshot/overlaybd/blob-size",
    "containerd.io/snapshot/overlaybd/blob-fs-type",
    "containerd.io/snapshot/nydus-blob",
    "containerd.io/snapshot/nydus-bootstrap",
];

/// The same, by prefix: what containers/storage keeps of its chunked zstd.
const BLOBS_OWN_PREFIX: &str = "io.github.containers.zstd-chunked.";

/// Which annotations of a layer are remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remember {
    /// Those that are known to be a blob's own: the layer was found somewhere.
    BlobsOwn,
    /// All: a codec gave them.
    All,
}

/// The blobs that a blob names as its variants, sorted; itself is none.
pub fn edges(info: &BlobInfo) -> Vec<Digest> {
    let named = info.labels.iter().filter(|(key, _)| key.starts_with(VARIANT));
    let digests = named.filter_map(|(_, value)| value.parse().ok());
    digests.filter(|digest| *digest != info.digest).collect()
}

/// The layer that a blob remembers to be; `None` if nobody has told it, or it has no DiffID.
pub fn remembered_layer(info: &BlobInfo) -> Option<Layer> {
    let labels = &info.labels;
    let media_type = MediaType::from(labels.get(BLOB_MEDIA_TYPE)?.clone());
    let annotation = |key: &str| labels.get(&format!("{BLOB_ANNOTATION}{key}"));
    let diff_id = match annotation(UNCOMPRESSED).or_else(|| labels.get(UNCOMPRESSED)) {
        Some(diff_id) => diff_id.parse().ok()?,
        None if media_type.layer_compression() == Some(crate::Compression::Uncompressed) => info.digest,
        None => return None,
    };
    let mut descriptor = Descriptor::new(media_type, info.digest, info.size);
    let annotations = labels.iter().filter_map(|(key, value)| Some((key.strip_prefix(BLOB_ANNOTATION)?, value)));
    descriptor.annotations = annotations.map(|(key, value)| (key.to_owned(), value.clone())).collect();
    Some(Layer::new(descriptor, diff_id))
}

/// The labels of a blob that is `layer` and has the variant `other`.
pub(super) fn labels(layer: &Layer, remember: Remember, other: Digest) -> Labels {
    let descriptor = &layer.descriptor;
    let mut labels = Labels::from([
        (format!("{VARIANT}{other}"), other.to_string()),
        (format!("{BLOB_ANNOTATION}{UNCOMPRESSED}"), layer.diff_id.to_string()),
    ]);
    if !descriptor.media_type.is_empty() {
        labels.insert(BLOB_MEDIA_TYPE.to_owned(), descriptor.media_type.as_str().to_owned());
    }
    let remembered = descriptor.annotations.iter().filter(|(key, _)| match remember {
        Remember::All => true,
        Remember::BlobsOwn => BLOBS_OWN.contains(&key.as_str()) || key.starts_with(BLOBS_OWN_PREFIX),
    });
    labels.extend(remembered.map(|(key, value)| (format!("{BLOB_ANNOTATION}{key}"), value.clone())));
    labels
}
