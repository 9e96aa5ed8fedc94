//! A layout keeps the contracts of export targets, fetchers and resolvers.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]
#![cfg(unix)]

use std::sync::Arc;

use cache_blobs::layout::{LayoutName, LayoutOptions, OciLayout};
use cache_core::conformance::export::ExportSubject;
use cache_core::conformance::fetch::{self, FetchSubject};
use cache_core::ports::{Begun, Expected, ExportTarget};
use cache_core::{Labels, ThreadPool};
use pollster::block_on;

fn layout() -> (tempfile::TempDir, Arc<OciLayout>) {
    let dir = tempfile::tempdir().unwrap();
    let pool = Arc::new(ThreadPool::new());
    let layout = block_on(OciLayout::create(dir.path(), pool, LayoutOptions::default())).unwrap();
    (dir, Arc::new(layout))
}

mod target {
    use super::*;

    fn subject() -> ExportSubject {
        let (dir, layout) = layout();
        ExportSubject::with_provider(layout.clone(), layout).keeping(dir)
    }

    cache_core::export_conformance!(subject);
}

mod source {
    use super::*;

    fn subject() -> FetchSubject {
        let (dir, layout) = layout();
        let mut names = Vec::new();
        for (descriptor, bytes) in fetch::samples() {
            let begun = block_on(layout.begin("sample", Expected::of(&descriptor))).unwrap();
            let Begun::Started(mut ingest) = begun else { panic!("the layout is empty") };
            block_on(ingest.write(bytes)).unwrap();
            block_on(ingest.commit(None, Labels::new())).unwrap();
            names.push((format!("tag-{}", descriptor.size), descriptor.clone()));
        }
        let entry = |(tag, descriptor): &(String, _)| LayoutName::Tag(tag.clone()).give_to(Clone::clone(descriptor));
        block_on(layout.add_to_index(names.iter().map(entry).collect())).unwrap();
        FetchSubject::new(layout.clone()).with_names(layout, names).keeping(dir)
    }

    cache_core::fetch_conformance!(subject);
}
