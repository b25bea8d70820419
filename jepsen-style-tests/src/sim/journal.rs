//! A node's disk: one journal a session, of which only a part is flushed.

use std::collections::BTreeMap;

use tollgate_ratelimit::journal::{BootId, Opened, Record, Replayed, Writer, replay};
use tollgate_ratelimit::ledger::command::SessionId;

/// One file.
#[derive(Clone, Debug)]
struct File {
    bytes: Vec<u8>,
    flushed: usize,
}

/// See the file's purpose.
#[derive(Debug, Default)]
pub struct Disk {
    files: BTreeMap<SessionId, File>,
    next_file: u64,
    current: Option<(SessionId, Writer)>,
}

impl Disk {
    /// Begins the journal of a session.
    pub fn open(&mut self, opened: Opened) {
        self.next_file += 1;
        let mut bytes = Vec::new();
        let writer = Writer::begin(self.next_file, &mut bytes);
        self.files.insert(opened.session, File { bytes, flushed: 0 });
        self.current = Some((opened.session, writer));
        self.append(&Record::Opened(opened));
        self.flush();
    }

    /// Appends to the current session's journal. Says where the record ends.
    pub fn append(&mut self, record: &Record<'_>) -> usize {
        let Some((session, writer)) = &mut self.current else { return 0 };
        let Some(file) = self.files.get_mut(session) else { return 0 };
        writer.append(record, &mut file.bytes).expect("the simulator's records are short");
        file.bytes.len()
    }

    /// What is written is kept, whatever happens.
    pub fn flush(&mut self) {
        for file in self.files.values_mut() {
            file.flushed = file.bytes.len();
        }
    }

    /// The process is gone: nobody appends any more.
    pub fn close(&mut self) {
        self.current = None;
    }

    /// Power is lost: of each file a part of what was not flushed is kept, at least `keep` of it by `choose`.
    pub fn lose_power(&mut self, mut choose: impl FnMut(usize) -> usize) -> BTreeMap<SessionId, usize> {
        self.current = None;
        for file in self.files.values_mut() {
            let unflushed = file.bytes.len() - file.flushed;
            let kept = file.flushed + choose(unflushed + 1);
            file.bytes.truncate(kept);
            file.flushed = kept;
        }
        self.files.iter().map(|(session, file)| (*session, file.bytes.len())).collect()
    }

    /// What an earlier session's journal says, if there is one.
    pub fn read(&self, session: SessionId, boot: BootId) -> Option<Replayed> {
        replay(&self.files.get(&session)?.bytes, boot).ok()
    }

    /// The session is closed: nobody will ask for its journal.
    pub fn remove(&mut self, session: SessionId) {
        self.files.remove(&session);
    }
}
