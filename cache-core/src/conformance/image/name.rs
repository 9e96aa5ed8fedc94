//! Names of images.

use crate::conformance::Outcome;
use crate::conformance::image::ImageSubject;
use crate::conformance::require::{require, require_equal, require_kind};
use crate::error::ErrorKind;
use crate::labels::Labels;

/// The empty name is `Invalid`, to create and to update.
pub async fn the_empty_name_is_invalid(subject: ImageSubject) -> Outcome {
    let target = subject.target(1).await?;
    let created = subject.images.create("", &target, Labels::new()).await;
    require_kind(created, ErrorKind::Invalid, "the empty name is refused")?;
    let updated = subject.images.update("", &target, Labels::new()).await;
    require_kind(updated, ErrorKind::Invalid, "the empty name is refused")?;
    require_equal(&subject.images.list().await?, &Vec::new(), "a refused name is not there")
}

/// Any text but the empty one is a name, and different texts are different names.
pub async fn names_are_opaque(subject: ImageSubject) -> Outcome {
    let long = "k".repeat(2000);
    let names = [
        "example.com/a:1",
        "example.com/a:2",
        "example.com/A:1",
        "a@sha256:0",
        "..",
        "../x",
        "/x",
        "a b",
        "a\0b",
        "ключ",
        "a\u{301}",
        "\u{e1}",
        "%",
        "_",
        long.as_str(),
    ];
    let target = subject.target(1).await?;
    for name in names {
        subject.create(name, &target, Labels::from([("name".to_owned(), name.to_owned())])).await?;
    }
    for name in names {
        let image = subject.images.get(name).await?;
        let own = image.as_ref().and_then(|image| image.labels.get("name"));
        require(own.is_some_and(|own| own == name), "no two names are one")?;
    }
    require_equal(&subject.images.list().await?.len(), &names.len(), "every name is listed once")
}

/// The list is sorted by name and whole.
pub async fn names_are_listed_sorted(subject: ImageSubject) -> Outcome {
    require_equal(&subject.images.list().await?, &Vec::new(), "nothing is listed at first")?;
    let target = subject.target(1).await?;
    let mut wanted = Vec::new();
    for name in ["b", "a", "a:1", "B", "a-1", "c"] {
        wanted.push(subject.create(name, &target, Labels::new()).await?);
        subject.clock.tick().await;
    }
    wanted.sort_by(|a, b| a.name.cmp(&b.name));
    require_equal(&subject.images.list().await?, &wanted, "every name is listed, sorted")
}

/// There is no image of a name that was never created.
pub async fn an_absent_name_is_none(subject: ImageSubject) -> Outcome {
    let target = subject.target(1).await?;
    subject.create("name", &target, Labels::new()).await?;
    for absent in ["", "nam", "name2", "NAME"] {
        require_equal(&subject.images.get(absent).await?, &None, "an absent name is none")?;
        require_equal(&subject.images.delete(absent).await?, &false, "there is nothing to delete")?;
    }
    Ok(())
}
