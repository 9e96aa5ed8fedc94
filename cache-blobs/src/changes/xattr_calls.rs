//! The kernel's calls for extended attributes, with the room that they need.

use rustix::io::{Errno, Result};

/// Linux's `XATTR_SIZE_MAX` and `XATTR_LIST_MAX`: no attribute and no list of names is longer.
const XATTR_BYTES: usize = 64 * 1024;
/// Room for a first try; `security.capability` has at most 24 bytes.
const SMALL_XATTR_BYTES: usize = 256;

/// Names of attributes, by a call that lists them; none where the file system has no attributes.
pub(super) fn names(list: impl Fn(&mut [u8]) -> Result<usize>) -> Result<Vec<Vec<u8>>> {
    let mut small = [0; SMALL_XATTR_BYTES];
    match list(&mut small) {
        Ok(count) => return Ok(split_names(&small[..count])),
        Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        Err(Errno::RANGE) => {}
        Err(error) => return Err(error),
    }
    let mut large = vec![0; XATTR_BYTES];
    list(&mut large).map(|count| split_names(&large[..count]))
}

/// An attribute's value, by a call that gets it; `None` where there is no such attribute.
pub(super) fn value(get: impl Fn(&mut [u8]) -> Result<usize>) -> Result<Option<Vec<u8>>> {
    let mut small = [0; SMALL_XATTR_BYTES];
    match get(&mut small) {
        Ok(count) => return Ok(Some(small[..count].to_vec())),
        Err(Errno::NODATA | Errno::OPNOTSUPP) => return Ok(None),
        Err(Errno::RANGE) => {}
        Err(error) => return Err(error),
    }
    let mut large = vec![0; XATTR_BYTES];
    match get(&mut large) {
        Ok(count) => Ok(Some(large[..count].to_vec())),
        Err(Errno::NODATA) => Ok(None),
        Err(error) => Err(error),
    }
}

fn split_names(list: &[u8]) -> Vec<Vec<u8>> {
    list.split(|byte| *byte == 0).filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect()
}
