//! A suite that says whether a key storage keeps the contract of [`CacheKeyWriter`].
//!
//! [`key_storage_conformance!`](crate::key_storage_conformance) takes a factory of fresh, empty storages and makes one
//! `#[test]` of every check:
//!
//! ```
//! cache_remote::key_storage_conformance!(cache_remote::MemoryKeys::new);
//! # fn main() {}
//! ```
//!
//! Mirrors: BuildKit `solver/testutil/cachestorage_testsuite.go`, `RunCacheStorageTests`.

use std::collections::BTreeSet;
use std::fmt::Debug;

use cache_core::{Digest, Error, Timestamp};

use crate::key_storage::{CacheKeyWriter, KeyId, KeyLink, ResultId, StoredResult};

/// How a check ended.
pub type Outcome = Result<(), Violation>;

/// A broken promise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// An answer was not the promised one.
    #[error("{promise}: {found}")]
    Answer {
        /// What was promised.
        promise: &'static str,
        /// What was found instead.
        found: String,
    },
    /// A call failed that must succeed.
    #[error("a call failed that must succeed")]
    Failed(#[from] Error),
}

/// One `#[test]` for every check of [`conformance`](crate::conformance), each on a fresh storage of the given factory.
#[macro_export]
macro_rules! key_storage_conformance {
    ($factory:expr) => {
        $crate::key_storage_conformance!(@ $factory;
            an_unknown_record_has_nothing,
            a_result_makes_its_record_and_is_found_by_name,
            a_result_of_the_same_name_is_replaced,
            a_link_is_followed_by_all_of_its_parts,
            one_link_leads_to_several_records,
            backlinks_name_every_source_and_link,
            records_are_found_by_their_result,
            releasing_a_result_takes_it_from_every_record,
            a_record_without_use_goes_with_its_last_result,
            a_record_that_leads_to_others_stays_without_result,
            a_chain_without_use_goes_from_its_end,
            releasing_an_unknown_result_changes_nothing,
        );
    };
    (@ $factory:expr; $($check:ident,)*) => {
        $(
            #[test]
            fn $check() -> ::std::result::Result<(), $crate::conformance::Violation> {
                let storage = ($factory)();
                $crate::conformance::block_on($crate::conformance::$check(&storage))
            }
        )*
    };
}

#[doc(hidden)]
pub use cache_core::conformance::block_on;

fn key(name: &str) -> KeyId {
    KeyId::new(Digest::of(name))
}

fn result(name: &str) -> StoredResult {
    StoredResult { id: ResultId::new(Digest::of(name)), created_at: Timestamp::UNIX_EPOCH }
}

fn link(input: u32, selector: &str, name: &str, output: i64) -> KeyLink {
    KeyLink::new(input, selector, &Digest::of(name), output)
}

/// Requires that `found` holds just `wanted`, each once.
fn same<T: Ord + Debug>(found: Vec<T>, wanted: Vec<T>, promise: &'static str) -> Outcome {
    let (count, found, wanted) = (found.len(), BTreeSet::from_iter(found), wanted.into_iter().collect::<BTreeSet<_>>());
    if count == wanted.len() && found == wanted {
        return Ok(());
    }
    Err(Violation::Answer { promise, found: format!("{count} answers {found:?} in the place of {wanted:?}") })
}

fn equal<T: PartialEq + Debug>(found: T, wanted: T, promise: &'static str) -> Outcome {
    if found == wanted { Ok(()) } else { Err(Violation::Answer { promise, found: format!("{found:?}") }) }
}

async fn results(storage: &dyn CacheKeyWriter, name: &str) -> Result<Vec<ResultId>, Error> {
    Ok(storage.results(&key(name)).await?.into_iter().map(|result| result.id).collect())
}

/// Every question about an unknown record has an empty answer.
pub async fn an_unknown_record_has_nothing(storage: &dyn CacheKeyWriter) -> Outcome {
    let unknown = key("unknown");
    equal(storage.exists(&unknown).await?, false, "an unknown record does not exist")?;
    same(storage.keys().await?, vec![], "an empty storage lists nothing")?;
    same(results(storage, "unknown").await?, vec![], "an unknown record has no results")?;
    equal(storage.result(&unknown, &result("r").id).await?, None, "an unknown record has no result")?;
    same(storage.links(&unknown, &link(0, "", "x", 0)).await?, vec![], "an unknown record leads nowhere")?;
    same(storage.backlinks(&unknown).await?, vec![], "nothing leads to an unknown record")?;
    same(storage.keys_of_result(&result("r").id).await?, vec![], "no record has an unknown result")
}

/// Results are listed and found one by one.
pub async fn a_result_makes_its_record_and_is_found_by_name(storage: &dyn CacheKeyWriter) -> Outcome {
    let (one, two) = (result("one"), result("two"));
    storage.add_result(&key("a"), one).await?;
    storage.add_result(&key("a"), two).await?;
    storage.add_result(&key("b"), one).await?;
    same(storage.keys().await?, vec![key("a"), key("b")], "a result makes its record")?;
    same(results(storage, "a").await?, vec![one.id, two.id], "every result is listed")?;
    same(results(storage, "b").await?, vec![one.id], "each record has its own results")?;
    equal(storage.result(&key("a"), &two.id).await?, Some(two), "a result is found by its name")?;
    equal(storage.result(&key("b"), &two.id).await?, None, "another record's result is not found")
}

/// The last one counts.
pub async fn a_result_of_the_same_name_is_replaced(storage: &dyn CacheKeyWriter) -> Outcome {
    let later = StoredResult { created_at: Timestamp::zero(), ..result("one") };
    storage.add_result(&key("a"), result("one")).await?;
    storage.add_result(&key("a"), later).await?;
    same(results(storage, "a").await?, vec![later.id], "a result is listed once")?;
    equal(storage.result(&key("a"), &later.id).await?, Some(later), "the last result of a name counts")
}

/// Input, selector, digest and output all count.
pub async fn a_link_is_followed_by_all_of_its_parts(storage: &dyn CacheKeyWriter) -> Outcome {
    let taken = link(1, "/app", "op", 0);
    storage.add_link(&key("a"), &taken, &key("target")).await?;
    same(storage.keys().await?, vec![key("a"), key("target")], "a link makes both of its records")?;
    same(storage.links(&key("a"), &taken).await?, vec![key("target")], "a link leads to its target")?;
    for other in [link(0, "/app", "op", 0), link(1, "", "op", 0), link(1, "/app", "other", 0), link(1, "/app", "op", 1)]
    {
        same(storage.links(&key("a"), &other).await?, vec![], "a link that differs in one part leads nowhere")?;
    }
    same(storage.links(&key("target"), &taken).await?, vec![], "a link leads one way")
}

/// Adding a link twice is adding it once.
pub async fn one_link_leads_to_several_records(storage: &dyn CacheKeyWriter) -> Outcome {
    let taken = link(0, "", "op", 0);
    for target in ["x", "y", "x"] {
        storage.add_link(&key("a"), &taken, &key(target)).await?;
    }
    same(storage.links(&key("a"), &taken).await?, vec![key("x"), key("y")], "a link leads to all of its targets")
}

/// Links are found from their other end.
pub async fn backlinks_name_every_source_and_link(storage: &dyn CacheKeyWriter) -> Outcome {
    let (fast, slow) = (link(0, "/app", "op", 0), link(0, "", "op", 0));
    storage.add_link(&key("a"), &fast, &key("target")).await?;
    storage.add_link(&key("b"), &slow, &key("target")).await?;
    storage.add_link(&key("b"), &slow, &key("other")).await?;
    let found = storage.backlinks(&key("target")).await?;
    same(found, vec![(key("a"), fast), (key("b"), slow.clone())], "backlinks name source and link")?;
    same(storage.backlinks(&key("other")).await?, vec![(key("b"), slow)], "each record has its own backlinks")?;
    same(storage.backlinks(&key("a")).await?, vec![], "a source has no backlinks")
}

/// One result may be that of several records.
pub async fn records_are_found_by_their_result(storage: &dyn CacheKeyWriter) -> Outcome {
    for (name, id) in [("a", "one"), ("b", "one"), ("c", "two")] {
        storage.add_result(&key(name), result(id)).await?;
    }
    let of = storage.keys_of_result(&result("one").id).await?;
    same(of, vec![key("a"), key("b")], "every record of a result is found")?;
    same(storage.keys_of_result(&result("two").id).await?, vec![key("c")], "and only those")
}

/// A released result is nowhere.
pub async fn releasing_a_result_takes_it_from_every_record(storage: &dyn CacheKeyWriter) -> Outcome {
    for (name, id) in [("a", "one"), ("a", "two"), ("b", "one"), ("b", "two")] {
        storage.add_result(&key(name), result(id)).await?;
    }
    storage.release(&result("one").id).await?;
    for name in ["a", "b"] {
        same(results(storage, name).await?, vec![result("two").id], "the released result alone is gone")?;
        equal(storage.result(&key(name), &result("one").id).await?, None, "a released result is not found")?;
    }
    same(storage.keys_of_result(&result("one").id).await?, vec![], "a released result has no records")
}

/// A record is kept for its results or for what it leads to.
pub async fn a_record_without_use_goes_with_its_last_result(storage: &dyn CacheKeyWriter) -> Outcome {
    storage.add_result(&key("a"), result("one")).await?;
    storage.add_result(&key("a"), result("two")).await?;
    storage.release(&result("one").id).await?;
    equal(storage.exists(&key("a")).await?, true, "a record with a result stays")?;
    storage.release(&result("two").id).await?;
    equal(storage.exists(&key("a")).await?, false, "a record goes with its last result")?;
    same(storage.keys().await?, vec![], "a record that went is not listed")
}

/// What is needed to find a result stays.
pub async fn a_record_that_leads_to_others_stays_without_result(storage: &dyn CacheKeyWriter) -> Outcome {
    let taken = link(0, "", "op", 0);
    storage.add_result(&key("a"), result("one")).await?;
    storage.add_link(&key("a"), &taken, &key("target")).await?;
    storage.add_result(&key("target"), result("two")).await?;
    storage.release(&result("one").id).await?;
    equal(storage.exists(&key("a")).await?, true, "a record that leads to a result stays")?;
    same(storage.links(&key("a"), &taken).await?, vec![key("target")], "and so does its link")?;
    storage.release(&result("two").id).await?;
    same(storage.keys().await?, vec![], "nothing stays that leads to no result")
}

/// Records go from the end of a chain to its beginning, as far as nothing else needs them.
pub async fn a_chain_without_use_goes_from_its_end(storage: &dyn CacheKeyWriter) -> Outcome {
    let taken = link(0, "", "op", 0);
    for (from, to) in [("a", "b"), ("b", "c"), ("b", "d"), ("c", "e")] {
        storage.add_link(&key(from), &taken, &key(to)).await?;
    }
    storage.add_result(&key("d"), result("kept")).await?;
    storage.add_result(&key("e"), result("gone")).await?;
    storage.release(&result("gone").id).await?;
    same(storage.keys().await?, vec![key("a"), key("b"), key("d")], "what leads to a result stays, the rest goes")?;
    same(storage.links(&key("b"), &taken).await?, vec![key("d")], "links to what went are gone")?;
    storage.release(&result("kept").id).await?;
    same(storage.keys().await?, vec![], "without results nothing is left")
}

/// Releasing is not an error when there is nothing to release.
pub async fn releasing_an_unknown_result_changes_nothing(storage: &dyn CacheKeyWriter) -> Outcome {
    storage.add_result(&key("a"), result("one")).await?;
    storage.release(&result("unknown").id).await?;
    same(results(storage, "a").await?, vec![result("one").id], "other results stay")
}
