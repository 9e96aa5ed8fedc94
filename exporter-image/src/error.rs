//! Why an image could not be made or read.

use std::sync::Arc;

use cache_core::{Digest, ErrorKind};

/// A failure of this crate.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller's image config cannot be exported.
    #[error("invalid image config for export")]
    Config(#[source] ConfigProblem),
    /// The config of the base image cannot be read.
    #[error("invalid base image config")]
    BaseConfig(#[source] ConfigProblem),
    /// A manifest, index or config that was read is not what it must be.
    #[error("invalid {document}")]
    Document {
        /// Which one, with its digest or path.
        document: String,
        /// What is wrong with it.
        #[source]
        problem: DocumentProblem,
    },
    /// An image name is none.
    #[error("invalid image name {}", name.escape_debug())]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        #[source]
        problem: NameProblem,
    },
    /// A layout or archive holds several images and the caller did not say which.
    #[error("choose an image of {}: it has {}", target.escape_debug(), shown(candidates))]
    Choose {
        /// The layout or archive.
        target: String,
        /// What could be named.
        candidates: Vec<String>,
    },
    /// A layout, archive or index does not hold the image that the caller wants.
    #[error("{} has no {}, but {}", target.escape_debug(), wanted.escape_debug(), shown(candidates))]
    NoSuchImage {
        /// The layout, archive or index.
        target: String,
        /// The name or platform that is wanted.
        wanted: String,
        /// What there is.
        candidates: Vec<String>,
    },
    /// An image archive's tar cannot be read or written.
    #[error("image archive")]
    Archive(#[source] cache_blobs::tar::Error),
    /// A backend failed.
    #[error(transparent)]
    Port(#[from] cache_core::Error),
}

/// The result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// What a caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Config(problem) | Self::BaseConfig(problem) => problem.kind(),
            Self::Document { problem, .. } => problem.kind(),
            Self::Name { .. } | Self::Choose { .. } => ErrorKind::Invalid,
            Self::NoSuchImage { .. } => ErrorKind::NotFound,
            Self::Archive(error) => kind_of_archive(error),
            Self::Port(error) => error.kind(),
        }
    }
}

/// Names from an image on one line of an error.
fn shown(candidates: &[String]) -> String {
    /// More would hide the rest of the error.
    const SHOWN: usize = 20;
    let mut names: Vec<_> = candidates.iter().take(SHOWN).map(|name| name.escape_debug().to_string()).collect();
    match candidates.len() {
        0 => names.push("nothing".to_owned()),
        1..=SHOWN => {}
        more => names.push(format!("{} more", more - SHOWN)),
    }
    names.join(", ")
}

fn kind_of_archive(error: &cache_blobs::tar::Error) -> ErrorKind {
    use cache_blobs::tar::Error as Tar;
    match error {
        Tar::Read { source, .. } | Tar::Write { source, .. } | Tar::Contents { source, .. } => {
            let copy = std::io::Error::from(source.kind());
            cache_core::Error::io("access", "image archive", copy).kind()
        }
        Tar::Malformed { .. } => ErrorKind::Corrupt,
        Tar::LimitExceeded { .. } => ErrorKind::LimitExceeded,
        Tar::Unsupported { .. } => ErrorKind::Unsupported,
        _ => ErrorKind::Invalid,
    }
}

/// What is wrong with an image config that somebody gave. Mirrors: BuildKit `exporter/containerimage/writer.go`,
/// `patchImageConfig`.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigProblem {
    /// It is no JSON object, is over a limit, or a field has the wrong type.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// It is `null`.
    #[error("null image config")]
    Null,
    /// It has no `os`, or an empty one.
    #[error("missing os")]
    MissingOs,
    /// It has no `architecture`, or an empty one.
    #[error("missing architecture")]
    MissingArchitecture,
}

impl ConfigProblem {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Json(error) => error.kind(ErrorKind::Invalid),
            _ => ErrorKind::Invalid,
        }
    }
}

/// What is wrong with a document that was read.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentProblem {
    /// It is no JSON object, is over a limit, or a field has the wrong type.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// It can be read as a manifest and as an index.
    #[error("it is a manifest and an index at once")]
    Ambiguous,
    /// It can be read neither as a manifest nor as an index.
    #[error("it is neither a manifest nor an index")]
    Neither,
    /// It says of itself another media type than the descriptor that points to it.
    #[error("it says that its media type is {}", found.escape_debug())]
    MediaType {
        /// What it says.
        found: String,
    },
    /// Its `schemaVersion` is not 2.
    #[error("its schema version is not 2")]
    SchemaVersion,
    /// The config does not list one DiffID for each layer of the manifest.
    #[error("{layers} layers, but {diff_ids} DiffIDs")]
    LayerCount {
        /// Layers in the manifest.
        layers: usize,
        /// DiffIDs in the config.
        diff_ids: usize,
    },
    /// Indexes are nested too deeply.
    #[error("more than {maximum} indexes inside of each other")]
    Nesting {
        /// How many are followed.
        maximum: usize,
    },
    /// It describes something that is no image.
    #[error("it is no image: its config is {}", found.escape_debug())]
    NotAnImage {
        /// The media type of its config.
        found: String,
    },
    /// It points to something that is not there.
    #[error("{} is missing", name.escape_debug())]
    Missing {
        /// A digest or the path in an archive.
        name: String,
    },
    /// A name in an archive leads nowhere, or out of the archive, or is there twice.
    #[error("{} cannot be followed", name.escape_debug())]
    Path {
        /// The name.
        name: String,
    },
    /// The bytes are not those of the digest by which they are named.
    #[error("its bytes are not those of {digest}")]
    Digest {
        /// The digest that was promised.
        digest: Digest,
    },
    /// The file is compressed as a whole, so that nothing in it can be found without unpacking all of it.
    #[error("the archive is compressed")]
    Compressed,
    /// The version of the layout is not 1.0.0.
    #[error("the layout's version is not 1.0.0")]
    LayoutVersion,
}

impl DocumentProblem {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Json(error) => error.kind(ErrorKind::Corrupt),
            Self::Nesting { .. } => ErrorKind::LimitExceeded,
            Self::NotAnImage { .. } | Self::Compressed | Self::LayoutVersion | Self::SchemaVersion => {
                ErrorKind::Unsupported
            }
            Self::Missing { .. } => ErrorKind::NotFound,
            _ => ErrorKind::Corrupt,
        }
    }
}

/// What is wrong with JSON that somebody else wrote.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// It is not JSON.
    #[error("not JSON at byte {offset}")]
    Syntax {
        /// Where it ceases to be.
        offset: usize,
    },
    /// It is not UTF-8.
    #[error("not UTF-8 at byte {offset}")]
    NotUtf8 {
        /// Where it ceases to be.
        offset: usize,
    },
    /// It is longer than [`JsonLimits::bytes`](crate::JsonLimits::bytes).
    #[error("longer than the limit of {maximum} bytes")]
    TooLong {
        /// The limit.
        maximum: u64,
    },
    /// It is deeper than [`JsonLimits::depth`](crate::JsonLimits::depth).
    #[error("deeper than the limit of {maximum} levels")]
    TooDeep {
        /// The limit.
        maximum: usize,
    },
    /// A key stands twice where only one of them can be meant.
    #[error("the key {} stands twice", key.escape_debug())]
    DuplicateKey {
        /// The key.
        key: String,
    },
    /// It is another value than an object.
    #[error("not an object")]
    NotAnObject,
    /// A field has the wrong type or is missing.
    #[error("wrong shape")]
    Shape(#[source] Arc<serde_json::Error>),
}

impl JsonError {
    fn kind(&self, otherwise: ErrorKind) -> ErrorKind {
        match self {
            Self::TooLong { .. } | Self::TooDeep { .. } => ErrorKind::LimitExceeded,
            _ => otherwise,
        }
    }
}

/// What is wrong with an image name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameProblem {
    /// It is empty or has an empty or malformed part.
    #[error("malformed")]
    Malformed,
    /// The repository has upper-case letters.
    #[error("the repository must be lower case")]
    UpperCase,
    /// It is longer than 255 bytes without tag and digest.
    #[error("too long")]
    TooLong,
    /// It is 64 hexadecimal digits, which would look like an image id.
    #[error("it looks like an image id")]
    Identifier,
}
