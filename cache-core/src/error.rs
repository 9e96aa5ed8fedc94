//! The one error that every port returns.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// What a caller can do about a failure. Kinds are named by their remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The named thing does not exist. Operations that merely look answer `Option` instead.
    NotFound,
    /// The named thing exists and may not be replaced.
    AlreadyExists,
    /// Somebody holds it: wait, or release it.
    Busy,
    /// The disk or the quota is full: prune.
    NoSpace,
    /// A documented limit was hit: raise the named limit.
    LimitExceeded,
    /// Bytes are not what their name, digest or format promises.
    Corrupt,
    /// Credentials are missing or were refused.
    Unauthenticated,
    /// The operating system or the peer forbids it.
    PermissionDenied,
    /// The other side does not answer now: retry.
    Unavailable,
    /// This implementation or this system cannot do it.
    Unsupported,
    /// The request contradicts itself or the state: fix the call.
    Invalid,
    /// The work was given up because nobody wants it any more.
    Cancelled,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "not found",
            Self::AlreadyExists => "already exists",
            Self::Busy => "busy",
            Self::NoSpace => "no space",
            Self::LimitExceeded => "limit exceeded",
            Self::Corrupt => "corrupt",
            Self::Unauthenticated => "unauthenticated",
            Self::PermissionDenied => "permission denied",
            Self::Unavailable => "unavailable",
            Self::Unsupported => "unsupported",
            Self::Invalid => "invalid",
            Self::Cancelled => "cancelled",
        })
    }
}

/// A failure of a port: what was tried, on what, what can be done about it, and why.
///
/// It is cheap to clone, because one failure of shared work goes to every waiter. `Display` names the operation, the
/// target and the kind; the cause is in [`StdError::source`] and is not repeated.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    operation: &'static str,
    target: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The result of a port's operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A failure of `operation` (a verb with its object, as in "commit blob") on `target` (a digest, key, path or name).
    pub fn new(kind: ErrorKind, operation: &'static str, target: impl fmt::Display) -> Self {
        Self(Arc::new(Inner { kind, operation, target: target.to_string(), source: None }))
    }

    /// The same failure with its cause.
    #[must_use]
    pub fn with_source(self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self(Arc::new(Inner {
            kind: self.0.kind,
            operation: self.0.operation,
            target: self.0.target.clone(),
            source: Some(source.into()),
        }))
    }

    /// An operating-system failure, with the kind that its code calls for.
    pub fn io(operation: &'static str, target: impl fmt::Display, source: std::io::Error) -> Self {
        Self::new(kind_of_io(&source), operation, target).with_source(source)
    }

    /// What a caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What was tried.
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// On what it was tried.
    pub fn target(&self) -> &str {
        &self.0.target
    }
}

fn kind_of_io(error: &std::io::Error) -> ErrorKind {
    use std::io::ErrorKind as Io;
    match error.kind() {
        Io::NotFound => ErrorKind::NotFound,
        Io::AlreadyExists => ErrorKind::AlreadyExists,
        Io::PermissionDenied => ErrorKind::PermissionDenied,
        Io::StorageFull | Io::QuotaExceeded => ErrorKind::NoSpace,
        Io::FileTooLarge => ErrorKind::LimitExceeded,
        Io::InvalidData | Io::UnexpectedEof => ErrorKind::Corrupt,
        Io::InvalidInput => ErrorKind::Invalid,
        Io::Unsupported => ErrorKind::Unsupported,
        Io::WouldBlock | Io::ResourceBusy => ErrorKind::Busy,
        _ => ErrorKind::Unavailable,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.0.operation, self.0.target, self.0.kind)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("operation", &self.0.operation)
            .field("target", &self.0.target)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
