//! Looking up one directory after the other, where they lie close to each other.

use std::sync::Arc;

use crate::changes::{Directory, Error, Tree, TreeEntry};

/// The directories on the way to the one that was looked up last, topmost first, each with its path.
#[derive(Debug, Default)]
pub(super) struct Descent {
    open: Vec<(Vec<u8>, Arc<dyn Directory>)>,
}

impl Descent {
    /// What `path` is in `tree`; `None` if it is not there. The directories above it are opened once as long as what is
    /// asked for lies below them; they are not looked at, so they must be known to be directories.
    pub(super) fn entry(&mut self, tree: &dyn Tree, path: &[u8]) -> Result<Option<TreeEntry>, Error> {
        let (above, name) = match path.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => (&path[..slash], &path[slash + 1..]),
            None => (&b""[..], path),
        };
        let directory = self.directory(tree, above)?;
        let metadata = directory.metadata(name)?;
        Ok(metadata.map(|metadata| TreeEntry { directory, name: name.to_vec(), metadata }))
    }

    fn directory(&mut self, tree: &dyn Tree, path: &[u8]) -> Result<Arc<dyn Directory>, Error> {
        while self.open.last().is_some_and(|(known, _)| !is_at_or_below(path, known)) {
            self.open.pop();
        }
        let mut reached = match self.open.last() {
            Some((known, _)) => known.len(),
            None => {
                self.open.push((Vec::new(), tree.root()?));
                0
            }
        };
        while reached < path.len() {
            let begin = if reached == 0 { 0 } else { reached + 1 };
            let end = path[begin..].iter().position(|byte| *byte == b'/').map_or(path.len(), |slash| begin + slash);
            let (_, above) = self.open.last().expect("the root is there");
            let directory = above.directory(&path[begin..end])?;
            self.open.push((path[..end].to_vec(), directory));
            reached = end;
        }
        Ok(Arc::clone(&self.open.last().expect("the root is there").1))
    }
}

/// Whether `path` is `directory` or lies below it.
fn is_at_or_below(path: &[u8], directory: &[u8]) -> bool {
    directory.is_empty() || path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}
