//! Batches: all changes or none.

use bytes::Bytes;
use futures::future::try_join_all;

use crate::conformance::executor::pause;
use crate::conformance::metadata::{MetadataSubject, check, delete, put, put_indexed, shared, unique};
use crate::conformance::require::{require, require_equal};
use crate::conformance::{Outcome, Unmet};
use crate::ports::{BatchOutcome, IndexQuery, MetadataChange, Precondition};

fn refused(key: &str) -> BatchOutcome {
    BatchOutcome::Refused { key: key.to_owned() }
}

/// Of several changes of a record the last one counts.
pub async fn changes_are_made_in_their_order(subject: MetadataSubject) -> Outcome {
    subject
        .apply(vec![
            put("twice", "first", Precondition::Any),
            put("twice", "second", Precondition::Any),
            put("gone", "first", Precondition::Any),
            delete("gone", Precondition::Any),
            delete("back", Precondition::Any),
            put("back", "first", Precondition::Any),
        ])
        .await?;
    let values = subject.values(&["twice", "gone", "back"]).await?;
    let wanted = [Some("second"), None, Some("first")].map(|value| value.map(Bytes::from)).to_vec();
    require_equal(&values, &wanted, "the last change of a record counts")
}

/// Where one change is refused, those before and after it are not made, in records and indexes alike.
pub async fn a_refused_batch_changes_nothing(subject: MetadataSubject) -> Outcome {
    let taken = put_indexed("taken", "0", vec![unique("u", "taken"), shared("s", "old")], Precondition::Any);
    subject.apply(vec![taken, put("deleted", "0", Precondition::Any)]).await?;
    let keys = ["new", "taken", "deleted", "late"];
    let before: Vec<_> = try_join_all(keys.map(|key| subject.store.get(key))).await?;
    let refusals = [
        put("refused", "1", Precondition::Present),
        put_indexed("refused", "1", vec![unique("u", "taken")], Precondition::Any),
        delete("refused", Precondition::Revision(1)),
        check("refused", Precondition::Present),
        check("new", Precondition::Absent),
    ];
    for refusal in refusals {
        let outcome = subject
            .store
            .apply(vec![
                put_indexed("new", "1", vec![shared("s", "new")], Precondition::Any),
                put_indexed("taken", "1", vec![unique("u", "taken"), shared("s", "new")], Precondition::Any),
                delete("deleted", Precondition::Any),
                refusal,
                put("late", "1", Precondition::Any),
            ])
            .await?;
        require(matches!(outcome, BatchOutcome::Refused { .. }), "the batch is refused")?;
        let after: Vec<_> = try_join_all(keys.map(|key| subject.store.get(key))).await?;
        require_equal(&after, &before, "a refused batch changes no record")?;
        for (value, count) in [("new", 0), ("old", 1)] {
            let query = IndexQuery::Exact { index: "s".to_owned(), value: value.to_owned() };
            require_equal(&subject.store.find(&query).await?.len(), &count, "a refused batch changes no index")?;
        }
    }
    Ok(())
}

/// A refusal names the key of the first change that was refused.
pub async fn a_refusal_names_the_key(subject: MetadataSubject) -> Outcome {
    subject.apply(vec![put_indexed("there", "0", vec![unique("u", "1")], Precondition::Any)]).await?;
    let batches = [
        (vec![put("fine", "1", Precondition::Any), put("there", "1", Precondition::Absent)], "there"),
        (vec![check("absent", Precondition::Present), put("there", "1", Precondition::Absent)], "absent"),
        (vec![put_indexed("second", "1", vec![unique("u", "1")], Precondition::Any)], "second"),
        (vec![put("fine", "1", Precondition::Any), delete("absent", Precondition::Present)], "absent"),
    ];
    for (batch, key) in batches {
        require_equal(&subject.store.apply(batch).await?, &refused(key), "a refusal names the key")?;
    }
    Ok(())
}

/// Each precondition holds or not, for a record that is there and one that is not, in each kind of change.
pub async fn every_precondition_is_heeded(subject: MetadataSubject) -> Outcome {
    let changes: [fn(&str, Precondition) -> MetadataChange; 3] =
        [|key, precondition| put(key, "new", precondition), delete, check];
    for change in changes {
        subject.apply(vec![put("there", "0", Precondition::Any), delete("absent", Precondition::Any)]).await?;
        let revision = subject.record("there").await?.revision;
        let table = [
            ("there", Precondition::Absent, false),
            ("there", Precondition::Revision(revision + 1), false),
            ("there", Precondition::Revision(revision.wrapping_sub(1)), false),
            ("there", Precondition::Revision(revision), true),
            ("absent", Precondition::Present, false),
            ("absent", Precondition::Revision(revision), false),
            ("absent", Precondition::Revision(0), false),
            ("absent", Precondition::Absent, true),
        ];
        for (key, precondition, holds) in table {
            let outcome = subject.store.apply(vec![change(key, precondition)]).await?;
            let wanted = if holds { BatchOutcome::Applied } else { refused(key) };
            require_equal(&outcome, &wanted, &format!("{precondition:?} of a record that is {key}"))?;
        }
        for precondition in [Precondition::Present, Precondition::Any] {
            subject.apply(vec![put("there", "0", Precondition::Any), change("there", precondition)]).await?;
        }
    }
    Ok(())
}

/// A precondition sees what earlier changes of its batch made.
pub async fn preconditions_see_earlier_changes(subject: MetadataSubject) -> Outcome {
    subject
        .apply(vec![
            check("key", Precondition::Absent),
            put("key", "1", Precondition::Absent),
            check("key", Precondition::Present),
            delete("key", Precondition::Present),
            put("key", "2", Precondition::Absent),
        ])
        .await?;
    let twice = vec![put("new", "1", Precondition::Absent), put("new", "2", Precondition::Absent)];
    require_equal(&subject.store.apply(twice).await?, &refused("new"), "the second change sees the first")?;
    let values = subject.values(&["key", "new"]).await?;
    require_equal(&values, &vec![Some(Bytes::from_static(b"2")), None], "the batches did what they said")
}

/// No changes are always made.
pub async fn an_empty_batch_is_applied(subject: MetadataSubject) -> Outcome {
    subject.apply(Vec::new()).await
}

/// Writers that change one record by its revision, at the same time, lose no change.
pub async fn of_many_writers_each_change_counts(subject: MetadataSubject) -> Outcome {
    const WRITERS: usize = 8;
    const CHANGES: usize = 5;
    subject.apply(vec![put("counter", "", Precondition::Absent)]).await?;
    let writers = (0..WRITERS).map(|_| async {
        for _ in 0..CHANGES {
            loop {
                let record = subject.record("counter").await?;
                let change = MetadataChange::Put {
                    key: record.key,
                    value: [record.value.as_ref(), b"."].concat().into(),
                    indexes: Vec::new(),
                    precondition: Precondition::Revision(record.revision),
                };
                // Another writer is to get its turn between this one's look and its change.
                pause().await;
                if subject.store.apply(vec![change]).await? == BatchOutcome::Applied {
                    break;
                }
            }
        }
        Ok::<(), Unmet>(())
    });
    try_join_all(writers).await?;
    let counted = subject.record("counter").await?.value.len();
    require_equal(&counted, &(WRITERS * CHANGES), "no writer overwrites another's change")
}

/// A batch that is dropped at its first wait made all its changes or none.
pub async fn a_dropped_batch_is_whole_or_nothing(subject: MetadataSubject) -> Outcome {
    let keys: Vec<_> = (0..50).map(|number| format!("key {number}")).collect();
    let changes = keys.iter().map(|key| put(key, "value", Precondition::Any)).collect();
    let mut batch = subject.store.apply(changes);
    let _ = futures::poll!(batch.as_mut());
    drop(batch);
    let first = subject.store.find(&IndexQuery::Keys { prefix: "key ".to_owned() }).await?.len();
    require([0, keys.len()].contains(&first), "a dropped batch is made wholly or not at all")?;
    subject.apply(vec![put("later", "value", Precondition::Any)]).await?;
    let second = subject.store.find(&IndexQuery::Keys { prefix: "key ".to_owned() }).await?.len();
    require([first, keys.len()].contains(&second), "a dropped batch is made wholly or not at all")
}
