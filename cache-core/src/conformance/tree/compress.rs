//! The simplest valid streams of the compressions that layers have: nothing in them is compressed.

/// A gzip stream of one member for each of `members`.
pub(in crate::conformance) fn gzip(members: &[&[u8]]) -> Vec<u8> {
    // The longest stored block of RFC 1951.
    const STORED: usize = 0xffff;
    let mut stream = Vec::new();
    for member in members {
        stream.extend_from_slice(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);
        let blocks = member.chunks(STORED).collect::<Vec<_>>();
        let last = blocks.len().saturating_sub(1);
        for (number, block) in blocks.iter().enumerate() {
            stored(&mut stream, block, number == last);
        }
        if blocks.is_empty() {
            stored(&mut stream, &[], true);
        }
        stream.extend_from_slice(&crc32(member).to_le_bytes());
        stream.extend_from_slice(&(member.len() as u32).to_le_bytes());
    }
    stream
}

fn stored(stream: &mut Vec<u8>, block: &[u8], is_last: bool) {
    let length = block.len() as u16;
    stream.push(u8::from(is_last));
    stream.extend_from_slice(&length.to_le_bytes());
    stream.extend_from_slice(&(!length).to_le_bytes());
    stream.extend_from_slice(block);
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

/// A zstd stream: a skippable frame, which readers pass over, then one frame of raw blocks (RFC 8878).
pub(in crate::conformance) fn zstd(content: &[u8]) -> Vec<u8> {
    const BLOCK: usize = 128 << 10;
    let mut stream = vec![0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, b's', b'k', b'i', b'p'];
    // One segment, whose length is in the four bytes that follow.
    stream.extend_from_slice(&[0x28, 0xb5, 0x2f, 0xfd, 0xa0]);
    stream.extend_from_slice(&(content.len() as u32).to_le_bytes());
    let blocks: Vec<_> = if content.is_empty() { vec![content] } else { content.chunks(BLOCK).collect() };
    let last = blocks.len() - 1;
    for (number, block) in blocks.into_iter().enumerate() {
        let header = (block.len() as u32) << 3 | u32::from(number == last);
        stream.extend_from_slice(&header.to_le_bytes()[..3]);
        stream.extend_from_slice(block);
    }
    stream
}
