//! Layers that others wrote.

use std::path::Path;

use cache_core::{Descriptor, Digest, Layer};
use serde::Deserialize;

/// BuildKit's eStargz layers, with their blobs.
pub(crate) fn buildkit_layers() -> Vec<(Layer, Vec<u8>)> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Fixture {
        file: String,
        #[serde(rename = "diffID")]
        diff_id: Digest,
        descriptor: Descriptor,
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/estargz");
    let fixtures: Vec<Fixture> = serde_json::from_slice(&std::fs::read(folder.join("layers.json")).unwrap()).unwrap();
    assert_eq!(fixtures.len(), 7);
    let layer = |it: Fixture| (Layer::new(it.descriptor, it.diff_id), std::fs::read(folder.join(it.file)).unwrap());
    fixtures.into_iter().map(layer).collect()
}
