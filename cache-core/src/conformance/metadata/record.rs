//! Single records.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::conformance::Outcome;
use crate::conformance::metadata::{MetadataSubject, delete, put, put_indexed, shared, unique};
use crate::conformance::require::{require, require_equal};
use crate::conformance::sample::sample;
use crate::ports::{MetadataChange, Precondition};

/// A record has the value that was put last and all its index entries, sorted.
pub async fn what_was_put_is_there(subject: MetadataSubject) -> Outcome {
    let entries = vec![shared("b", "2"), unique("a", "1"), shared("b", "1"), shared("a", "0")];
    let mut sorted = entries.clone();
    sorted.sort();
    subject.apply(vec![put_indexed("key", "first", entries, Precondition::Any)]).await?;
    let record = subject.record("key").await?;
    require_equal(&record.key.as_str(), &"key", "a record knows its key")?;
    require_equal(&record.value, &Bytes::from_static(b"first"), "a record has the value that was put")?;
    require_equal(&record.indexes, &sorted, "a record has its index entries, sorted")?;
    subject.apply(vec![put_indexed("key", "second", vec![shared("c", "3")], Precondition::Any)]).await?;
    let record = subject.record("key").await?;
    require_equal(&record.value, &Bytes::from_static(b"second"), "a later value replaces the earlier one")?;
    require_equal(&record.indexes, &vec![shared("c", "3")], "later index entries replace the earlier ones")
}

/// Any text is a key, different texts are different keys, and any bytes are a value.
pub async fn keys_and_values_are_opaque(subject: MetadataSubject) -> Outcome {
    let long = "k".repeat(2000);
    let keys = [
        "",
        ".",
        "..",
        "a/b",
        "A",
        "a",
        "a\0b",
        "a ",
        "ключ",
        "a\u{301}",
        "\u{e1}",
        "'; DROP TABLE records; --",
        "%",
        "_",
        "*",
        "\u{10ffff}",
        long.as_str(),
    ];
    let value = |key: &str| Bytes::from([&[0xff, 0, 0x80, b'\n'], key.as_bytes()].concat());
    let puts = keys.map(|key| MetadataChange::Put {
        key: key.to_owned(),
        value: value(key),
        indexes: vec![unique("by key", key)],
        precondition: Precondition::Absent,
    });
    subject.apply(puts.into()).await?;
    for key in keys {
        let record = subject.record(key).await?;
        require(record.key == key, "a record knows its key")?;
        require(record.value == value(key), "no two keys share a value, and no byte is changed")?;
        require(record.indexes == [unique("by key", key)], "no two keys share index entries")?;
    }
    subject
        .apply(vec![MetadataChange::Put {
            key: "a".to_owned(),
            value: Bytes::new(),
            indexes: Vec::new(),
            precondition: Precondition::Present,
        }])
        .await?;
    require_equal(&subject.record("a").await?.value, &Bytes::new(), "a value may be empty")
}

/// There is no record of a key that was never put.
pub async fn an_absent_record_is_none(subject: MetadataSubject) -> Outcome {
    subject.apply(vec![put("key", "value", Precondition::Any)]).await?;
    for absent in ["", "ke", "key2", "KEY"] {
        require_equal(&subject.store.get(absent).await?, &None, "an absent record is none")?;
    }
    Ok(())
}

/// Every put raises the revision, also one that puts the same; nothing else does.
pub async fn every_change_raises_the_revision(subject: MetadataSubject) -> Outcome {
    let mut last = 0;
    for (number, value) in ["a", "b", "b", "a"].into_iter().enumerate() {
        subject.apply(vec![put("key", value, Precondition::Any)]).await?;
        let revision = subject.record("key").await?.revision;
        require(number == 0 || revision > last, "a put raises the revision")?;
        last = revision;
        subject.apply(vec![put("other", value, Precondition::Any)]).await?;
        require_equal(&subject.record("key").await?.revision, &last, "another record's put raises nothing here")?;
    }
    Ok(())
}

/// A record that comes back after its deletion has a revision that no record of the key had.
pub async fn no_later_record_has_an_earlier_revision(subject: MetadataSubject) -> Outcome {
    let mut seen = BTreeSet::new();
    for _ in 0..5 {
        subject.apply(vec![put("key", "value", Precondition::Absent)]).await?;
        let revision = subject.record("key").await?.revision;
        require(seen.last().is_none_or(|last| revision > *last), "revisions of a key only rise")?;
        seen.insert(revision);
        subject.apply(vec![delete("key", Precondition::Revision(revision))]).await?;
    }
    Ok(())
}

/// A deletion removes the record; one of what is not there is no error.
pub async fn a_deleted_record_is_gone(subject: MetadataSubject) -> Outcome {
    let puts = ["a", "b"].map(|key| put(key, key, Precondition::Any));
    subject.apply(puts.into()).await?;
    for _ in 0..2 {
        subject.apply(vec![delete("a", Precondition::Any)]).await?;
        require_equal(&subject.store.get("a").await?, &None, "a deleted record is gone")?;
    }
    require_equal(&subject.record("b").await?.value, &Bytes::from_static(b"b"), "another record stays")
}

/// A value of a mebibyte comes back whole.
pub async fn a_large_value_is_whole(subject: MetadataSubject) -> Outcome {
    let value = sample(1, 1 << 20);
    subject
        .apply(vec![MetadataChange::Put {
            key: "key".to_owned(),
            value: value.clone(),
            indexes: Vec::new(),
            precondition: Precondition::Any,
        }])
        .await?;
    require(subject.record("key").await?.value == value, "a large value comes back whole")
}
