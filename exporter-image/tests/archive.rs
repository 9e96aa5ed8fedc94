//! An archive is complete and right, or there is none.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod support;

use std::io::{self, Write};
use std::path::Path;

use bytes::Bytes;
use cache_core::{Digest, ErrorKind, Layer, MediaType, ThreadPool};
use exporter_image::output::{ArchiveKind, OutputOptions, write_archive, write_archive_file};
use exporter_image::{ComposeOptions, ComposedImage, Error, ImageLayer, compose_image};
use pollster::block_on;
use support::{Blobs, JoinedPool, TWO_CONFIG, epoch, files_of, fixture, plain_layers, poll_at_most};

fn two() -> (ComposedImage, Blobs) {
    let options = ComposeOptions::default().with_config(TWO_CONFIG).with_epoch(epoch());
    (compose_image(&plain_layers(), &options).unwrap(), Blobs::of_fixture("two.noname.tar"))
}

const OCI: ArchiveKind = ArchiveKind::Oci;

fn options() -> OutputOptions {
    OutputOptions::new(epoch())
}

fn written(image: &ComposedImage, blobs: &Blobs, kind: ArchiveKind) -> Result<Vec<u8>, Error> {
    block_on(write_archive(&ThreadPool::new(), image, blobs, kind, &options(), Vec::new()))
}

fn names_in(directory: &Path) -> Vec<String> {
    std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_layer_of_other_bytes_is_corrupt() {
    let (image, mut blobs) = two();
    let layer = &image.layers[0].descriptor;
    for wrong in [Bytes::from(vec![0; layer.size as usize]), Bytes::from_static(b"short")] {
        blobs.0.insert(layer.digest, wrong);
        assert_eq!(written(&image, &blobs, OCI).unwrap_err().kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn a_missing_layer_is_not_found() {
    let (image, mut blobs) = two();
    blobs.0.remove(&image.layers[1].descriptor.digest);
    assert_eq!(written(&image, &blobs, OCI).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn equal_layers_are_there_once() {
    let mut blobs = Blobs::default();
    let descriptor = blobs.add(MediaType::OCI_LAYER, "the same tar twice");
    let layer = ImageLayer::from(Layer::new(descriptor.clone(), descriptor.digest));
    let image = compose_image(&[layer.clone(), layer], &ComposeOptions::default()).unwrap();
    let files = files_of(&written(&image, &blobs, ArchiveKind::Docker).unwrap());
    assert_eq!(files.len(), 6);
    let path = format!("blobs/sha256/{}", descriptor.digest.hex());
    let manifest = String::from_utf8(files["manifest.json"].to_vec()).unwrap();
    assert!(manifest.ends_with(&format!(r#""RepoTags":null,"Layers":["{path}","{path}"]}}]"#)), "{manifest}");
}

#[test]
fn every_algorithm_has_its_directory() {
    let bytes = Bytes::from_static(b"layer");
    let mut hasher = cache_core::DigestHasher::new(cache_core::Algorithm::Sha512);
    hasher.update(&bytes);
    let mut descriptor = cache_core::Descriptor::of(MediaType::OCI_LAYER, &bytes);
    descriptor.digest = hasher.finish();
    let blobs = Blobs::from(vec![(descriptor.digest, bytes.clone())]);
    let layer = ImageLayer::from(Layer::new(descriptor.clone(), Digest::of(&bytes)));
    let image = compose_image(&[layer], &ComposeOptions::default()).unwrap();
    let files = files_of(&written(&image, &blobs, OCI).unwrap());
    assert_eq!(files[&format!("blobs/sha512/{}", descriptor.digest.hex())], bytes);
}

/// A writer that takes so many bytes and then fails.
#[derive(Debug)]
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let taken = bytes.len().min(self.0);
        self.0 -= taken;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_is_no_space_wherever_it_happens() {
    let (image, blobs) = two();
    for room in (0..12_800).step_by(256) {
        let error =
            block_on(write_archive(&ThreadPool::new(), &image, &blobs, OCI, &options(), Full(room))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoSpace, "{room}");
    }
    assert!(block_on(write_archive(&ThreadPool::new(), &image, &blobs, OCI, &options(), Full(12_800))).is_ok());
}

#[test]
fn a_file_is_written_or_replaced_as_a_whole() {
    let (image, blobs) = two();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("image.tar");
    let golden = std::fs::read(fixture("two.noname.tar")).unwrap();
    let write = |blobs: &Blobs| block_on(write_archive_file(&ThreadPool::new(), &image, blobs, OCI, &options(), &path));
    write(&blobs).unwrap();
    assert!(std::fs::read(&path).unwrap() == golden);
    assert!(write(&Blobs::default()).is_err());
    assert!(std::fs::read(&path).unwrap() == golden, "a failed write leaves the file as it was");
    std::fs::write(&path, "old").unwrap();
    write(&blobs).unwrap();
    assert!(std::fs::read(&path).unwrap() == golden);
    assert_eq!(names_in(directory.path()), ["image.tar"]);
}

#[test]
fn a_link_to_a_file_stays_a_link() {
    let (image, blobs) = two();
    let directory = tempfile::tempdir().unwrap();
    let (path, link) = (directory.path().join("image.tar"), directory.path().join("link"));
    std::fs::write(&path, "old").unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    block_on(write_archive_file(&ThreadPool::new(), &image, &blobs, OCI, &options(), &link)).unwrap();
    assert!(link.symlink_metadata().unwrap().is_symlink());
    assert_eq!(std::fs::read(&path).unwrap().len(), 12_800);
}

#[test]
fn what_is_no_file_is_streamed_into() {
    let (image, blobs) = two();
    block_on(write_archive_file(&ThreadPool::new(), &image, &blobs, OCI, &options(), Path::new("/dev/null"))).unwrap();
    let missing = Path::new("/nonexistent/image.tar");
    let error = block_on(write_archive_file(&ThreadPool::new(), &image, &blobs, OCI, &options(), missing)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn a_dropped_call_leaves_no_file_wherever_it_is_dropped() {
    let (image, blobs) = two();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("image.tar");
    let pool = JoinedPool::default();
    for polls in 0.. {
        let ended = poll_at_most(polls, write_archive_file(&pool, &image, &blobs, OCI, &options(), &path));
        pool.join();
        match ended {
            Some(result) => {
                result.unwrap();
                assert!(polls > 1, "it waited at least once");
                return;
            }
            // The job may have been told everything before the call was dropped.
            None if path.exists() => assert_eq!(std::fs::read(&path).unwrap().len(), 12_800),
            None => assert_eq!(names_in(directory.path()), Vec::<String>::new()),
        }
        drop(std::fs::remove_file(&path));
    }
}
