//! Conversion of layers: from any compression into any other, with the tar's bytes kept.

mod converter;
mod find;
mod limits;
mod recode;

pub use converter::{Converter, ConverterBackends};
pub use find::{find_variant, variants};
pub use limits::ConversionLimits;
