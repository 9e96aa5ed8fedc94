//! Faults of a config.

use std::fmt;

/// What is wrong in a config. Numbers are indexes in its lists.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// A record's digest is none, or `random:`.
    RecordDigest {
        /// The record.
        record: usize,
    },
    /// A link leads to no record.
    LinkOutOfRange {
        /// The record.
        record: usize,
        /// The input.
        input: usize,
        /// Where the link leads.
        link: i64,
    },
    /// A link leads back to a record that depends on it.
    RecordLoop {
        /// The record.
        record: usize,
        /// The input.
        input: usize,
    },
    /// A link leads to a record that was dropped.
    LinkToDropped {
        /// The record.
        record: usize,
        /// The input.
        input: usize,
    },
    /// An input has no usable link.
    EmptyInput {
        /// The record.
        record: usize,
        /// The input.
        input: usize,
    },
    /// A result names no layer.
    ResultOutOfRange {
        /// The record.
        record: usize,
        /// What it names.
        layer: i64,
    },
    /// A layer's digest is none.
    LayerDigest {
        /// The layer.
        layer: usize,
    },
    /// A layer's parent is no layer.
    ParentOutOfRange {
        /// The layer.
        layer: usize,
        /// Its parent.
        parent: i64,
    },
    /// A layer lies on itself.
    LayerLoop {
        /// The layer.
        layer: usize,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RecordDigest { record } => write!(f, "record {record} has no digest that could be met again"),
            Self::LinkOutOfRange { record, input, link } => {
                write!(f, "record {record} links input {input} to record {link}, which is not there")
            }
            Self::RecordLoop { record, input } => write!(f, "record {record} depends on itself by input {input}"),
            Self::LinkToDropped { record, input } => {
                write!(f, "record {record} links input {input} to a record that was dropped")
            }
            Self::EmptyInput { record, input } => write!(f, "record {record} has no link for input {input}"),
            Self::ResultOutOfRange { record, layer } => {
                write!(f, "record {record} has the layer {layer}, which is not there")
            }
            Self::LayerDigest { layer } => write!(f, "layer {layer} has no digest"),
            Self::ParentOutOfRange { layer, parent } => {
                write!(f, "layer {layer} lies on layer {parent}, which is not there")
            }
            Self::LayerLoop { layer } => write!(f, "layer {layer} lies on itself"),
        }
    }
}
