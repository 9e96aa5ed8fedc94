//! Whatever is added in whatever order, what is written is sound, and reading it changes nothing.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod support;

use cache_core::Digest;
use cache_remote::config::{CacheConfig, CacheInput, CacheRecord, ConfigLimits};
use cache_remote::{CacheChains, DescriptorPlace, LayerTable, ParseMode, RecordId, RecordLink, parse};
use proptest::collection::vec;
use proptest::prelude::*;
use support::key;

/// A record by its digest, and for each input the links: which earlier record, which selector.
type Recipe = (usize, Vec<Vec<(usize, usize)>>);

const SELECTORS: [&str; 2] = ["", "/a"];

/// Few digests and selectors, so that much is equal to something else, and depends on what is equal to it.
fn recipes() -> impl Strategy<Value = Vec<Recipe>> {
    let link = (any::<usize>(), 0..2_usize);
    let record = (0..4_usize, vec(vec(link, 1..4), 0..3));
    vec(record, 1..40)
}

/// The same, but nothing depends on a record of its own digest: each has a level above those of its inputs, and the
/// level tells digests apart.
fn levelled(recipes: &[Recipe]) -> Vec<Recipe> {
    let mut levels: Vec<usize> = Vec::new();
    let mut levelled = Vec::new();
    for (name, inputs) in recipes {
        let at = levels.len();
        let inputs = if at == 0 { Vec::new() } else { inputs.clone() };
        let sources = inputs.iter().flatten().map(|(source, _)| levels[source % at]);
        let level = sources.max().map_or(0, |level| level + 1);
        levels.push(level);
        levelled.push((name + 10 * level, inputs));
    }
    levelled
}

fn build(recipes: &[Recipe]) -> CacheChains {
    let mut chains = CacheChains::new();
    let mut made: Vec<RecordId> = Vec::new();
    for (name, inputs) in recipes {
        let inputs = if made.is_empty() { &[][..] } else { inputs };
        let links = |slot: &Vec<(usize, usize)>| -> Vec<RecordLink<'_>> {
            let link = |(at, selector): &(usize, usize)| RecordLink {
                source: made[at % made.len()],
                selector: SELECTORS[*selector],
            };
            slot.iter().map(link).collect()
        };
        let inputs: Vec<_> = inputs.iter().map(links).collect();
        made.push(chains.add(key(&name.to_string()), &inputs, &[]).unwrap().unwrap());
    }
    chains
}

fn config(chains: &CacheChains) -> CacheConfig {
    chains.marshal(DescriptorPlace::Manifest, |_| true).config
}

fn read(config: &CacheConfig, mode: ParseMode) -> CacheChains {
    parse(config, &LayerTable::new(), mode, &ConfigLimits::default()).unwrap().chains
}

/// A record as somebody else may write it: links lead anywhere.
type Foreign = (usize, Vec<Vec<(i64, usize)>>);

fn foreign(records: Vec<Foreign>) -> CacheConfig {
    let link = |(link, selector): (i64, usize)| CacheInput { selector: SELECTORS[selector].to_owned(), link };
    let record = |(name, inputs): Foreign| CacheRecord {
        digest: Digest::of(name.to_string()).into(),
        inputs: inputs.into_iter().map(|slot| slot.into_iter().map(link).collect()).collect(),
        ..CacheRecord::default()
    };
    CacheConfig { layers: Vec::new(), records: records.into_iter().map(record).collect() }
}

/// The records that can be reached at all, found the slow way.
fn usable(config: &CacheConfig) -> Vec<bool> {
    let mut usable = vec![false; config.records.len()];
    loop {
        let before = usable.clone();
        for (at, record) in config.records.iter().enumerate() {
            let met = |link: &CacheInput| {
                usize::try_from(link.link).is_ok_and(|link| before.get(link).copied().unwrap_or_default())
            };
            usable[at] = record.inputs.iter().all(|slot| slot.iter().any(met));
        }
        if usable == before {
            return usable;
        }
    }
}

/// Whether two records of one digest have a link in common in every input. The later of two such records is taken for the first one when it is
/// added; they come to be when a record is given more links. Whoever is added to both joins them, as in BuildKit.
fn has_twins(config: &CacheConfig) -> bool {
    let meet = |one: &Vec<CacheInput>, other: &Vec<CacheInput>| one.iter().any(|link| other.contains(link));
    let are_twins = |one: &CacheRecord, other: &CacheRecord| {
        one.digest == other.digest
            && one.inputs.len() == other.inputs.len()
            && one.inputs.iter().zip(&other.inputs).all(|(one, other)| meet(one, other))
    };
    let records = &config.records;
    records.iter().enumerate().any(|(at, one)| records[at + 1..].iter().any(|other| are_twins(one, other)))
}

#[test]
fn a_record_that_was_given_more_links_is_joined_with_its_twin_by_whoever_is_added_to_both() {
    // Two records apart; then links of the first that it shares with the second.
    let mut recipes = vec![
        (0, vec![]),
        (1, vec![vec![(0, 0), (0, 1)], vec![(0, 1)]]),
        (1, vec![vec![(0, 1)], vec![(0, 0)]]),
        (1, vec![vec![(0, 0)], vec![(0, 1), (0, 0)]]),
    ];
    let apart = config(&build(&recipes));
    assert_eq!(apart.records.len(), 3);
    assert!(has_twins(&apart));
    recipes.push((1, vec![vec![(0, 1)], vec![(0, 0)]]));
    let joined = config(&build(&recipes));
    assert_eq!(joined.records.len(), 2);
    assert!(!has_twins(&joined));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_built_is_sound(recipes in recipes()) {
        let first = config(&build(&recipes));
        // Strict: every link leads somewhere, no input is empty, nothing loops.
        let again = config(&read(&first, ParseMode::Strict));
        // A record that depends on its equal may turn out to be that one.
        prop_assert!(again.records.len() <= first.records.len());
        read(&again, ParseMode::Strict);
    }

    #[test]
    fn reading_what_was_built_joins_twins_and_changes_nothing_else(recipes in recipes()) {
        let first = config(&build(&levelled(&recipes)));
        let again = config(&read(&first, ParseMode::Strict));
        if has_twins(&first) {
            prop_assert!(again.records.len() <= first.records.len());
        } else {
            prop_assert_eq!(again, first);
        }
    }

    #[test]
    fn adding_everything_again_joins_twins_and_changes_nothing_else(recipes in recipes()) {
        let first = config(&build(&levelled(&recipes)));
        let mut chains = read(&first, ParseMode::Strict);
        // The config's own records, added again to the builder that has them.
        let mut made: Vec<RecordId> = Vec::new();
        let order = order(&first);
        let mut place = vec![0; order.len()];
        for at in order {
            let record = &first.records[at];
            let links = |slot: &Vec<CacheInput>| -> Vec<RecordLink<'_>> {
                let link = |link: &CacheInput| RecordLink {
                    source: made[place[link.link as usize]],
                    selector: if link.selector.is_empty() { "" } else { "/a" },
                };
                slot.iter().map(link).collect()
            };
            let inputs: Vec<_> = record.inputs.iter().map(links).collect();
            let id = chains.add(record.digest.get().unwrap().into(), &inputs, &[]).unwrap().unwrap();
            place[at] = made.len();
            made.push(id);
        }
        let again = config(&chains);
        if has_twins(&first) {
            prop_assert!(again.records.len() <= first.records.len());
        } else {
            prop_assert_eq!(again, first);
        }
    }

    #[test]
    fn a_foreign_config_loses_no_record_that_can_be_reached(
        records in vec((0..30_usize, vec(vec((-1..30_i64, 0..2_usize), 0..3), 0..3)), 1..25)
    ) {
        let config = foreign(records);
        let parsed = parse(&config, &LayerTable::new(), ParseMode::Lenient, &ConfigLimits::default()).unwrap();
        let kept: Vec<_> = parsed.records.iter().map(Option::is_some).collect();
        prop_assert_eq!(kept, usable(&config));
        let written = self::config(&parsed.chains);
        read(&written, ParseMode::Strict);
        // Strict mode accepts what has no fault and nothing else.
        let strict = parse(&config, &LayerTable::new(), ParseMode::Strict, &ConfigLimits::default());
        prop_assert_eq!(strict.is_ok(), parsed.warnings.is_empty());
    }
}

/// The records of a sound config, each after those that it links to.
fn order(config: &CacheConfig) -> Vec<usize> {
    let mut order = Vec::new();
    let mut done = vec![false; config.records.len()];
    while order.len() < done.len() {
        for (at, record) in config.records.iter().enumerate() {
            if !done[at] && record.inputs.iter().flatten().all(|link| done[link.link as usize]) {
                done[at] = true;
                order.push(at);
            }
        }
    }
    order
}
