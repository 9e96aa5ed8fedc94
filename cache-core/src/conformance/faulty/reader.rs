//! Faulty readers.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{StreamExt, stream};

use crate::conformance::blob::gather;
use crate::conformance::faulty::Fault;
use crate::descriptor::Descriptor;
use crate::error::{Error, ErrorKind, Result};
use crate::ports::{BlobReader, ByteStream};

/// Opens the same blob again.
pub(super) type OpenAgain = Box<dyn Fn() -> BoxFuture<'static, Result<Option<Box<dyn BlobReader>>>> + Send + Sync>;

pub(super) struct FaultyReader {
    inner: Option<Box<dyn BlobReader>>,
    fault: Fault,
    again: OpenAgain,
    read: AtomicBool,
}

impl std::fmt::Debug for FaultyReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FaultyReader").field("inner", &self.inner).field("fault", &self.fault).finish_non_exhaustive()
    }
}

impl FaultyReader {
    /// What opening `descriptor` gives in the place of `opened`.
    pub(super) fn of(
        opened: Option<Box<dyn BlobReader>>,
        descriptor: &Descriptor,
        fault: Fault,
        again: OpenAgain,
    ) -> Option<Box<dyn BlobReader>> {
        let opens = match (&opened, fault) {
            (None, fault) => fault == Fault::OpensAnything,
            (Some(reader), Fault::NeedsSizeToOpen) => reader.size() == descriptor.size,
            (Some(_), _) => true,
        };
        opens.then(|| {
            Box::new(Self { inner: opened, fault, again, read: AtomicBool::new(false) }) as Box<dyn BlobReader>
        })
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl BlobReader for FaultyReader {
    fn size(&self) -> u64 {
        match (&self.inner, self.fault) {
            (None, _) | (_, Fault::ReaderSizeIsZero) => 0,
            (Some(inner), _) => inner.size(),
        }
    }

    async fn read(&self, range: Range<u64>) -> Result<ByteStream> {
        let Some(inner) = &self.inner else { return Ok(stream::empty().boxed()) };
        match self.fault {
            Fault::TruncatesReads => {
                let bytes: Bytes = gather(inner.read(range).await?).await?;
                Ok(stream::iter([Ok(bytes.slice(..bytes.len().saturating_sub(1)))]).boxed())
            }
            Fault::ReaderDiesWithBlob => match (self.again)().await? {
                Some(inner) => inner.read(range).await,
                None => Err(Error::new(ErrorKind::NotFound, "read", "a blob that was collected")),
            },
            Fault::ReadsOnce if self.read.swap(true, Ordering::SeqCst) => Ok(stream::empty().boxed()),
            Fault::ReadsFromBeginning => inner.read(0..range.end.saturating_sub(range.start)).await,
            _ => inner.read(range).await,
        }
    }

    fn local_file(&self) -> Option<PathBuf> {
        match (&self.inner, self.fault) {
            (Some(_), Fault::NamesAnotherFile) => Some(PathBuf::from("/dev/null")),
            (inner, _) => inner.as_ref()?.local_file(),
        }
    }
}
