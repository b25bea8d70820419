//! A node's disk: the journals of its sessions, of which only a part is flushed. Files are begun anew from time to time, with
//! a checkpoint; a process may die while it writes one, and power may take or spoil what was not flushed.

use std::collections::BTreeMap;

use tollgate_ratelimit::journal::{Books, BootId, LastBatch, Opened, Record, Replayed, Writer, replay};
use tollgate_ratelimit::ledger::command::SessionId;

use super::dice::Dice;

/// Room that is made ahead is zeros.
const MOST_ROOM: usize = 64;

/// One file.
#[derive(Clone, Debug)]
struct File {
    bytes: Vec<u8>,
    flushed: usize,
    /// What is behind this is not as it was written.
    spoilt_at: usize,
    /// What the session had written when this file was begun: places in a journal go on from file to file.
    base: usize,
}

/// The journal that is written.
#[derive(Debug)]
struct Current {
    session: SessionId,
    writer: Writer,
    /// What it says so far.
    books: Books,
}

/// See the file's purpose.
#[derive(Debug, Default)]
pub struct Disk {
    /// The newest of a session last.
    files: BTreeMap<SessionId, Vec<File>>,
    next_file: u64,
    current: Option<Current>,
}

impl Disk {
    /// Begins the journal of a session.
    pub fn open(&mut self, opened: Opened) {
        let mut bytes = Vec::new();
        let writer = self.begin(&mut bytes);
        self.files.insert(opened.session, vec![File::new(bytes, 0)]);
        self.current = Some(Current { session: opened.session, writer, books: Books::default() });
        self.append(&Record::Opened(opened));
        self.flush();
    }

    /// Appends to the current session's journal. Says where the record ends.
    pub fn append(&mut self, record: &Record<'_>) -> usize {
        let Some(Current { session, writer, books }) = &mut self.current else { return 0 };
        let Some(file) = self.files.get_mut(session).and_then(|files| files.last_mut()) else { return 0 };
        books.apply(record.clone()).expect("what a node writes follows what it wrote before");
        writer.append(record, &mut file.bytes).expect("the simulator's records are short");
        file.base + file.bytes.len()
    }

    /// What is written is kept, whatever happens.
    pub fn flush(&mut self) {
        for file in self.files.values_mut().flatten() {
            file.flushed = file.bytes.len();
        }
    }

    /// The journal goes on in a new file. The old one is there for a while longer, or not.
    pub fn rotate(&mut self, dice: &mut Dice) {
        let Some(Current { session, books, .. }) = &self.current else { return };
        let (session, books) = (*session, books.clone());
        let (writer, bytes) = self.checkpoint(&books);
        let files = self.files.entry(session).or_default();
        let base = files.last().map_or(0, |file| file.base + file.bytes.len());
        if dice.chance(2, 3) {
            files.clear();
        }
        files.push(File { flushed: bytes.len(), ..File::new(bytes, base) });
        self.current = Some(Current { session, writer, books });
    }

    /// The process goes on as another session after the ledger has closed its own.
    pub fn resume(&mut self, opened: Opened, last: LastBatch) {
        let Some(Current { session: old, books, .. }) = self.current.take() else { return };
        let books = books.resumed(opened, last);
        let (writer, bytes) = self.checkpoint(&books);
        self.files.insert(opened.session, vec![File { flushed: bytes.len(), ..File::new(bytes, 0) }]);
        self.current = Some(Current { session: opened.session, writer, books });
        self.files.remove(&old);
    }

    fn begin(&mut self, bytes: &mut Vec<u8>) -> Writer {
        self.next_file += 1;
        Writer::begin(self.next_file, bytes)
    }

    fn checkpoint(&mut self, books: &Books) -> (Writer, Vec<u8>) {
        let mut bytes = Vec::new();
        let mut writer = self.begin(&mut bytes);
        writer.checkpoint(books, &mut bytes).expect("the simulator's books are short");
        (writer, bytes)
    }

    /// The process is gone, now and then while it wrote a new file: nobody appends any more.
    pub fn close(&mut self, dice: &mut Dice) {
        let Some(Current { session, books, .. }) = self.current.take() else { return };
        if dice.chance(1, 4) {
            let (_, mut bytes) = self.checkpoint(&books);
            bytes.truncate(dice.index(bytes.len()));
            let files = self.files.entry(session).or_default();
            let base = files.last().map_or(0, |file| file.base);
            files.push(File::new(bytes, base));
        }
    }

    /// Power is lost: of each file a part of what was not flushed is kept, and not always as it was written. Says how much
    /// of each session's journal is whole.
    pub fn lose_power(&mut self, dice: &mut Dice) -> BTreeMap<SessionId, usize> {
        let mut kept = BTreeMap::new();
        for (session, files) in &mut self.files {
            for file in files {
                let whole = file.lose_power(dice);
                if replay(&file.bytes, BootId::default()).is_ok() {
                    kept.insert(*session, file.base + whole);
                }
            }
        }
        kept
    }

    /// What an earlier session's journal says, if there is one: the newest file that was begun.
    pub fn read(&self, session: SessionId, boot: BootId) -> Option<Replayed> {
        self.files.get(&session)?.iter().rev().find_map(|file| replay(&file.bytes, boot).ok())
    }

    /// The session is closed: nobody will ask for its journal.
    pub fn remove(&mut self, session: SessionId) {
        self.files.remove(&session);
    }
}

impl File {
    const fn new(bytes: Vec<u8>, base: usize) -> Self {
        Self { bytes, flushed: 0, spoilt_at: usize::MAX, base }
    }

    /// How much of it is as it was written.
    fn lose_power(&mut self, dice: &mut Dice) -> usize {
        let unflushed = self.bytes.len() - self.flushed;
        let mut whole = self.flushed + dice.index(unflushed + 1);
        self.bytes.truncate(whole);
        if whole > self.flushed && dice.chance(1, 3) {
            whole = self.flushed + dice.index(whole - self.flushed);
            self.bytes[whole] ^= 1 << dice.below(8);
        }
        if unflushed > 0 && dice.chance(1, 3) {
            self.bytes.resize(self.bytes.len() + dice.index(MOST_ROOM), 0);
        }
        self.flushed = self.bytes.len();
        self.spoilt_at = self.spoilt_at.min(whole);
        self.spoilt_at
    }
}
