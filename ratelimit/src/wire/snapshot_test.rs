//! A snapshot is taken whole or not at all.

use super::*;

const CLUSTER: [u8; 16] = *b"the one and only";

fn written(small: u32, large: usize) -> Vec<u8> {
    let mut writer = Writer::begin(CLUSTER, Vec::new()).expect("memory");
    for item in 0..small {
        writer.item(1, &(item, "name")).expect("memory");
    }
    for item in 0..large {
        writer.item(2, &vec![u8::try_from(item).unwrap_or(u8::MAX); 400_000]).expect("memory");
    }
    writer.finish().expect("memory")
}

type Small = (u32, String);

fn read(input: &[u8]) -> Result<(Vec<Small>, Vec<Vec<u8>>), SnapshotError> {
    let mut reader = Reader::begin(input)?;
    assert_eq!(reader.cluster(), CLUSTER);
    let (mut small, mut large) = (Vec::new(), Vec::new());
    while let Some(chunk) = reader.chunk()? {
        match chunk.section {
            1 => small.extend(chunk.items::<Small>()?),
            2 => large.extend(chunk.items::<Vec<u8>>()?),
            _ => return Err(chunk.unknown()),
        }
    }
    Ok((small, large))
}

#[test]
fn what_was_written_is_read_in_chunks_that_have_a_bound() {
    let bytes = written(200_000, 7);
    let (small, large) = read(&bytes).expect("whole");
    assert_eq!(small.len(), 200_000);
    assert!(small.iter().enumerate().all(|(at, (number, name))| at == *number as usize && name == "name"));
    assert_eq!(large.len(), 7);

    let mut reader = Reader::begin(bytes.as_slice()).expect("whole");
    let mut chunks = 0;
    while let Some(chunk) = reader.chunk().expect("whole") {
        assert!(chunk.body.len() <= MOST_CHUNK_BYTES);
        chunks += 1;
    }
    assert!(chunks >= 5, "{chunks} chunks");
    assert_eq!(read(&written(0, 0)).expect("empty is whole"), (vec![], vec![]));
}

#[test]
fn a_cut_anywhere_is_refused() {
    let bytes = written(20, 0);
    for length in 0..bytes.len() {
        let refused = read(&bytes[..length]).expect_err("cut");
        assert_eq!(refused.why, Why::Cut, "cut at {length}");
        assert!(refused.at_byte <= length as u64);
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert_eq!(read(&longer).expect_err("longer").why, Why::Trailing);
}

#[test]
fn a_flipped_bit_anywhere_is_refused() {
    let bytes = written(20, 0);
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let cluster_is_other = (80..208).contains(&bit);
        let refused = if cluster_is_other {
            Reader::begin(flipped.as_slice()).map(|_| ()).expect_err("flipped")
        } else {
            read(&flipped).map(|_| ()).expect_err("flipped")
        };
        assert!(refused.at_byte <= bit as u64 / 8, "bit {bit}: {refused}");
    }
}

#[test]
fn chunks_can_be_neither_left_out_nor_moved() {
    let mut writer = Writer::begin(CLUSTER, Vec::new()).expect("memory");
    for section in 1..=3_u8 {
        writer.item(section, &(1_u32, "x")).expect("memory");
    }
    let bytes = writer.finish().expect("memory");
    let chunk = CHUNK_HEADER_BYTES + 3;
    let (first, second, rest) = (HEADER_BYTES, HEADER_BYTES + chunk, HEADER_BYTES + 2 * chunk);
    let left_out = [&bytes[..first], &bytes[second..]].concat();
    let moved = [&bytes[..first], &bytes[second..rest], &bytes[first..second], &bytes[rest..]].concat();
    for (bad, why) in [(left_out, "left out"), (moved, "moved")] {
        let refused = read(&bad).expect_err(why);
        assert_eq!(refused, SnapshotError { at_byte: first as u64, why: Why::Checksum }, "{why}");
    }
}

#[test]
fn errors_say_what_was_expected_and_what_came() {
    let mut writer = Writer::begin(CLUSTER, Vec::new()).expect("memory");
    let huge = writer.item(1, &vec![0_u8; MOST_CHUNK_BYTES]).expect_err("with its length it is longer");
    assert_eq!(huge.to_string(), "snapshot, byte 30: 1048579 bytes; at most 1048576 are taken");
    assert_eq!(writer.item(255, &1_u8).expect_err("the end's number").why, Why::Section { got: 255 });
    writer.item(1, &(5_u32, "kept")).expect("a refused item leaves nothing behind");
    writer.item(9, &5_u32).expect("memory");
    let bytes = writer.finish().expect("memory");
    assert_eq!(read(&bytes).expect_err("9 is unknown").why, Why::Section { got: 9 });

    let mut newer = bytes.clone();
    newer[8] = 2;
    let refused = read(&newer).expect_err("newer");
    assert_eq!(refused.to_string(), "snapshot, byte 0: version 2 is not known; known is 1");
    let mut reader = Reader::begin(bytes.as_slice()).expect("whole");
    let chunk = reader.chunk().expect("whole").expect("a chunk");
    assert!(matches!(chunk.items::<u8>().expect_err("another type").why, Why::Items(_)));
}

#[test]
fn a_full_disk_is_said() {
    struct Full(usize);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut writer = Writer::begin(CLUSTER, Full(40)).expect("room for the header");
    writer.item(1, &5_u8).expect("kept in memory yet");
    let refused = writer.finish().map(|_| ()).expect_err("no room");
    assert_eq!(refused, SnapshotError { at_byte: 30, why: Why::Io(ErrorKind::StorageFull) });
}
