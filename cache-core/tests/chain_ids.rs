//! Chain ids and blob-chain ids, by the vectors of BuildKit's TestSetBlob.
#![allow(clippy::unwrap_used, missing_docs)]

use cache_core::{BlobChain, Descriptor, Digest, ErrorKind, Layer, MediaType, annotation, chain_id, child_chain_id};

fn layer(blob: &str, diff: &str) -> Layer {
    Layer::new(Descriptor::new(MediaType::OCI_LAYER_GZIP, Digest::of(blob), 1), Digest::of(diff))
}

#[test]
fn a_base_layer_has_its_diff_id_as_chain_id() {
    let chain = BlobChain::new(vec![layer("blob1", "diff1")]);
    assert_eq!(chain.chain_id(), Some(Digest::of("diff1")));
    assert_eq!(chain.blob_chain_id(), Some(Digest::of(format!("{} {}", Digest::of("blob1"), Digest::of("diff1")))));
}

#[test]
fn a_child_folds_its_parents_ids() {
    let (base, child) = (layer("blob1", "diff1"), layer("blob2", "diff2"));
    let chain = BlobChain::new(vec![base.clone(), child.clone()]);
    assert_eq!(chain.chain_id(), Some(Digest::of(format!("{} {}", Digest::of("diff1"), Digest::of("diff2")))));
    let parent = base.blob_id();
    let own = Digest::of(format!("{} {}", Digest::of("blob2"), Digest::of("diff2")));
    assert_eq!(chain.blob_chain_id(), Some(Digest::of(format!("{parent} {own}"))));
    assert_eq!(chain.blob_chain_id(), Some(child_chain_id(Some(parent), child.blob_id())));
}

#[test]
fn longer_chains_fold_from_the_left() {
    let [a, b, c] = ["a", "b", "c"].map(Digest::of);
    let left = Digest::of(format!("{a} {b}"));
    assert_eq!(chain_id(&[a, b, c]), Some(Digest::of(format!("{left} {c}"))));
}

#[test]
fn no_layers_have_no_ids() {
    assert_eq!(BlobChain::default().chain_id(), None);
    assert_eq!(BlobChain::default().blob_chain_id(), None);
}

#[test]
fn the_same_diff_in_another_blob_shares_the_chain_id_alone() {
    let (one, two) = (BlobChain::new(vec![layer("x", "d")]), BlobChain::new(vec![layer("y", "d")]));
    assert_eq!(one.chain_id(), two.chain_id());
    assert_ne!(one.blob_chain_id(), two.blob_chain_id());
}

#[test]
fn the_diff_id_becomes_an_annotation_only_at_the_border() {
    let layer = layer("blob", "diff");
    let annotated = layer.to_annotated();
    assert_eq!(annotated.annotations[annotation::UNCOMPRESSED], Digest::of("diff").to_string());
    assert_eq!(Layer::from_annotated(annotated).unwrap(), layer);
}

#[test]
fn a_descriptor_without_uncompressed_annotation_is_no_layer() {
    let bare = layer("blob", "diff").descriptor;
    assert_eq!(Layer::from_annotated(bare.clone()).unwrap_err().kind(), ErrorKind::Invalid);
    let odd = bare.with_annotation(annotation::UNCOMPRESSED, "sha256:../..");
    assert_eq!(Layer::from_annotated(odd).unwrap_err().kind(), ErrorKind::Invalid);
}
