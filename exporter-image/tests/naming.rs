//! An image gets its name whether or not others name and remove at the same time.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod support;

use std::sync::Mutex;

use async_trait::async_trait;
use cache_core::ports::{Image, ImageOutcome, ImageStore};
use cache_core::{Descriptor, Error, ErrorKind, Labels, MediaType, Result, Timestamp};
use exporter_image::name_image;
use pollster::block_on;

/// What the store answers to the next call.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Answer {
    Done,
    Refused,
    Fails,
}
use Answer::{Done, Fails, Refused};

/// A store that answers as told and notes what it was asked. When nothing is left, it refuses.
#[derive(Debug)]
struct Scripted {
    answers: Mutex<Vec<Answer>>,
    calls: Mutex<Vec<&'static str>>,
}

impl Scripted {
    fn new(answers: &[Answer]) -> Self {
        Self { answers: Mutex::new(answers.iter().rev().copied().collect()), calls: Mutex::default() }
    }

    fn answer(&self, call: &'static str, name: &str, target: &Descriptor, labels: Labels) -> Result<ImageOutcome> {
        self.calls.lock().unwrap().push(call);
        match self.answers.lock().unwrap().pop().unwrap_or(Refused) {
            Done => {
                let (created_at, updated_at) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
                let (name, target) = (name.to_owned(), target.clone());
                Ok(ImageOutcome::Done(Image { name, target, labels, created_at, updated_at }))
            }
            Refused => Ok(ImageOutcome::Refused),
            Fails => Err(Error::new(ErrorKind::Unavailable, call, name)),
        }
    }
}

#[async_trait]
impl ImageStore for Scripted {
    async fn get(&self, _name: &str) -> Result<Option<Image>> {
        panic!("naming does not look first")
    }

    async fn create(&self, name: &str, target: &Descriptor, labels: Labels) -> Result<ImageOutcome> {
        self.answer("create", name, target, labels)
    }

    async fn update(&self, name: &str, target: &Descriptor, labels: Labels) -> Result<ImageOutcome> {
        self.answer("update", name, target, labels)
    }

    async fn delete(&self, _name: &str) -> Result<bool> {
        panic!("naming does not delete")
    }

    async fn list(&self) -> Result<Vec<Image>> {
        panic!("naming does not list")
    }
}

fn target() -> Descriptor {
    Descriptor::of(MediaType::OCI_MANIFEST, b"{}")
}

#[test]
fn names_are_updated_else_created_else_updated_again() {
    for (answers, calls) in [
        (&[Done][..], &["update"][..]),
        (&[Refused, Done], &["update", "create"]),
        (&[Refused, Refused, Done], &["update", "create", "update"]),
        (
            &[Refused, Refused, Refused, Refused, Refused, Done],
            &["update", "create", "update", "create", "update", "create"],
        ),
    ] {
        let store = Scripted::new(answers);
        let image = block_on(name_image(&store, "x", &target(), &Labels::new())).unwrap();
        assert_eq!((image.name.as_str(), image.target), ("x", target()));
        assert_eq!(*store.calls.lock().unwrap(), calls);
    }
}

#[test]
fn a_store_that_always_races_is_busy_after_a_bounded_number_of_rounds() {
    let store = Scripted::new(&[]);
    let error = block_on(name_image(&store, "x", &target(), &Labels::new())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert_eq!(store.calls.lock().unwrap().len(), 32);
}

#[test]
fn a_failure_of_the_store_is_no_race() {
    for answers in [&[Fails][..], &[Refused, Fails]] {
        let store = Scripted::new(answers);
        let error = block_on(name_image(&store, "x", &target(), &Labels::new())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(store.calls.lock().unwrap().len(), answers.len());
    }
}

#[test]
fn a_name_is_replaced_with_its_labels() {
    block_on(async {
        let memory = support::memory();
        let lease = cache_core::ports::LeaseManager::create(memory.leases.as_ref(), Default::default()).await.unwrap();
        let put = |text: &'static str| {
            let (content, lease) = (memory.content.clone(), lease.clone());
            async move {
                use cache_core::ports::{Begun, Expected, Ingester, Start};
                let begun = content.begin(&lease, text, Expected::UNKNOWN, Start::Fresh).await.unwrap();
                let Begun::Started(mut ingest) = begun else { panic!("nothing is expected") };
                ingest.write(text.into()).await.unwrap();
                ingest.commit(None, Labels::new()).await.unwrap();
                Descriptor::of(MediaType::OCI_MANIFEST, text.as_bytes())
            }
        };
        let (old, new) = (put("old").await, put("new").await);
        let labels = |value: &str| Labels::from([("k".to_owned(), value.to_owned())]);
        name_image(memory.images.as_ref(), "x", &old, &labels("1")).await.unwrap();
        name_image(memory.images.as_ref(), "x", &new, &labels("2")).await.unwrap();
        let image = memory.images.get("x").await.unwrap().unwrap();
        assert_eq!((image.target, image.labels), (new, labels("2")));
    });
}
