//! How the tool ends when it cannot do what it was asked.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

use cache_core::ErrorKind;

/// Why the tool ends without success.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The arguments are wrong: exit code 2.
    Usage(String),
    /// The work failed: exit code 1.
    Work { what: String, kind: ErrorKind, source: Option<Box<dyn Error + Send + Sync>> },
    /// The work was done and found damage, which is printed already: exit code 1.
    Found,
}

impl Failure {
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self::Usage(what.into())
    }

    pub(crate) fn work(what: impl Into<String>) -> Self {
        Self::Work { what: what.into(), kind: ErrorKind::Invalid, source: None }
    }

    /// An argument that a library refused.
    pub(crate) fn wrong_argument(error: cache_core::Error) -> Self {
        match error.source() {
            Some(source) => Self::Usage(format!("{error}: {source}")),
            None => Self::Usage(error.to_string()),
        }
    }

    /// `source` happened while the tool did `what`.
    pub(crate) fn while_doing(what: impl Into<String>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let source = source.into();
        Self::Work { what: what.into(), kind: kind_of(source.as_ref()), source: Some(source) }
    }

    /// What can be done about it. A command that fails is `Invalid`: it has to be changed.
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::Usage(_) => ErrorKind::Invalid,
            Self::Work { kind, .. } => *kind,
            Self::Found => ErrorKind::Corrupt,
        }
    }

    /// The failure and its causes in one line.
    pub(crate) fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }

    /// Prints the failure with its causes, and gives the exit code.
    #[expect(clippy::print_stderr, reason = "this is how a command-line tool tells its failure")]
    pub(crate) fn report(&self) -> ExitCode {
        match self {
            Self::Usage(what) => {
                eprintln!("error: {what}");
                ExitCode::from(2)
            }
            Self::Work { what, source, .. } => {
                eprintln!("error: {what}");
                let mut cause = source.as_deref().map(|source| source as &dyn Error);
                while let Some(error) = cause {
                    eprintln!("  caused by: {error}");
                    cause = error.source();
                }
                ExitCode::from(1)
            }
            Self::Found => ExitCode::from(1),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(what) | Self::Work { what, .. } => f.write_str(what),
            Self::Found => f.write_str("damage was found"),
        }
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Work { source, .. } => source.as_deref().map(|source| source as &(dyn Error + 'static)),
            Self::Usage(_) | Self::Found => None,
        }
    }
}

impl From<cache_core::Error> for Failure {
    fn from(error: cache_core::Error) -> Self {
        let what = error.to_string();
        Self::Work { what, kind: error.kind(), source: causes(&error) }
    }
}

/// The kind that the first error of the chain has that says one.
fn kind_of(error: &(dyn Error + 'static)) -> ErrorKind {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<cache_core::Error>() {
            return error.kind();
        }
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return cache_core::Error::io("do", "", error.kind().into()).kind();
        }
        next = error.source();
    }
    ErrorKind::Invalid
}

/// The causes of `error` without itself.
fn causes(error: &dyn Error) -> Option<Box<dyn Error + Send + Sync>> {
    let cause = error.source()?;
    Some(Box::new(Cause { text: cause.to_string(), next: causes(cause) }))
}

#[derive(Debug)]
struct Cause {
    text: String,
    next: Option<Box<dyn Error + Send + Sync>>,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.next.as_deref().map(|next| next as &(dyn Error + 'static))
    }
}
