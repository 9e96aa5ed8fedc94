//! Every check of the fetcher suite can fail.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::sync::Arc;

use cache_core::conformance::fetch::{CHECKS, FetchSubject, samples};
use cache_core::conformance::{Fault, Faulty, block_on, prove};
use cache_core::memory::{ManualClock, MemoryRemote};
use cache_core::ports::{Begun, Expected, ExportTarget};

const FAULTS: &[(&str, Fault)] = &[
    ("every_blob_comes_whole", Fault::TruncatesReads),
    ("every_blob_comes_whole", Fault::ReaderSizeIsZero),
    ("every_range_gives_its_bytes", Fault::ReadsFromBeginning),
    ("readers_do_not_disturb_each_other", Fault::ReadsOnce),
    ("a_stream_that_is_dropped_disturbs_nothing", Fault::ReadsOnce),
    ("what_the_remote_lacks_is_none", Fault::OpensAnything),
    ("a_name_gives_its_descriptor", Fault::ResolvesWithoutSize),
    ("an_unknown_name_is_none", Fault::ResolvesAnything),
];

fn subject(fault: Fault) -> FetchSubject {
    let remote = MemoryRemote::new(Arc::new(ManualClock::default()));
    let mut names = Vec::new();
    for (number, (descriptor, bytes)) in samples().into_iter().enumerate() {
        let Begun::Started(mut ingest) = block_on(remote.begin("sample", Expected::of(&descriptor))).unwrap() else {
            panic!("the remote is empty");
        };
        block_on(ingest.write(bytes)).unwrap();
        block_on(ingest.commit(None, Default::default())).unwrap();
        remote.tag(format!("name-{number}"), descriptor.clone());
        names.push((format!("name-{number}"), descriptor));
    }
    let remote = Arc::new(Faulty::new(Arc::new(remote), fault));
    FetchSubject::new(remote.clone()).with_names(remote, names)
}

#[test]
fn every_check_of_fetchers_can_fail() {
    assert_eq!(prove(CHECKS, FAULTS, subject).unwrap(), [""; 0]);
}

mod memory_remote {
    fn subject() -> super::FetchSubject {
        super::subject(super::Fault::None)
    }

    cache_core::fetch_conformance!(subject);
}
