//! Names of images as people write them and as they are stored.

use std::fmt;
use std::str::FromStr;

use cache_core::Digest;

use crate::error::{Error, NameProblem};

/// The registry that is meant when a name has none.
const DEFAULT_DOMAIN: &str = "docker.io";
/// An old name of it.
const LEGACY_DOMAIN: &str = "index.docker.io";
/// Where official images of that registry live.
const OFFICIAL: &str = "library";
/// Bytes that domain and path may have together. Mirrors: distribution `reference.NameTotalLengthMax`.
const MAX_BYTES: usize = 255;
/// Bytes that a tag may have.
const MAX_TAG_BYTES: usize = 128;

/// The name of an image: registry, repository, and a tag, a digest or both. Parsing fills in what people leave out:
/// `busybox` is `docker.io/library/busybox:latest`. Mirrors: distribution `reference.ParseNormalizedNamed` with
/// `TagNameOnly`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageName {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl ImageName {
    /// The registry's host and perhaps port.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The repository in the registry.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The tag; `None` only where there is a digest.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if the name pins one.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// The shortest name that means the same, as `docker images` shows it.
    pub fn familiar(&self) -> String {
        let path = if self.domain != DEFAULT_DOMAIN {
            format!("{}/{}", self.domain, self.path)
        } else {
            match self.path.strip_prefix(OFFICIAL).and_then(|rest| rest.strip_prefix('/')) {
                Some(name) if !name.contains('/') => name.to_owned(),
                _ => self.path.clone(),
            }
        };
        path + &self.suffix()
    }

    fn suffix(&self) -> String {
        let tag = self.tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
        let digest = self.digest.map(|digest| format!("@{digest}")).unwrap_or_default();
        tag + &digest
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}{}", self.domain, self.path, self.suffix())
    }
}

impl FromStr for ImageName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text).map_err(|problem| Error::Name { name: text.to_owned(), problem })
    }
}

fn parse(text: &str) -> Result<ImageName, NameProblem> {
    if text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(NameProblem::Identifier);
    }
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest.parse().map_err(|_| NameProblem::Malformed)?)),
        None => (text, None),
    };
    let (domain, rest) = split_domain(rest);
    let (path, tag) = match rest.split_once(':') {
        Some((path, tag)) => (path, Some(tag.to_owned())),
        None => (rest, digest.is_none().then(|| "latest".to_owned())),
    };
    if path.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(NameProblem::UpperCase);
    }
    let domain = if domain == LEGACY_DOMAIN { DEFAULT_DOMAIN } else { domain };
    let path =
        if domain == DEFAULT_DOMAIN && !path.contains('/') { format!("{OFFICIAL}/{path}") } else { path.to_owned() };
    if !is_domain(domain) || !path.split('/').all(is_component) || !tag.as_deref().is_none_or(is_tag) {
        return Err(NameProblem::Malformed);
    }
    if domain.len() + 1 + path.len() > MAX_BYTES {
        return Err(NameProblem::TooLong);
    }
    Ok(ImageName { domain: domain.to_owned(), path, tag, digest })
}

/// The part before the first slash is a host if it could not be the start of a repository.
fn split_domain(text: &str) -> (&str, &str) {
    match text.split_once('/') {
        Some((first, rest))
            if first.contains(['.', ':']) || first == "localhost" || first.bytes().any(|b| b.is_ascii_uppercase()) =>
        {
            (first, rest)
        }
        _ => (DEFAULT_DOMAIN, text),
    }
}

fn is_domain(domain: &str) -> bool {
    let (host, port) = match domain.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => {
            let is_address = !address.is_empty() && address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':');
            if !is_address {
                return false;
            }
            match rest.strip_prefix(':') {
                None => return rest.is_empty(),
                port => (None, port),
            }
        }
        None => match domain.split_once(':') {
            Some((host, port)) => (Some(host), Some(port)),
            None => (Some(domain), None),
        },
    };
    let is_label = |label: &str| {
        let alphanumeric = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
        alphanumeric(label.bytes().next())
            && alphanumeric(label.bytes().next_back())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    host.is_none_or(|host| host.split('.').all(is_label))
        && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Lower-case words, joined by one dot, one or two underscores, or any number of hyphens.
fn is_component(component: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = component.as_bytes();
    let ends_well = |byte: Option<&u8>| byte.is_some_and(|byte| is_word(*byte));
    ends_well(bytes.first())
        && ends_well(bytes.last())
        && bytes.split(|byte| is_word(*byte)).all(|joint| match joint {
            b"" | b"." | b"_" | b"__" => true,
            other => other.iter().all(|byte| *byte == b'-'),
        })
}

fn is_tag(tag: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= MAX_TAG_BYTES
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|byte| is_word(byte) || byte == b'.' || byte == b'-')
}
