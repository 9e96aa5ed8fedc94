//! Everything public can be shown, sent and shared.
#![allow(missing_docs)]

use std::fmt::Debug;

use cache_blobs::{changes, content, layer, tar};

fn holds<T: Debug + Send + Sync + ?Sized>() {}

#[test]
fn archives_are_debug_send_and_sync() {
    holds::<tar::Header>();
    holds::<tar::Reader<&[u8]>>();
    holds::<tar::Entry<'_, &[u8]>>();
    holds::<tar::Writer<Vec<u8>>>();
    holds::<tar::EntryWriter<'_, Vec<u8>>>();
    holds::<tar::ReadLimits>();
    holds::<tar::Error>();
    holds::<content::Extent>();
    holds::<content::Plain<&[u8]>>();
    holds::<content::Filled<content::Plain<&[u8]>>>();
}

#[test]
fn changes_are_debug_send_and_sync() {
    holds::<dyn changes::Tree>();
    holds::<dyn changes::Directory>();
    holds::<changes::TreeEntry>();
    holds::<changes::Change>();
    holds::<changes::DoubleWalk>();
    holds::<changes::OverlayUpper>();
    holds::<changes::Overlay>();
    holds::<changes::MemoryTree>();
    holds::<changes::Error>();
}

#[test]
fn layers_are_debug_send_and_sync() {
    holds::<layer::LayerWriter<Vec<u8>>>();
    holds::<layer::LayerBuilder<Vec<u8>>>();
    holds::<layer::LayerOptions>();
    holds::<layer::LayerReport>();
    holds::<layer::Error>();
}

#[cfg(target_os = "linux")]
#[test]
fn directories_are_debug_send_and_sync() {
    holds::<changes::DirectoryTree>();
    holds::<cache_blobs::apply::ApplyOptions>();
    holds::<cache_blobs::apply::ApplyLimits>();
    holds::<cache_blobs::apply::Applied>();
    holds::<cache_blobs::apply::Error>();
}

#[test]
fn packings_are_debug_send_and_sync() {
    holds::<cache_blobs::codec::BlockBytes>();
    holds::<cache_blobs::pack::Budget>();
    holds::<cache_blobs::pack::PackOptions>();
    holds::<cache_blobs::pack::PackTarget<'_>>();
    holds::<cache_blobs::pack::PackWriter>();
    holds::<cache_blobs::pack::Packed<()>>();
    holds::<cache_blobs::pack::PackedVariants<()>>();
    holds::<cache_blobs::pack::FailedVariant>();
}

#[test]
fn conversions_and_remotes_are_debug_send_and_sync() {
    holds::<cache_blobs::convert::Converter>();
    holds::<cache_blobs::convert::ConverterBackends>();
    holds::<cache_blobs::convert::ConversionLimits>();
    #[cfg(feature = "estargz")]
    {
        holds::<cache_blobs::convert::PrioritizedLayer>();
        holds::<cache_blobs::codec::estargz::PrefetchOptions>();
        holds::<cache_blobs::codec::estargz::PrefetchOrder>();
    }
    holds::<cache_blobs::chain::RemoteOptions>();
    holds::<cache_blobs::chain::Remotes>();
    holds::<cache_blobs::chain::VariantRemotes>();
    holds::<cache_blobs::chain::VariantRemotesIter<'_>>();
    holds::<cache_blobs::RemoteBlob>();
}
