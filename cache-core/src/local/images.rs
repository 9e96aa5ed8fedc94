//! Image names as rows.

use rusqlite::{Connection, OptionalExtension, params};

use crate::descriptor::Descriptor;
use crate::error::{Error, ErrorKind, Result};
use crate::json;
use crate::labels::{Labels, validate_labels};
use crate::local::blobs;
use crate::local::database::Durability;
use crate::local::labels::{self, Labelled};
use crate::local::sql::{SqlContext, corrupt_row};
use crate::local::store::{Store, timestamp};
use crate::ports::{Image, ImageOutcome};

impl Store {
    /// The image `name`; `None` if there is none.
    pub fn image(&self, name: &str) -> Result<Option<Image>> {
        self.read(|transaction| image(transaction, name))
    }

    /// Creates the name, unless it is taken.
    ///
    /// # Errors
    /// `Invalid` for an empty name; `NotFound` if the target is not in the store.
    pub fn create_image(&self, name: &str, target: &Descriptor, labels: &Labels) -> Result<ImageOutcome> {
        self.point_image(
            "create image",
            "INSERT INTO images VALUES (?1, ?2, ?3, ?4, ?4) ON CONFLICT (name) DO NOTHING",
            name,
            target,
            labels,
        )
    }

    /// Points an existing name at `target`, with these labels in place of its own.
    ///
    /// # Errors
    /// As [`create_image`](Self::create_image).
    pub fn update_image(&self, name: &str, target: &Descriptor, labels: &Labels) -> Result<ImageOutcome> {
        self.point_image(
            "update image",
            "UPDATE images SET target = ?2, digest = ?3, updated_at = ?4 WHERE name = ?1",
            name,
            target,
            labels,
        )
    }

    /// Removes the name; whether there was one.
    pub fn delete_image(&self, name: &str) -> Result<bool> {
        self.database.free(Durability::Synced, |transaction| {
            labels::remove_all(transaction, Labelled::Image, name)?;
            let removed = transaction.execute("DELETE FROM images WHERE name = ?1", [name]).doing("delete image")?;
            Ok(removed > 0)
        })
    }

    /// Every image, sorted by name.
    pub fn images(&self) -> Result<Vec<Image>> {
        self.read(|transaction| {
            let mut statement = transaction.prepare("SELECT name FROM images ORDER BY name").doing("list images")?;
            let names = statement.query_map([], |row| row.get::<_, String>(0)).doing("list images")?;
            let mut images = Vec::new();
            for name in names {
                images.extend(image(transaction, &name.doing("list images")?)?);
            }
            Ok(images)
        })
    }

    fn point_image(
        &self,
        operation: &'static str,
        sql: &str,
        name: &str,
        target: &Descriptor,
        labels: &Labels,
    ) -> Result<ImageOutcome> {
        validate_labels(labels)?;
        if name.is_empty() {
            return Err(Error::new(ErrorKind::Invalid, operation, "the empty name"));
        }
        let text = String::from_utf8(json::to_vec(target)?)
            .map_err(|error| Error::new(ErrorKind::Invalid, operation, name).with_source(error))?;
        let now = self.now();
        self.database.write(Durability::Synced, |transaction, _| {
            if blobs::size(transaction, &target.digest)?.is_none() {
                return Err(Error::new(ErrorKind::NotFound, operation, target.digest));
            }
            let digest = target.digest.to_string();
            if transaction.execute(sql, params![name, text, digest, now]).doing(operation)? == 0 {
                return Ok(ImageOutcome::Refused);
            }
            labels::replace(transaction, Labelled::Image, name, labels)?;
            let image = image(transaction, name)?.ok_or_else(|| Error::new(ErrorKind::NotFound, operation, name))?;
            Ok(ImageOutcome::Done(image))
        })
    }
}

fn image(transaction: &Connection, name: &str) -> Result<Option<Image>> {
    let row = transaction
        .query_row("SELECT target, created_at, updated_at FROM images WHERE name = ?1", [name], |row| {
            Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()
        .doing("read image")?;
    let Some((target, created_at, updated_at)) = row else { return Ok(None) };
    let target =
        serde_json::from_str(&target).map_err(|error| corrupt_row("read image", "descriptor").with_source(error))?;
    Ok(Some(Image {
        name: name.to_owned(),
        target,
        labels: labels::get(transaction, Labelled::Image, name)?,
        created_at: timestamp(created_at),
        updated_at: timestamp(updated_at),
    }))
}
