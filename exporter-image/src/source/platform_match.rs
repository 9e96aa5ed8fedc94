//! Which platforms run on which.

use cache_core::Platform;

/// The platforms whose images run on `host`, the best first. Mirrors: containerd `platforms.Only` on Linux.
pub(super) fn compatible(host: &Platform) -> Vec<Platform> {
    let also = |architecture: &str, variants: &[&str]| -> Vec<Platform> {
        variants.iter().map(|variant| Platform::new(&host.os, architecture, variant)).collect()
    };
    let arm = |newest: &str| {
        let older = ["v8", "v7", "v6", "v5"];
        let from = older.iter().position(|variant| *variant == newest).unwrap_or(older.len());
        also("arm", older.get(from..).unwrap_or_default())
    };
    let lesser = match (host.architecture.as_str(), host.variant.as_str()) {
        ("amd64", "v4") => [also("amd64", &["v3", "v2", ""]), also("386", &[""])].concat(),
        ("amd64", "v3") => [also("amd64", &["v2", ""]), also("386", &[""])].concat(),
        ("amd64", "v2") => [also("amd64", &[""]), also("386", &[""])].concat(),
        ("amd64", _) => also("386", &[""]),
        ("arm64", "") => arm("v8"),
        ("arm64", _) => [also("arm64", &[""]), arm("v8")].concat(),
        ("arm", variant) => arm(variant).into_iter().skip(1).collect(),
        _ => Vec::new(),
    };
    std::iter::once(Platform::new(&host.os, &host.architecture, &host.variant)).chain(lesser).collect()
}

/// Whether an image of `found`, as an index spells it, is one for `wanted`. Versions of the operating system count only
/// where one is wanted.
pub(super) fn is_for(found: &Platform, wanted: &Platform, os_version: &str) -> bool {
    let found_version = &found.os_version;
    Platform::new(&found.os, &found.architecture, &found.variant) == *wanted
        && (os_version.is_empty() || found_version == os_version)
}
