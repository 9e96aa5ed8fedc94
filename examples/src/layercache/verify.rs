//! `layercache verify`: a blob of the store, made again by its recipe.

use cache_blobs::codec::Recipe;
use cache_blobs::convert::{ConversionLimits, ConverterBackends, Rederived, rederive};
use cache_core::Digest;
use pollster::block_on;
use serde::Serialize;

use crate::args::Verify;
use crate::failure::Failure;
use crate::output::Format;
use crate::session;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    same: bool,
    recipe: Recipe,
    derived_from: Digest,
    digest: Digest,
    size: u64,
}

pub(crate) fn run(arguments: &Verify) -> Result<(), Failure> {
    let store = session::open_existing(&arguments.store)?;
    let backends = ConverterBackends {
        content: store.backends.content.clone(),
        leases: store.backends.leases.clone(),
        pool: store.backends.pool.clone(),
        codecs: store.codecs.clone(),
        budget: store.budget.clone(),
    };
    let made = block_on(rederive(&backends, ConversionLimits::default(), arguments.blob))
        .map_err(|error| Failure::while_doing(format!("verify {}", arguments.blob), error))?;
    let Rederived { same, recipe, derived_from, digest, size, .. } = made;
    let report = Report { same, recipe, derived_from, digest, size };
    Format::of(arguments.json).print(&report, |report| {
        let outcome = if report.same { "the same" } else { "not the same" };
        format!("{outcome}\nmade again {} {} bytes\nof the tar in {}", report.digest, report.size, report.derived_from)
    })
}
