//! Keys of annotations and labels that BuildKit and containerd write.

/// The DiffID, on descriptors and as a content label.
pub const UNCOMPRESSED: &str = "containerd.io/uncompressed";
/// When the layer was made, RFC 3339.
pub const CREATED_AT: &str = "buildkit/createdat";
/// What the layer is, for people.
pub const DESCRIPTION: &str = "buildkit/description";
/// Prefix of `containerd.io/distribution.source.<host>`: repositories from which a blob can be mounted.
pub const DISTRIBUTION_SOURCE: &str = "containerd.io/distribution.source.";
/// Content or a snapshot with this label is never collected.
pub const GC_ROOT: &str = "containerd.io/gc.root";
/// A lease with this label keeps just what it holds; labels of its resources are not followed.
pub const GC_FLAT: &str = "containerd.io/gc.flat";
/// A lease with this label ends at the time in it, RFC 3339.
pub const GC_EXPIRE: &str = "containerd.io/gc.expire";
/// Prefix of labels whose value is the digest of content to be kept.
pub const GC_REF_CONTENT: &str = "containerd.io/gc.ref.content";
/// Prefix of labels `containerd.io/gc.ref.snapshot.<snapshotter>` whose value is a snapshot to be kept.
pub const GC_REF_SNAPSHOT: &str = "containerd.io/gc.ref.snapshot.";
/// The name under which an OCI image layout lists a manifest.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The full image name under which containerd lists a manifest in a layout.
pub const CONTAINERD_IMAGE_NAME: &str = "io.containerd.image.name";
/// When an image was created, RFC 3339.
pub const IMAGE_CREATED: &str = "org.opencontainers.image.created";
/// How a blob's bytes were made: codec, library, version, level and block size.
pub const RECIPE: &str = "layercache/recipe";
/// Prefix of content labels `…blob-<digest>` that name a variant of the blob, by which a collector keeps it.
pub const VARIANT: &str = "containerd.io/gc.ref.content.blob-";
/// The media type that a blob remembers.
pub const BLOB_MEDIA_TYPE: &str = "buildkit.io/blob/mediatype";
/// Prefix of content labels that are a blob's remembered annotations.
pub const BLOB_ANNOTATION: &str = "buildkit.io/blob/annotation.";
/// The digest of an eStargz layer's table of contents.
pub const ESTARGZ_TOC_DIGEST: &str = "containerd.io/snapshot/stargz/toc.digest";
/// Bytes of what an eStargz layer decodes to.
pub const ESTARGZ_UNCOMPRESSED_SIZE: &str = "io.containers.estargz.uncompressed-size";
/// Content label: what was found to be the compression of a blob that nobody here made, so that it is not looked for again.
pub const DETECTED: &str = "layercache/detected";
/// Content label `true` or `false`: whether the blob is eStargz. BuildKit remembers it so.
pub const ESTARGZ_DETECTED: &str = "buildkit.io/compression/estargz";
