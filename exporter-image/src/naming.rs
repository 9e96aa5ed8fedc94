//! Naming of images.

use cache_core::ports::{Image, ImageOutcome, ImageStore};
use cache_core::{Descriptor, Error, ErrorKind, Labels, Result};

/// How often a name may appear and vanish under our hands. One other process that names and removes in a loop was never
/// seen to win twice in a row; a store that answers so for ever is broken.
const MAX_ROUNDS: usize = 16;

/// Lets `name` stand for `target`, whether or not it stood for something before. Mirrors: BuildKit
/// `exporter/containerimage/export.go`, the loop over update and create.
///
/// # Errors
/// Those of [`ImageStore::create`] and [`ImageStore::update`]; `Busy` if others create and remove the name each time
/// between the two.
///
/// # Cancel safety
/// A dropped call named the image or did not.
pub async fn name_image(store: &dyn ImageStore, name: &str, target: &Descriptor, labels: &Labels) -> Result<Image> {
    for _ in 0..MAX_ROUNDS {
        if let ImageOutcome::Done(image) = store.update(name, target, labels.clone()).await? {
            return Ok(image);
        }
        if let ImageOutcome::Done(image) = store.create(name, target, labels.clone()).await? {
            return Ok(image);
        }
    }
    Err(Error::new(ErrorKind::Busy, "name image", name.escape_debug()))
}
