//! Finding records.

use crate::conformance::metadata::{MetadataSubject, delete, put_indexed, shared, unique};
use crate::conformance::require::require_equal;
use crate::conformance::{Outcome, Unmet};
use crate::ports::{BatchOutcome, IndexQuery, Precondition};

impl MetadataSubject {
    async fn found(&self, query: IndexQuery) -> Result<Vec<String>, Unmet> {
        Ok(self.store.find(&query).await?.into_iter().map(|record| record.key).collect())
    }

    async fn exact(&self, index: &str, value: &str) -> Result<Vec<String>, Unmet> {
        self.found(IndexQuery::Exact { index: index.to_owned(), value: value.to_owned() }).await
    }

    async fn prefix(&self, index: &str, prefix: &str) -> Result<Vec<String>, Unmet> {
        self.found(IndexQuery::Prefix { index: index.to_owned(), prefix: prefix.to_owned() }).await
    }

    async fn keys(&self, prefix: &str) -> Result<Vec<String>, Unmet> {
        self.found(IndexQuery::Keys { prefix: prefix.to_owned() }).await
    }
}

fn strings(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

/// An exact value finds the records that have it in that index, whole, and no others.
pub async fn exact_values_are_found(subject: MetadataSubject) -> Outcome {
    let any = Precondition::Any;
    subject
        .apply(vec![
            put_indexed("1", "one", vec![shared("i", "a"), shared("j", "b")], any),
            put_indexed("2", "two", vec![shared("i", "b")], any),
            put_indexed("3", "three", vec![shared("i", "a"), shared("i", "b")], any),
            put_indexed("4", "four", vec![], any),
        ])
        .await?;
    require_equal(&subject.exact("i", "a").await?, &strings(&["1", "3"]), "an exact value finds its records")?;
    require_equal(&subject.exact("i", "b").await?, &strings(&["2", "3"]), "a record is found by each value")?;
    require_equal(&subject.exact("j", "b").await?, &strings(&["1"]), "indexes are apart")?;
    for (index, value) in [("i", "A"), ("i", ""), ("j", "a"), ("k", "a"), ("", "a")] {
        require_equal(&subject.exact(index, value).await?, &strings(&[]), "what nobody has finds nothing")?;
    }
    let query = IndexQuery::Exact { index: "j".to_owned(), value: "b".to_owned() };
    require_equal(&subject.store.find(&query).await?, &vec![subject.record("1").await?], "a found record is whole")
}

/// A prefix finds the records of the index whose value starts with it; the empty one finds all of the index.
pub async fn prefixes_are_found(subject: MetadataSubject) -> Outcome {
    let any = Precondition::Any;
    let values = ["", "a", "ab", "abc", "b", "ab\u{10ffff}x", "ключ"];
    for (number, value) in values.into_iter().enumerate() {
        subject.apply(vec![put_indexed(&number.to_string(), value, vec![shared("i", value)], any)]).await?;
    }
    subject.apply(vec![put_indexed("other", "", vec![shared("j", "ab")], any)]).await?;
    let table: [(&str, &[&str]); 6] = [
        ("", &["0", "1", "2", "3", "4", "5", "6"]),
        ("a", &["1", "2", "3", "5"]),
        ("ab", &["2", "3", "5"]),
        ("ab\u{10ffff}", &["5"]),
        ("кл", &["6"]),
        ("abcd", &[]),
    ];
    for (prefix, wanted) in table {
        require_equal(&subject.prefix("i", prefix).await?, &strings(wanted), "a prefix finds what starts with it")?;
    }
    Ok(())
}

/// Characters that some query languages read as patterns are only themselves.
pub async fn prefixes_are_no_patterns(subject: MetadataSubject) -> Outcome {
    let any = Precondition::Any;
    let values = ["%x", "_x", "*x", "?x", "[x", "\\x", "'x", "xx", "Xx"];
    for value in values {
        subject.apply(vec![put_indexed(value, value, vec![shared("i", value)], any)]).await?;
    }
    for value in values {
        let first: String = value.chars().take(1).collect();
        require_equal(&subject.prefix("i", &first).await?, &strings(&[value]), "a prefix is no pattern")?;
        require_equal(&subject.keys(&first).await?, &strings(&[value]), "a prefix of keys is no pattern")?;
    }
    Ok(())
}

/// Records are found by how their key starts.
pub async fn keys_are_found_by_prefix(subject: MetadataSubject) -> Outcome {
    let any = Precondition::Any;
    let puts = ["a", "a/1", "a/2", "a0", "b"].map(|key| put_indexed(key, key, vec![shared("i", "a/")], any));
    subject.apply(puts.into()).await?;
    let table: [(&str, &[&str]); 4] =
        [("", &["a", "a/1", "a/2", "a0", "b"]), ("a", &["a", "a/1", "a/2", "a0"]), ("a/", &["a/1", "a/2"]), ("c", &[])];
    for (prefix, wanted) in table {
        require_equal(&subject.keys(prefix).await?, &strings(wanted), "a prefix finds the keys that start with it")?;
    }
    Ok(())
}

/// What is found comes sorted by key, and once, however many of a record's values are meant.
pub async fn what_is_found_is_sorted_and_told_once(subject: MetadataSubject) -> Outcome {
    let any = Precondition::Any;
    for (key, first, second) in [("c", "x1", "x4"), ("a", "x3", "x2"), ("b", "x2", "x9"), ("B", "x0", "x5")] {
        subject.apply(vec![put_indexed(key, "", vec![shared("i", first), shared("i", second)], any)]).await?;
    }
    let sorted = strings(&["B", "a", "b", "c"]);
    require_equal(&subject.prefix("i", "x").await?, &sorted, "what a prefix finds is sorted and told once")?;
    require_equal(&subject.keys("").await?, &sorted, "what keys find is sorted")?;
    require_equal(&subject.exact("i", "x2").await?, &strings(&["a", "b"]), "what a value finds is sorted")
}

/// Index entries come and go with the put or the deletion of their record.
pub async fn entries_follow_their_record(subject: MetadataSubject) -> Outcome {
    let any = Precondition::Any;
    subject.apply(vec![put_indexed("key", "1", vec![shared("i", "old"), unique("u", "old")], any)]).await?;
    subject.apply(vec![put_indexed("key", "2", vec![shared("i", "new"), unique("u", "new")], any)]).await?;
    for (value, wanted) in [("old", strings(&[])), ("new", strings(&["key"]))] {
        require_equal(&subject.exact("i", value).await?, &wanted, "entries follow the newest put")?;
        require_equal(&subject.exact("u", value).await?, &wanted, "unique entries follow the newest put")?;
    }
    subject.apply(vec![delete("key", any)]).await?;
    for index in ["i", "u"] {
        require_equal(&subject.prefix(index, "").await?, &strings(&[]), "entries go with their record")?;
    }
    let again = put_indexed("other", "1", vec![unique("u", "old"), unique("u", "new")], any);
    subject.apply(vec![again]).await
}

/// A unique value that another record has is refused; the record itself may keep it.
pub async fn a_unique_value_is_taken_once(subject: MetadataSubject) -> Outcome {
    let any = Precondition::Any;
    subject.apply(vec![put_indexed("first", "1", vec![unique("u", "v")], any)]).await?;
    let second = || put_indexed("second", "1", vec![unique("u", "v")], any);
    let refused = BatchOutcome::Refused { key: "second".to_owned() };
    require_equal(&subject.store.apply(vec![second()]).await?, &refused, "a unique value has one holder")?;
    require_equal(&subject.exact("u", "v").await?, &strings(&["first"]), "the first holder keeps it")?;
    subject.apply(vec![put_indexed("first", "2", vec![unique("u", "v")], any)]).await?;
    subject.apply(vec![put_indexed("third", "1", vec![unique("other index", "v"), unique("u", "w")], any)]).await?;
    subject.apply(vec![put_indexed("first", "3", vec![], any)]).await?;
    subject.apply(vec![second()]).await?;
    require_equal(&subject.exact("u", "v").await?, &strings(&["second"]), "a value that was given up is free")
}

/// A value that one record has as unique, no other has as shared, and the other way round.
pub async fn a_unique_value_excludes_shared_ones(subject: MetadataSubject) -> Outcome {
    let any = Precondition::Any;
    for (number, first, second) in [(1, unique("u", "1"), shared("u", "1")), (2, shared("u", "2"), unique("u", "2"))] {
        let (one, two) = (format!("{number} one"), format!("{number} two"));
        subject.apply(vec![put_indexed(&one, "", vec![first], any)]).await?;
        let outcome = subject.store.apply(vec![put_indexed(&two, "", vec![second], any)]).await?;
        require_equal(&outcome, &BatchOutcome::Refused { key: two }, "no other record has a unique value")?;
    }
    Ok(())
}

/// Within a batch a unique value can go from one record to another, if it is given up first.
pub async fn a_unique_value_can_change_hands_in_a_batch(subject: MetadataSubject) -> Outcome {
    let any = Precondition::Any;
    let put = |key: &str, value: &str| put_indexed(key, value, vec![unique("u", value)], any);
    subject.apply(vec![put("a", "1"), put("b", "2")]).await?;
    subject.apply(vec![delete("a", any), put("c", "1"), put("b", "3"), put("d", "2")]).await?;
    for (value, holder) in [("1", "c"), ("2", "d"), ("3", "b")] {
        require_equal(&subject.exact("u", value).await?, &strings(&[holder]), "a value has its new holder")?;
    }
    let too_early = vec![put("e", "3"), delete("b", any)];
    let refused = BatchOutcome::Refused { key: "e".to_owned() };
    require_equal(&subject.store.apply(too_early).await?, &refused, "a value that is not given up yet is taken")
}
