//! Creating, updating and deleting names.

use crate::conformance::Outcome;
use crate::conformance::blob::labels;
use crate::conformance::image::{ImageSubject, done};
use crate::conformance::require::{require, require_equal, require_some};
use crate::labels::Labels;
use crate::ports::ImageOutcome;

/// A created name has its target, labels and times.
pub async fn a_created_name_is_there(subject: ImageSubject) -> Outcome {
    let target = subject.target(1).await?;
    let window = subject.clock.window();
    let image = subject.create("name", &target, labels([("a", "1")])).await?;
    require_equal(&image.name.as_str(), &"name", "an image has its name")?;
    require_equal(&image.target, &target, "an image has its target")?;
    require_equal(&image.labels, &labels([("a", "1")]), "an image has its labels")?;
    window.require(image.created_at, "a name is created when it is")?;
    require_equal(&image.updated_at, &image.created_at, "a new name was not updated")?;
    subject.clock.tick().await;
    require_equal(&subject.images.get("name").await?, &Some(image), "what is answered is what is there")
}

/// A name that is taken is refused and stays as it is.
pub async fn create_does_not_replace(subject: ImageSubject) -> Outcome {
    let (first, second) = (subject.target(1).await?, subject.target(2).await?);
    let image = subject.create("name", &first, labels([("a", "1")])).await?;
    subject.clock.tick().await;
    for target in [&first, &second] {
        let outcome = subject.images.create("name", target, labels([("b", "2")])).await?;
        require_equal(&outcome, &ImageOutcome::Refused, "a name that is taken is refused")?;
        require_equal(&subject.images.get("name").await?, &Some(image.clone()), "a refusal changes nothing")?;
    }
    Ok(())
}

/// An update points the name elsewhere, with the given labels alone; the name was created when it was.
pub async fn update_replaces_target_and_labels(subject: ImageSubject) -> Outcome {
    let (first, second) = (subject.target(1).await?, subject.target(2).await?);
    let created = subject.create("name", &first, labels([("a", "1"), ("b", "1")])).await?;
    let other = subject.create("other", &first, Labels::new()).await?;
    for wanted in [labels([("b", "2"), ("c", "2")]), Labels::new()] {
        subject.clock.tick().await;
        let window = subject.clock.window();
        let image = done(subject.images.update("name", &second, wanted.clone()).await?)?;
        require_equal(&image.target, &second, "an update points the name elsewhere")?;
        require_equal(&image.labels, &wanted, "an update replaces the labels")?;
        require_equal(&image.created_at, &created.created_at, "an update does not create the name again")?;
        window.require(image.updated_at, "an update moves the time of the update")?;
        require_equal(&subject.images.get("name").await?, &Some(image), "what is answered is what is there")?;
    }
    require_equal(&subject.images.get("other").await?, &Some(other), "an update concerns one name")
}

/// A name that is not there is refused and stays away.
pub async fn update_does_not_create(subject: ImageSubject) -> Outcome {
    let target = subject.target(1).await?;
    let outcome = subject.images.update("name", &target, Labels::new()).await?;
    require_equal(&outcome, &ImageOutcome::Refused, "a name that is not there is refused")?;
    require_equal(&subject.images.get("name").await?, &None, "an update creates nothing")
}

/// A deleted name is gone and can be created anew.
pub async fn a_deleted_name_is_gone(subject: ImageSubject) -> Outcome {
    let target = subject.target(1).await?;
    subject.create("name", &target, labels([("a", "1")])).await?;
    subject.create("other", &target, Labels::new()).await?;
    require_equal(&subject.images.delete("name").await?, &true, "there was a name to delete")?;
    require_equal(&subject.images.get("name").await?, &None, "a deleted name is gone")?;
    require_equal(&subject.images.delete("name").await?, &false, "a name is deleted once")?;
    let listed: Vec<_> = subject.images.list().await?.into_iter().map(|image| image.name).collect();
    require_equal(&listed, &vec!["other".to_owned()], "another name stays, and it alone")?;
    subject.create("name", &target, Labels::new()).await?;
    let image = require_some(subject.images.get("name").await?, "a name can be created anew")?;
    require(image.labels.is_empty(), "a new name has nothing of a deleted one")
}
