//! From which repositories a registry can mount a layer.

use cache_core::Annotations;
use cache_core::annotation::DISTRIBUTION_SOURCE;

/// Adds to `annotations` the repositories of `image_names`: under each host, without its port, a list without duplicates.
///
/// Mirrors: BuildKit `cache/remote.go`, `getRemote`.
pub(super) fn add_sources(annotations: &mut Annotations, image_names: &[String]) {
    for name in image_names {
        let Some((host, repository)) = locate(name) else {
            tracing::warn!(name, "an image name without a host names no source of its layers");
            continue;
        };
        let sources = annotations.entry(format!("{DISTRIBUTION_SOURCE}{host}")).or_default();
        if sources.is_empty() {
            repository.clone_into(sources);
        } else if !sources.split(',').any(|known| known == repository) {
            sources.push(',');
            sources.push_str(repository);
        }
    }
}

/// The host, without its port, and the repository of a reference. Mirrors: containerd `pkg/reference.Parse`.
fn locate(name: &str) -> Option<(&str, &str)> {
    let (authority, rest) = name.split_once('/')?;
    let host = match authority.strip_prefix('[') {
        Some(address) => address.split(']').next()?,
        None => authority.split(':').next()?,
    };
    let repository = rest.split([':', '@']).next()?;
    (!host.is_empty() && !repository.is_empty()).then_some((host, repository))
}
