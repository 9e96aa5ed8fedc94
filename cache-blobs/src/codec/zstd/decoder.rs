//! The reader of zstd, of any number of frames and skippable frames.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};

use ::zstd::zstd_safe::{DCtx, DParameter, ErrorCode, InBuffer, OutBuffer, get_error_name};
use cache_core::{Error, Result};

use crate::codec::failure::io_error;

/// The largest window that is accepted: 128 MiB, the limit of the `zstd` command, so that `zstd --ultra -22` and `--long` layers
/// are read. Memory is taken only as a frame asks for it.
const WINDOW_LOG_MAX: u32 = 27;

/// `ZSTD_error_frameParameter_windowTooLarge` of zstd's `zstd_errors.h`; these numbers are part of its stable interface.
const WINDOW_TOO_LARGE: usize = 16;

/// Decompresses every frame up to the blob's end. Whatever follows a frame and is no frame is an error.
pub(in crate::codec) struct ZstdDecoder {
    context: DCtx<'static>,
    source: BufReader<Box<dyn Read + Send>>,
    place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    BetweenFrames,
    InFrame,
    Broken,
}

impl ZstdDecoder {
    pub(in crate::codec) fn new(source: Box<dyn Read + Send>) -> Result<Self> {
        let unavailable = || Error::new(cache_core::ErrorKind::Unavailable, "create", "a zstd context");
        let mut context = DCtx::try_create().ok_or_else(unavailable)?;
        context
            .set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX))
            .map_err(|code| unavailable().with_source(get_error_name(code)))?;
        let source = BufReader::with_capacity(DCtx::in_size(), source);
        Ok(Self { context, source, place: Place::BetweenFrames })
    }
}

fn failure(code: ErrorCode) -> io::Error {
    if code.wrapping_neg() == WINDOW_TOO_LARGE {
        let target = format_args!("a zstd frame with a window above 2^{WINDOW_LOG_MAX} bytes (WINDOW_LOG_MAX)");
        return io_error(Error::new(cache_core::ErrorKind::LimitExceeded, "decode", target));
    }
    io::Error::new(ErrorKind::InvalidData, get_error_name(code))
}

impl Read for ZstdDecoder {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if self.place == Place::Broken {
                return Err(io::Error::new(ErrorKind::InvalidData, "the zstd stream is damaged further up"));
            }
            let input = self.source.fill_buf()?;
            let at_end = input.is_empty();
            if at_end && self.place == Place::BetweenFrames {
                return Ok(0);
            }
            let mut input = InBuffer::around(input);
            let mut output = OutBuffer::around(&mut *buffer);
            let outcome = self.context.decompress_stream(&mut output, &mut input);
            let (taken, given) = (input.pos(), output.pos());
            self.source.consume(taken);
            match outcome {
                Ok(0) => self.place = Place::BetweenFrames,
                Ok(_) => self.place = Place::InFrame,
                Err(code) => {
                    self.place = Place::Broken;
                    return Err(failure(code));
                }
            }
            if given > 0 {
                return Ok(given);
            }
            if at_end && self.place == Place::InFrame {
                return Err(io::Error::new(ErrorKind::UnexpectedEof, "a zstd frame is cut off"));
            }
        }
    }
}
