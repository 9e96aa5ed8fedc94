//! zstd layers under Docker media types are written, with one warning an image.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod support;

use std::sync::{Arc, Mutex};

use cache_core::memory::MemoryRemote;
use cache_core::ports::{Progress, ProgressEvent};
use cache_core::{Digest, Layer, MediaType, MediaTypeFamily, ThreadPool};
use exporter_image::output::{ArchiveKind, OutputOptions, write_archive};
use exporter_image::{ComposeOptions, ComposedImage, ImageExporter, ImageLayer, compose_image};
use pollster::block_on;
use support::{Blobs, epoch, memory};

/// The warnings that were told.
#[derive(Debug, Default)]
struct Warnings(Mutex<Vec<String>>);

impl Progress for Warnings {
    fn event(&self, event: ProgressEvent) {
        if let ProgressEvent::Warning { message, .. } = event {
            self.0.lock().unwrap().push(message);
        }
    }
}

fn image(media_type: &MediaType, family: MediaTypeFamily) -> (ComposedImage, Blobs) {
    let mut blobs = Blobs::default();
    let layers = ["one", "two"].map(|bytes| {
        let descriptor = blobs.add(media_type.clone(), bytes);
        ImageLayer::from(Layer::new(descriptor, Digest::of(format!("tar of {bytes}"))))
    });
    (compose_image(&layers, &ComposeOptions::default().with_family(family)).unwrap(), blobs)
}

/// What is told of an image in a target, in an OCI archive and in a Docker archive.
fn told(image: &ComposedImage, blobs: &Blobs) -> [Vec<String>; 3] {
    let listen = |write: &dyn Fn(Arc<Warnings>)| {
        let warnings = Arc::new(Warnings::default());
        write(Arc::clone(&warnings));
        warnings.0.lock().unwrap().clone()
    };
    let archive = |kind: ArchiveKind| {
        listen(&|warnings| {
            let options = OutputOptions::new(epoch()).with_progress(warnings);
            block_on(write_archive(&ThreadPool::new(), image, blobs, kind, &options, Vec::new())).unwrap();
        })
    };
    let target = listen(&|warnings| {
        let target = Arc::new(MemoryRemote::new(memory().clock));
        block_on(ImageExporter::new(target).with_progress(warnings).export(image, blobs, &[])).unwrap();
    });
    [target, archive(ArchiveKind::Oci), archive(ArchiveKind::Docker)]
}

#[test]
fn zstd_layers_with_docker_media_types_are_written_with_one_warning() {
    let (image, blobs) = image(&MediaType::OCI_LAYER_ZSTD, MediaTypeFamily::Docker);
    assert!(image.layers.iter().all(|layer| layer.descriptor.media_type == MediaType::DOCKER_LAYER_ZSTD));
    for warnings in told(&image, &blobs) {
        assert!(matches!(&warnings[..], [warning] if warning.contains("zstd")), "{warnings:?}");
    }
}

#[test]
fn layers_of_other_types_are_written_without_a_warning() {
    for (media_type, family) in [
        (MediaType::OCI_LAYER_ZSTD, MediaTypeFamily::Oci),
        (MediaType::DOCKER_LAYER_ZSTD, MediaTypeFamily::Oci),
        (MediaType::OCI_LAYER_GZIP, MediaTypeFamily::Docker),
        (MediaType::OCI_LAYER, MediaTypeFamily::Docker),
    ] {
        let (image, blobs) = image(&media_type, family);
        assert_eq!(told(&image, &blobs), [const { Vec::<String>::new() }; 3], "{media_type} as {family:?}");
    }
}
