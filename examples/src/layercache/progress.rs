//! Progress on standard error: plain lines, or one JSON object a line.

use std::io::Write;
use std::sync::Arc;

use cache_core::ports::{NoProgress, Progress, ProgressEvent};

use crate::args::ProgressChoice;

/// What `--progress` asks for.
pub(crate) fn progress(choice: ProgressChoice) -> Arc<dyn Progress> {
    match choice {
        ProgressChoice::Quiet => Arc::new(NoProgress),
        ProgressChoice::Auto | ProgressChoice::Plain => Arc::new(PlainLines),
        ProgressChoice::Json => Arc::new(JsonLines),
    }
}

/// Writes a line. A closed standard error is no reason to stop the work.
fn line(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

#[derive(Debug)]
struct PlainLines;

impl Progress for PlainLines {
    fn event(&self, event: ProgressEvent) {
        match event {
            ProgressEvent::Started { id, .. } => line(&format!("=> {id}")),
            ProgressEvent::Warning { id, message } => line(&format!("=> {id}: warning: {message}")),
            ProgressEvent::Finished { id, error: None } => line(&format!("=> {id}: done")),
            ProgressEvent::Finished { id, error: Some(kind) } => line(&format!("=> {id}: {kind}")),
            _ => {}
        }
    }
}

#[derive(Debug)]
struct JsonLines;

impl Progress for JsonLines {
    fn event(&self, event: ProgressEvent) {
        let object = match event {
            ProgressEvent::Started { id, total } => serde_json::json!({"event": "started", "id": id, "total": total}),
            ProgressEvent::Advanced { id, current } => {
                serde_json::json!({"event": "advanced", "id": id, "current": current})
            }
            ProgressEvent::Warning { id, message } => {
                serde_json::json!({"event": "warning", "id": id, "message": message})
            }
            ProgressEvent::Finished { id, error } => {
                serde_json::json!({"event": "finished", "id": id, "error": error.map(|kind| kind.to_string())})
            }
            _ => return,
        };
        line(&object.to_string());
    }
}
