//! The memory of blocks: like a vector, whether it comes from the heap or from the system.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use bytes::Bytes;
use cache_blobs::codec::BlockBytes;
use proptest::prelude::*;

/// From it on memory is mapped, so that a few steps lead from one kind to the other.
const MAPPED_BYTES: usize = 4 << 20;

#[derive(Clone, Debug)]
enum Step {
    Extend(usize, u8),
    Write { room: usize, written: usize, byte: u8 },
    FailToWrite(usize),
    Clear,
}

fn step() -> impl Strategy<Value = Step> {
    let length = prop_oneof![0..100usize, 0..MAPPED_BYTES + MAPPED_BYTES / 4];
    prop_oneof![
        4 => (length.clone(), any::<u8>()).prop_map(|(length, byte)| Step::Extend(length, byte)),
        4 => (length.clone(), any::<prop::sample::Index>(), any::<u8>())
            .prop_map(|(room, written, byte)| Step::Write { room, written: written.index(room + 1), byte }),
        1 => length.prop_map(Step::FailToWrite),
        1 => Just(Step::Clear),
    ]
}

fn take(bytes: &mut BlockBytes, model: &mut Vec<u8>, step: Step) {
    match step {
        Step::Extend(length, byte) => {
            bytes.extend_from_slice(&vec![byte; length]);
            model.extend(std::iter::repeat_n(byte, length));
        }
        Step::Write { room, written, byte } => {
            let write = |given: &mut [u8]| {
                assert_eq!(given.len(), room);
                given[..written].fill(byte);
                Ok::<_, ()>(written)
            };
            bytes.write_with(room, write).unwrap();
            model.extend(std::iter::repeat_n(byte, written));
        }
        Step::FailToWrite(room) => {
            let write = |given: &mut [u8]| {
                given.fill(0xee);
                Err("no")
            };
            assert_eq!(bytes.write_with(room, write), Err("no"));
        }
        Step::Clear => {
            let before = bytes.capacity();
            bytes.clear();
            assert_eq!(bytes.capacity(), before);
            model.clear();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn block_bytes_hold_what_a_vector_would(
        begin in prop_oneof![Just(0), Just(1000), Just(MAPPED_BYTES - 1), Just(MAPPED_BYTES), Just(2 * MAPPED_BYTES + 1)],
        steps in prop::collection::vec(step(), 0..8),
    ) {
        let (mut bytes, mut model) = (BlockBytes::with_capacity(begin), Vec::new());
        for step in steps {
            take(&mut bytes, &mut model, step);
            prop_assert!(*bytes == *model, "{} bytes, not {}", bytes.len(), model.len());
            prop_assert!(bytes.capacity() >= bytes.len());
        }
        bytes.iter_mut().zip(&mut model).for_each(|(one, other)| {
            *one ^= 1;
            *other ^= 1;
        });
        prop_assert!(Bytes::from(bytes) == model);
    }
}

#[test]
fn the_memory_of_a_block_has_the_size_that_was_asked_for() {
    for capacity in [0, 1, 2 << 20, MAPPED_BYTES - 1, MAPPED_BYTES, MAPPED_BYTES + 1, 8 << 20, (8 << 20) + 32 * 1024] {
        let mut bytes = BlockBytes::with_capacity(capacity);
        assert_eq!((bytes.capacity(), bytes.len()), (capacity, 0));
        bytes.write_with(capacity, |room| Ok::<_, ()>(room.len())).unwrap();
        assert_eq!((bytes.capacity(), bytes.len()), (capacity, capacity));
    }
}

#[test]
fn a_vector_becomes_block_bytes_and_bytes_again() {
    for vector in [Vec::new(), vec![7; 10], vec![8; 3 * MAPPED_BYTES]] {
        let bytes = BlockBytes::from(vector.clone());
        assert_eq!(*bytes, *vector);
        assert_eq!(Bytes::from(bytes), vector);
    }
}

#[test]
#[should_panic(expected = "5 bytes were written where there was room for 4")]
fn more_than_there_was_room_for_is_not_taken() {
    let _ = BlockBytes::default().write_with(4, |_| Ok::<_, ()>(5));
}
