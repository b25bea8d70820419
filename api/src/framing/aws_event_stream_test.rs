//! Frames: Amazon's own test vectors, every cut, and everything that must not be believed.

use super::{
    BYTE, BYTES, EVENT_LIMIT_BYTES, FALSE, INTEGER, Kind, LONG, SHORT, Splitter, TIMESTAMP, TRUE, UUID,
};
use super::{frame, framed};

/// A frame's kind and payload.
type Read = (String, Vec<u8>);

/// What comes out of `stream` in pieces: kind and payload of each frame, and how it ended.
fn read(pieces: &[&[u8]]) -> (Vec<Read>, Result<bool, String>) {
    let mut splitter = Splitter::default();
    let mut read = Vec::new();
    for piece in pieces {
        splitter.feed(piece);
        loop {
            match splitter.next() {
                Ok(Some(message)) => read.push((format!("{:?}", message.kind), message.payload.to_vec())),
                Ok(None) => break,
                Err(error) => return (read, Err(error.message)),
            }
        }
    }
    (read, Ok(splitter.is_between_frames()))
}

/// The frames with which Amazon's own libraries are tested.
#[test]
fn published_frames() {
    #[rustfmt::skip]
    let cases: [(&[u8], &[u8]); 4] = [
        (b"\x00\x00\x00\x10\x00\x00\x00\x00\x05\xc2H\xeb}\x98\xc8\xff", b""),
        (b"\x00\x00\x00\x1d\x00\x00\x00\x00\xfdR\x8cZ{'foo':'bar'}\xc3e96", b"{'foo':'bar'}"),
        (b"\x00\x00\x00=\x00\x00\x00 \x07\xfd\x83\x96\x0ccontent-type\x07\x00\x10application/json{'foo':'bar'}\x8d\x9c\x08\xb1", b"{'foo':'bar'}"),
        (b"\x00\x00\x00+\x00\x00\x00\x0e4\x8b\xec{\x08event-id\x04\x00\x00\xa0\x0c{'foo':'bar'}\xd3\x89\x02\x85", b"{'foo':'bar'}"),
    ];
    for (bytes, payload) in cases {
        let expected = vec![(format!("{:?}", Kind::Event("")), payload.to_vec())];
        assert_eq!(read(&[bytes]), (expected, Ok(true)));
    }
}

#[test]
fn the_same_wherever_it_is_cut() {
    let stream = [
        frame(&[(":message-type", "event"), (":event-type", "a"), (":content-type", "x")], b"{}"),
        frame(
            &[(":message-type", "exception"), (":exception-type", "throttlingException")],
            b"{\"message\":\"m\"}",
        ),
        frame(&[(":message-type", "error"), (":error-code", "c"), (":error-message", "m")], b""),
    ]
    .concat();
    let whole = read(&[&stream]);
    let kinds: Vec<_> = whole.0.iter().map(|(kind, _)| kind.clone()).collect();
    let expected =
        [Kind::Event("a"), Kind::Exception("throttlingException"), Kind::Error { code: "c", message: "m" }];
    assert_eq!(kinds, expected.map(|kind| format!("{kind:?}")));
    assert_eq!(read(&stream.chunks(1).collect::<Vec<_>>()), whole, "byte by byte");
    for cut in 0..=stream.len() {
        assert_eq!(read(&[&stream[..cut], &stream[cut..]]), whole, "cut at {cut}");
        let (read, ended) = read(&[&stream[..cut]]);
        assert_eq!(ended, Ok(cut == 0 || stream.len() == cut || is_border(&stream, cut)), "ends at {cut}");
        assert!(read.len() <= 3);
    }
}

/// Whether a frame begins at `cut`.
fn is_border(stream: &[u8], cut: usize) -> bool {
    let mut at = 0;
    while at < cut {
        at += u32::from_be_bytes(stream[at..at + 4].try_into().unwrap()) as usize;
    }
    at == cut
}

/// Any byte that changes on the way is noticed, and nothing of that frame is handed out.
#[test]
fn damage_is_noticed() {
    let stream = frame(&[(":event-type", "a")], b"payload");
    for at in 0..stream.len() {
        let mut damaged = stream.clone();
        damaged[at] ^= 0x10;
        let (read, ended) = read(&[&damaged]);
        assert_eq!(read, [], "byte {at}");
        assert!(ended.clone().unwrap_err().contains("checksum"), "byte {at}: {ended:?}");
    }
}

#[test]
fn lengths_are_bounded_before_anything_is_gathered() {
    let prelude = |total: u32, headers: u32| {
        let mut bytes = total.to_be_bytes().to_vec();
        bytes.extend_from_slice(&headers.to_be_bytes());
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_be_bytes());
        bytes
    };
    let most = u32::try_from(EVENT_LIMIT_BYTES).unwrap();
    #[rustfmt::skip]
    let cases = [
        // total     headers    refused because
        (most,       0,         ""),
        (most + 1,   0,         "at most"),
        (u32::MAX,   u32::MAX,  "at most"),
        (15,         0,         "headers alone"), // less than any frame
        (0,          0,         "headers alone"),
        (100,        85,        "headers alone"),
        (100,        84,        ""),
    ];
    for (total, headers, why) in cases {
        let (_, ended) = read(&[&prelude(total, headers)]);
        match ended {
            Ok(between) => assert!(why.is_empty() && !between, "{total} {headers}"),
            Err(message) => assert!(!why.is_empty() && message.contains(why), "{total} {headers}: {message}"),
        }
    }
}

#[test]
fn headers_of_every_type_are_passed_over() {
    let named = |kind: u8, value: &[u8]| [&[1, b'x', kind], value].concat();
    let event = [&[11][..], b":event-type", &[7, 0, 1, b'e']].concat();
    #[rustfmt::skip]
    let cases: [(Vec<u8>, bool); 14] = [
        (named(TRUE, &[]),                     true),
        (named(FALSE, &[]),                    true),
        (named(BYTE, &[1]),                    true),
        (named(SHORT, &[1; 2]),                true),
        (named(INTEGER, &[1; 4]),              true),
        (named(LONG, &[1; 8]),                 true),
        (named(BYTES, &[0, 3, 1, 2, 3]),       true),
        (named(TIMESTAMP, &[1; 8]),            true),
        (named(UUID, &[1; 16]),                true),
        (named(10, &[]),                       false), // no such type
        (named(7, &[0, 2, 0xC3, 0x28]),        false), // not UTF-8
        (named(BYTES, &[0xFF, 0xFF]),          false), // longer than the headers
        (vec![9, b'x'],                        false), // a name that is cut
        (vec![1, b'x'],                        false), // no type
    ];
    for (header, well) in cases {
        let (read, ended) = read(&[&framed(&[event.clone(), header.clone()].concat(), b"p")]);
        assert_eq!(ended.is_ok(), well, "{header:?}");
        if well {
            assert_eq!(read, [(format!("{:?}", Kind::Event("e")), b"p".to_vec())], "{header:?}");
        }
    }
    let (_, ended) = read(&[&frame(&[(":message-type", "novel")], b"")]);
    assert!(ended.unwrap_err().contains("novel"));
}

/// A long stream keeps no more than what has not been handed out.
#[test]
fn memory_does_not_grow() {
    let one = frame(&[(":event-type", "a")], &[b'x'; 1_000]);
    let mut splitter = Splitter::default();
    for _ in 0..1_000 {
        splitter.feed(&one);
        assert!(splitter.next().unwrap().is_some() && splitter.next().unwrap().is_none());
    }
    assert!(splitter.kept.capacity() < 64 * 1024, "{}", splitter.kept.capacity());
}
