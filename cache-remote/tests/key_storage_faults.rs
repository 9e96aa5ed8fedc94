//! Every check of the suite for key storages can fail.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use async_trait::async_trait;
use cache_core::Result;
use cache_remote::conformance::{self, Violation, block_on};
use cache_remote::{CacheKeyStorage, CacheKeyWriter, KeyId, KeyLink, MemoryKeys, ResultId, StoredResult};

/// The promise that a [`Broken`] storage breaks.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    InventsResults,
    ForgetsResults,
    KeepsTheFirstResult,
    IgnoresSelectors,
    KeepsTheLastTarget,
    HidesBacklinks,
    HidesRecordsOfResults,
    ReleasesNothing,
    ReleasesResultsOnly,
    ReleasesEverything,
}

#[derive(Debug)]
struct Broken {
    inner: MemoryKeys,
    fault: Fault,
}

impl Broken {
    fn breaks(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn link(&self, link: &KeyLink) -> KeyLink {
        let mut link = link.clone();
        if self.breaks(Fault::IgnoresSelectors) {
            link.selector.clear();
        }
        link
    }
}

#[async_trait]
impl CacheKeyStorage for Broken {
    async fn exists(&self, key: &KeyId) -> Result<bool> {
        self.inner.exists(key).await
    }

    async fn keys(&self) -> Result<Vec<KeyId>> {
        self.inner.keys().await
    }

    async fn results(&self, key: &KeyId) -> Result<Vec<StoredResult>> {
        let mut results = self.inner.results(key).await?;
        if self.breaks(Fault::InventsResults) {
            let id = ResultId::new(*key.digest());
            results.push(StoredResult { id, created_at: cache_core::Timestamp::zero() });
        }
        results.truncate(if self.breaks(Fault::ForgetsResults) { 1 } else { usize::MAX });
        Ok(results)
    }

    async fn result(&self, key: &KeyId, result: &ResultId) -> Result<Option<StoredResult>> {
        self.inner.result(key, result).await
    }

    async fn keys_of_result(&self, result: &ResultId) -> Result<Vec<KeyId>> {
        let mut keys = self.inner.keys_of_result(result).await?;
        keys.truncate(if self.breaks(Fault::HidesRecordsOfResults) { 1 } else { usize::MAX });
        Ok(keys)
    }

    async fn links(&self, key: &KeyId, link: &KeyLink) -> Result<Vec<KeyId>> {
        let mut targets = self.inner.links(key, &self.link(link)).await?;
        targets.truncate(if self.breaks(Fault::KeepsTheLastTarget) { 1 } else { usize::MAX });
        Ok(targets)
    }

    async fn backlinks(&self, key: &KeyId) -> Result<Vec<(KeyId, KeyLink)>> {
        let mut links = self.inner.backlinks(key).await?;
        links.truncate(if self.breaks(Fault::HidesBacklinks) { 1 } else { usize::MAX });
        Ok(links)
    }
}

#[async_trait]
impl CacheKeyWriter for Broken {
    async fn add_result(&self, key: &KeyId, result: StoredResult) -> Result<()> {
        if self.breaks(Fault::KeepsTheFirstResult) && self.inner.result(key, &result.id).await?.is_some() {
            return Ok(());
        }
        self.inner.add_result(key, result).await
    }

    async fn add_link(&self, key: &KeyId, link: &KeyLink, target: &KeyId) -> Result<()> {
        self.inner.add_link(key, &self.link(link), target).await
    }

    async fn release(&self, result: &ResultId) -> Result<()> {
        match self.fault {
            Fault::ReleasesNothing => Ok(()),
            Fault::ReleasesEverything => {
                for key in self.inner.keys().await? {
                    for result in self.inner.results(&key).await? {
                        self.inner.release(&result.id).await?;
                    }
                }
                Ok(())
            }
            // Records that another one leads to stay, for they lead back.
            Fault::ReleasesResultsOnly => {
                for key in self.inner.keys_of_result(result).await? {
                    let link = KeyLink::new(0, "never taken", key.digest(), 0);
                    self.inner.add_link(&key, &link, &KeyId::new(*result.digest())).await?;
                }
                self.inner.release(result).await
            }
            _ => self.inner.release(result).await,
        }
    }
}

macro_rules! each_is_caught {
    ($($check:ident by $fault:ident,)*) => {
        $(
            #[test]
            fn $check() {
                let storage = Broken { inner: MemoryKeys::new(), fault: Fault::$fault };
                let outcome = block_on(conformance::$check(&storage));
                assert!(matches!(outcome, Err(Violation::Answer { .. })), "{outcome:?}");
            }
        )*
    };
}

each_is_caught! {
    an_unknown_record_has_nothing by InventsResults,
    a_result_makes_its_record_and_is_found_by_name by ForgetsResults,
    a_result_of_the_same_name_is_replaced by KeepsTheFirstResult,
    a_link_is_followed_by_all_of_its_parts by IgnoresSelectors,
    one_link_leads_to_several_records by KeepsTheLastTarget,
    backlinks_name_every_source_and_link by HidesBacklinks,
    records_are_found_by_their_result by HidesRecordsOfResults,
    releasing_a_result_takes_it_from_every_record by ReleasesNothing,
    a_record_without_use_goes_with_its_last_result by ReleasesResultsOnly,
    a_record_that_leads_to_others_stays_without_result by ReleasesResultsOnly,
    a_chain_without_use_goes_from_its_end by ReleasesResultsOnly,
    releasing_an_unknown_result_changes_nothing by ReleasesEverything,
}
