//! The codecs that an embedder works with.

use std::fmt;
use std::io::{self, Cursor, Read};
use std::sync::{Arc, Mutex, PoisonError};

use cache_core::{Compression, CompressionConfig, Error, ErrorKind, MediaType, MediaTypeFamily, Result};

use crate::codec::failure::error_of_io;
use crate::codec::port::Codec;
use crate::codec::sample::{SAMPLE_HEAD_BYTES, Sample};
use crate::codec::uncompressed::Uncompressed;

/// A codec, the first bytes of a blob, and the rest of it.
pub(crate) type Opened = (Arc<dyn Codec>, Vec<u8>, Box<dyn Read + Send>);

/// The known codecs. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Codecs(Vec<Arc<dyn Codec>>);

impl Default for Codecs {
    /// The built-in codecs that this build has: uncompressed, and by Cargo feature gzip, zstd, eStargz and zstd:chunked.
    fn default() -> Self {
        let codecs = Self(vec![Arc::new(Uncompressed)]);
        #[cfg(feature = "gzip")]
        let codecs = codecs.with(Arc::new(crate::codec::Gzip::new()));
        #[cfg(feature = "zstd")]
        let codecs = codecs.with(Arc::new(crate::codec::Zstd::new()));
        #[cfg(feature = "zstd-chunked")]
        let codecs = codecs.with(Arc::new(crate::codec::ZstdChunked::new()));
        #[cfg(feature = "estargz")]
        let codecs = codecs.with(Arc::new(crate::codec::Estargz::new()));
        codecs
    }
}

impl Codecs {
    /// The same with `codec`, which takes the place of the one that stands for the same compression, if there is one.
    #[must_use]
    pub fn with(mut self, codec: Arc<dyn Codec>) -> Self {
        let compression = codec.compression();
        match self.0.iter_mut().find(|known| known.compression() == compression) {
            Some(known) => *known = codec,
            None => self.0.push(codec),
        }
        self
    }

    /// The codecs in the order of their registration.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Codec>> {
        self.0.iter()
    }

    /// The codec of `compression`.
    ///
    /// # Errors
    /// `Unsupported` if there is none; the target of the error names the known ones.
    pub fn of(&self, compression: &Compression) -> Result<Arc<dyn Codec>> {
        let found = self.0.iter().find(|codec| codec.compression() == *compression);
        found.cloned().ok_or_else(|| self.unsupported("find the codec", compression))
    }

    /// The codec that users call `name`.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn named(&self, name: &str) -> Result<Arc<dyn Codec>> {
        let found = self.0.iter().find(|codec| codec.compression().name() == name);
        found.cloned().ok_or_else(|| self.unsupported("find the codec", name.escape_debug()))
    }

    /// The codec of layers as `config` wants them in manifests of `family`. Mirrors: BuildKit
    /// `exporter/containerimage/opts.go`, the conflict of `compression` with `oci-mediatypes`.
    ///
    /// # Errors
    /// `Unsupported` as [`of`](Self::of); `Invalid` for a level out of range, and for a family that has no name for such
    /// layers, as Docker's has none for eStargz.
    pub fn for_family(&self, config: &CompressionConfig, family: MediaTypeFamily) -> Result<Arc<dyn Codec>> {
        let codec = self.of(&config.compression)?;
        codec.recipe(config.level)?;
        match family {
            MediaTypeFamily::Docker if codec.media_types().docker.is_none() => Err(Error::new(
                ErrorKind::Invalid,
                "choose a media type",
                format_args!("compression {} has none of Docker's", config.compression),
            )),
            _ => Ok(codec),
        }
    }

    /// The codec whose layers are called `media_type`, in any of its forms; of several, the one that was registered first.
    /// `None` for other media types.
    pub fn of_media_type(&self, media_type: &MediaType) -> Option<Arc<dyn Codec>> {
        let oci = media_type.to_distributable().to_family(MediaTypeFamily::Oci);
        let names = |codec: &&Arc<dyn Codec>| {
            let names = codec.media_types();
            names.oci == oci || names.docker.as_ref() == Some(media_type)
        };
        self.0.iter().find(names).cloned()
    }

    /// Whether a blob whose content shows `compression` may be called `media_type`. Only the OCI names of known codecs promise
    /// anything; Docker's never said reliably what a layer is.
    pub fn agree(&self, media_type: &MediaType, compression: &Compression) -> bool {
        let oci = media_type.to_distributable();
        let promised = self.0.iter().any(|codec| codec.media_types().oci == oci);
        let mut shown = self.0.iter().filter(|codec| codec.compression() == *compression);
        !promised || shown.any(|codec| codec.media_types().oci == oci)
    }

    /// The codec that made the blob of `sample`. The codec that was registered last is asked first.
    ///
    /// # Errors
    /// `Unsupported` for bytes of a compression whose codec is not there.
    pub fn detect(&self, sample: &Sample<'_>) -> Result<Arc<dyn Codec>> {
        let found = self.0.iter().rev().find(|codec| codec.detects(sample));
        found.cloned().ok_or_else(|| self.unsupported("decode", "a layer of another compression"))
    }

    /// The tar in the blob that `source` gives, decoded by the codec that its first bytes call for.
    ///
    /// # Errors
    /// As [`detect`](Self::detect); what reading the first bytes gives.
    pub fn decode(&self, source: Box<dyn Read + Send>) -> Result<Decoding> {
        let (codec, head, source) = self.open(source)?;
        let reader = codec.decoder(Box::new(Cursor::new(head).chain(source)))?;
        Ok(Decoding { codec, reader: Mutex::new(reader) })
    }

    /// The codec that the first bytes of `source` call for, these bytes, and what follows them.
    pub(crate) fn open(&self, mut source: Box<dyn Read + Send>) -> Result<Opened> {
        let mut head = Vec::with_capacity(SAMPLE_HEAD_BYTES);
        (&mut source)
            .take(SAMPLE_HEAD_BYTES as u64)
            .read_to_end(&mut head)
            .map_err(|error| error_of_io("read the head of", "a layer", error))?;
        let codec = self.detect(&Sample::of_head(&head))?;
        Ok((codec, head, source))
    }

    fn unsupported(&self, operation: &'static str, what: impl fmt::Display) -> Error {
        let names: Vec<_> = self.0.iter().map(|codec| codec.compression().name().to_owned()).collect();
        Error::new(ErrorKind::Unsupported, operation, format_args!("{what} (known: {})", names.join(", ")))
    }
}

/// A blob that is being decoded: reading it gives the tar.
pub struct Decoding {
    codec: Arc<dyn Codec>,
    /// Never locked: the mutex makes the type `Sync`.
    reader: Mutex<Box<dyn Read + Send>>,
}

impl Decoding {
    /// The codec that was detected.
    pub fn codec(&self) -> &Arc<dyn Codec> {
        &self.codec
    }
}

impl Read for Decoding {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.get_mut().unwrap_or_else(PoisonError::into_inner).read(buffer)
    }
}

impl fmt::Debug for Decoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoding").field("codec", &self.codec).finish_non_exhaustive()
    }
}
