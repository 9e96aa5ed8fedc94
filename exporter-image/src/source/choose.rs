//! Choice among the entries of an index.

use std::collections::BTreeSet;

use cache_core::{Descriptor, Digest, Platform, annotation};

use super::platform_match::{compatible, is_for};
use crate::error::{Error, Result};
use crate::image_name::ImageName;

/// The annotation of entries that are about another entry, like attestations.
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";

/// The entries that `name` can mean: a digest, a full image name, or a tag. Without a name all of them, if they do not
/// have several names.
pub(super) fn by_name<'a>(target: &str, entries: &'a [Descriptor], name: Option<&str>) -> Result<Vec<&'a Descriptor>> {
    let names: BTreeSet<_> = entries.iter().filter_map(shown_name).collect();
    let found: Vec<_> = match name {
        None => entries.iter().collect(),
        Some(name) => entries.iter().filter(|entry| answers_to(entry, name)).collect(),
    };
    let candidates = || names.iter().map(|name| (*name).to_owned()).collect();
    let digests: BTreeSet<_> = found.iter().map(|entry| entry.digest).collect();
    if digests.is_empty() {
        let wanted = name.unwrap_or("image").to_owned();
        return Err(Error::NoSuchImage { target: target.to_owned(), wanted, candidates: candidates() });
    }
    if digests.len() > 1 && name.is_none() && names.len() > 1 {
        return Err(Error::Choose { target: target.to_owned(), candidates: candidates() });
    }
    Ok(found)
}

fn shown_name(entry: &Descriptor) -> Option<&str> {
    let value = |key| entry.annotations.get(key).map(String::as_str);
    value(annotation::CONTAINERD_IMAGE_NAME).or_else(|| value(annotation::REF_NAME))
}

fn answers_to(entry: &Descriptor, name: &str) -> bool {
    if let Ok(digest) = name.parse::<Digest>() {
        return entry.digest == digest;
    }
    let value = |key| entry.annotations.get(key).map(String::as_str);
    let full = value(annotation::CONTAINERD_IMAGE_NAME);
    full == Some(name) || value(annotation::REF_NAME) == Some(name) || full.is_some_and(|full| is_same_name(full, name))
}

/// Whether two spellings are one image name.
pub(super) fn is_same_name(one: &str, other: &str) -> bool {
    match (one.parse::<ImageName>(), other.parse::<ImageName>()) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}

/// The entry for the wanted platform; without a wish, for the host, or the only one there is.
/// Mirrors: containerd `core/images.Manifest`.
pub(super) fn by_platform<'a>(
    target: &str,
    entries: &[&'a Descriptor],
    wanted: Option<&Platform>,
) -> Result<&'a Descriptor> {
    let entries: Vec<_> = entries.iter().copied().filter(|entry| is_image(entry)).collect();
    let digests: BTreeSet<_> = entries.iter().map(|entry| entry.digest).collect();
    let host = wanted.cloned().unwrap_or_else(Platform::host);
    let fits = compatible(&host).into_iter().find_map(|platform| {
        let fits = |entry: &&&Descriptor| {
            entry.platform.as_ref().is_some_and(|found| is_for(found, &platform, &host.os_version))
        };
        entries.iter().find(fits)
    });
    let unspecified = || {
        let mut without = entries.iter().filter(|entry| entry.platform.is_none());
        without.next().filter(|first| without.all(|other| other.digest == first.digest))
    };
    let only = || entries.first().filter(|_| wanted.is_none() && digests.len() == 1);
    fits.or_else(unspecified).or_else(only).copied().ok_or_else(|| Error::NoSuchImage {
        target: target.to_owned(),
        wanted: host.to_string(),
        candidates: platforms(&entries).iter().map(Platform::to_string).collect(),
    })
}

/// The platforms of the images among `entries`, each once, in their order.
pub(super) fn platforms(entries: &[&Descriptor]) -> Vec<Platform> {
    let mut platforms = Vec::new();
    for platform in entries.iter().filter(|entry| is_image(entry)).filter_map(|entry| entry.platform.as_ref()) {
        if !platforms.contains(platform) {
            platforms.push(platform.clone());
        }
    }
    platforms
}

fn is_image(entry: &Descriptor) -> bool {
    let is_unknown = entry.platform.as_ref().is_some_and(|platform| platform.os == "unknown");
    !entry.annotations.contains_key(REFERENCE_TYPE) && !is_unknown
}
