//! A node's disk: one journal a session, of which a part is flushed.

use std::collections::BTreeMap;

use tollgate_ratelimit::journal::{BootId, JournalError, Opened, Record, Replayed, Writer, replay};
use tollgate_ratelimit::ledger::command::SessionId;

struct File {
    writer: Writer,
    bytes: Vec<u8>,
    flushed: usize,
}

/// See the file's purpose.
#[derive(Default)]
pub(crate) struct Disk {
    files: BTreeMap<SessionId, File>,
    next_file: u64,
    pub(crate) fails: bool,
}

impl Disk {
    /// Begins the journal of a session.
    pub(crate) fn open(&mut self, opened: Opened) -> Result<(), String> {
        self.next_file += 1;
        let mut bytes = Vec::new();
        let writer = Writer::begin(self.next_file, &mut bytes);
        self.files.insert(opened.session, File { writer, bytes, flushed: 0 });
        self.append(opened.session, &Record::Opened(opened))?;
        self.flush()
    }

    /// Appends to a session's journal.
    pub(crate) fn append(&mut self, session: SessionId, record: &Record<'_>) -> Result<(), String> {
        if self.fails {
            return Err("the journal can't be written".to_owned());
        }
        let file = self.files.get_mut(&session).ok_or("the session has no journal")?;
        file.writer.append(record, &mut file.bytes).map_err(|error| error.to_string())
    }

    /// What is written survives a power loss.
    pub(crate) fn flush(&mut self) -> Result<(), String> {
        if self.fails {
            return Err("the journal can't be flushed".to_owned());
        }
        self.files.values_mut().for_each(|file| file.flushed = file.bytes.len());
        Ok(())
    }

    /// Power is lost. Says how many bytes went with it.
    pub(crate) fn lose_power(&mut self) -> usize {
        let lost = self.files.values().map(|file| file.bytes.len() - file.flushed).sum();
        self.files.values_mut().for_each(|file| file.bytes.truncate(file.flushed));
        lost
    }

    /// The last record was being written when the process was killed.
    pub(crate) fn tear(&mut self) {
        if let Some(file) = self.files.values_mut().next_back() {
            file.bytes.truncate(file.bytes.len().saturating_sub(1));
        }
    }

    /// Everything is gone.
    pub(crate) fn wipe(&mut self) {
        self.files.clear();
    }

    /// What a session's journal says; none where there is none.
    pub(crate) fn read(&self, session: SessionId, boot: BootId) -> Option<Result<Replayed, JournalError>> {
        self.files.get(&session).map(|file| replay(&file.bytes, boot))
    }
}
