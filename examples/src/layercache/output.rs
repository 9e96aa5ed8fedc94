//! Results on standard output.

use std::io::Write;

use serde::Serialize;

use crate::failure::Failure;

/// Whether a result is printed for people or as one JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Json,
}

impl Format {
    /// What `--json` asks for.
    pub(crate) fn of(json: bool) -> Self {
        if json { Self::Json } else { Self::Text }
    }

    /// Prints `value` as JSON, or the lines that `text` makes of it.
    pub(crate) fn print<T: Serialize>(self, value: &T, text: impl FnOnce(&T) -> String) -> Result<(), Failure> {
        let mut line = match self {
            Self::Json => serde_json::to_string(value).map_err(|error| Failure::while_doing("print JSON", error))?,
            Self::Text => text(value),
        };
        if !line.is_empty() && !line.ends_with('\n') {
            line.push('\n');
        }
        let mut out = std::io::stdout().lock();
        out.write_all(line.as_bytes())
            .and_then(|()| out.flush())
            .map_err(|error| Failure::while_doing("write to standard output", error))
    }
}
