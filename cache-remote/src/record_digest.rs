//! Digests that tell records apart by all that they are made of.

use cache_core::{Digest, DigestHasher};

use crate::chains::{CacheChains, ItemId};

impl CacheChains {
    /// For every record a digest of its own digest and of everything that it links to; by [`ItemId::index`]. That of a
    /// source is its own. Equal records of different caches have equal ones.
    pub(crate) fn record_digests(&self) -> Vec<Option<Digest>> {
        let mut digests = vec![None; self.graph.len()];
        for item in self.graph.sources_first() {
            digests[item.index()] = Some(self.record_digest(item, &digests));
        }
        digests
    }

    fn record_digest(&self, item: ItemId, known: &[Option<Digest>]) -> Digest {
        let (own, slots) = (self.graph.digest(item), self.graph.slots(item));
        if slots.is_empty() {
            return own;
        }
        let mut hasher = DigestHasher::default();
        let mut text = |text: &str| {
            hasher.update(&(text.len() as u64).to_be_bytes());
            hasher.update(text.as_bytes());
        };
        text("layercache record");
        text(&own.to_string());
        for slot in slots {
            let mut links: Vec<_> = slot
                .iter()
                .map(|(source, selector)| {
                    let source = known[source.index()].expect("sources come before what links to them");
                    (source, self.graph.selector_text(*selector))
                })
                .collect();
            links.sort();
            text(&links.len().to_string());
            for (source, selector) in links {
                text(&source.to_string());
                text(selector);
            }
        }
        hasher.finish()
    }
}
