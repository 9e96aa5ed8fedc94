//! Conversion of layers: from any compression into any other, with the tar's bytes kept.

mod converter;
mod find;
mod limits;
#[cfg(feature = "estargz")]
mod prioritize;
mod recode;
mod rederive;
mod repack;
mod source_tar;
mod stored_codec;
mod unkept;

pub use converter::{Converter, ConverterBackends};
pub use find::{find_variant, variants};
pub use limits::ConversionLimits;
#[cfg(feature = "estargz")]
pub use prioritize::PrioritizedLayer;
pub use rederive::{Rederived, rederive};
pub(crate) use stored_codec::codec_of;
pub use unkept::Unkept;
