//! The archive of a layer, in the shape that its system wants.

use std::io::Write;

use cache_core::ports::LayerMode;

use crate::content::Content;
use crate::tar::{Error, Header, Writer};
use crate::windows;

/// Takes the entries of a layer as they lie in its tree.
#[derive(Debug)]
pub(super) struct Archive<W> {
    tar: Writer<W>,
    mode: LayerMode,
    begun: bool,
}

impl<W: Write> Archive<W> {
    pub(super) fn new(out: W, mode: LayerMode) -> Self {
        Self { tar: Writer::new(out), mode, begun: false }
    }

    /// Adds an entry without contents.
    pub(super) fn append_header(&mut self, header: &Header) -> Result<(), Error> {
        self.begin()?;
        match self.mode {
            LayerMode::Linux => self.tar.append_header(header),
            LayerMode::Windows => self.tar.append_header(&windows::wrapped(header)),
        }
    }

    /// Adds a file.
    pub(super) fn append_content(&mut self, header: &Header, content: &mut dyn Content) -> Result<(), Error> {
        self.begin()?;
        match self.mode {
            LayerMode::Linux => self.tar.append_content(header, content),
            LayerMode::Windows => self.tar.append_content(&windows::wrapped(header), content),
        }
    }

    /// Ends the archive and gives the underlying writer back, not flushed.
    pub(super) fn finish(mut self) -> Result<W, Error> {
        self.begin()?;
        self.tar.finish()
    }

    /// Writes what stands before all entries, once.
    fn begin(&mut self) -> Result<(), Error> {
        if !self.begun && self.mode == LayerMode::Windows {
            windows::roots().iter().try_for_each(|root| self.tar.append_header(root))?;
        }
        self.begun = true;
        Ok(())
    }
}
