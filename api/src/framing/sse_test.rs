//! The standard's rules as a table, each stream cut at every place.

use super::{EVENT_LIMIT_BYTES, Splitter};

/// Name and data of each event that carries data.
type Events = Vec<(Option<String>, String)>;

/// The same as a table writes it.
type Expected<'a> = &'a [(Option<&'a str>, &'a str)];

fn split(chunks: &[&[u8]]) -> Events {
    let mut splitter = Splitter::new();
    let mut events = Vec::new();
    for chunk in chunks {
        let mut at = 0;
        while let Some(event) = splitter.next(chunk, &mut at).unwrap() {
            if !event.data.is_empty() {
                let data = String::from_utf8(event.data.to_vec()).unwrap();
                events.push((event.name.map(str::to_owned), data));
            }
        }
        assert_eq!(at, chunk.len(), "a chunk is used up before the next");
    }
    events
}

#[test]
fn follows_the_standard_wherever_it_is_cut() {
    #[rustfmt::skip]
    let cases: [(&str, Expected<'_>); 17] = [
        ("data: a\n\ndata: b\n\n",                &[(None, "a"), (None, "b")]),
        ("data: a\r\n\r\ndata: b\r\n\r\n",        &[(None, "a"), (None, "b")]),
        ("data: a\r\rdata: b\r\r",                &[(None, "a"), (None, "b")]),
        ("data: a\r\n\ndata: b\n\r\n",            &[(None, "a"), (None, "b")]),   // line ends may be mixed
        ("data:a\n\n",                            &[(None, "a")]),                // the space is optional
        ("data:  a\n\n",                          &[(None, " a")]),               // and only one is dropped
        ("data: a\ndata: b\ndata\ndata:c\n\n",    &[(None, "a\nb\n\nc")]),        // joined by line feeds
        ("event: x\ndata: a\n\ndata: b\n\n",      &[(Some("x"), "a"), (None, "b")]), // a name holds for one event
        ("data: a\nevent: x\r\n\r\n",             &[(Some("x"), "a")]),           // order is free
        ("event: x\n\ndata: a\n\n",               &[(None, "a")]),                // no data, no event
        (": hi\ndata: a\n: more\ndata: b\n\n",    &[(None, "a\nb")]),             // comments
        (": hi\n\n: ho\n\ndata: a\n\n",           &[(None, "a")]),                // heartbeats
        ("id: 7\nretry: 5\nfoo: b\ndata: a\n\n",  &[(None, "a")]),                // fields of no concern here
        ("\u{feff}data: a\n\ndata: b\n\n",        &[(None, "a"), (None, "b")]),   // a byte order mark leads
        ("data: a\n\n\u{feff}data: b\n\n",        &[(None, "a")]),                // and only leads
        ("\n\n\ndata: a\n\n\n\n",                 &[(None, "a")]),                // blank lines more than needed
        ("data: a\n\ndata: b\n",                  &[(None, "a")]),                // cut off: no event
    ];
    for (stream, expected) in cases {
        let expected: Events =
            expected.iter().map(|(name, data)| (name.map(str::to_owned), (*data).to_owned())).collect();
        let bytes = stream.as_bytes();
        assert_eq!(split(&[bytes]), expected, "{stream:?}");
        assert_eq!(split(&bytes.chunks(1).collect::<Vec<_>>()), expected, "{stream:?} byte by byte");
        for cut in 0..bytes.len() {
            assert_eq!(split(&[&bytes[..cut], &bytes[cut..]]), expected, "{stream:?} cut at {cut}");
        }
    }
}

#[test]
fn a_heartbeat_is_not_held_back() {
    let mut splitter = Splitter::new();
    let mut at = 0;
    assert!(splitter.next(b": ping\n", &mut at).unwrap().is_some());
    assert!(splitter.is_between_blocks());
}

#[test]
fn what_is_left_at_the_end_can_be_read() {
    let mut splitter = Splitter::new();
    assert_eq!(splitter.rest(), None);
    let mut at = 0;
    assert_eq!(splitter.next(b"data: [DONE]\n", &mut at), Ok(None));
    assert_eq!(splitter.rest().unwrap().data, &b"[DONE]"[..]);
}

#[test]
fn an_event_has_a_limit() {
    let mut splitter = Splitter::new();
    let megabyte = vec![b'x'; 1024 * 1024];
    let refused = (0..100).find(|_| splitter.next(&megabyte, &mut 0).is_err());
    assert_eq!(refused, Some(EVENT_LIMIT_BYTES / megabyte.len()));
}
