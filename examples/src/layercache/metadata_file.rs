//! `--metadata-file`: what the outputs are, in BuildKit's keys.

use std::io::Write;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::failure::Failure;
use crate::image_output::OutputReport;

/// Writes the file in one step: it is there whole, or as it was. Later outputs win, as in BuildKit.
pub(crate) fn write(path: &Path, outputs: &[OutputReport]) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::while_doing(format!("write {}", path.display()), error);
    let mut keys = Map::new();
    for output in outputs {
        keys.insert("containerimage.config.digest".into(), json!(output.config_digest));
        keys.insert("containerimage.descriptor".into(), json!(output.descriptor));
        keys.insert("containerimage.digest".into(), json!(output.digest));
        if let Some(name) = &output.name {
            keys.insert("image.name".into(), json!(name));
        }
    }
    let text = serde_json::to_vec_pretty(&Value::Object(keys)).map_err(|error| failed(error.into()))?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(directory).map_err(failed)?;
    file.write_all(&text).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}
