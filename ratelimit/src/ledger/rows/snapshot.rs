//! The table as sections of a snapshot: names in the order of their numbers, then rows and changes by number.

use std::io::Write;

use super::{Change, Place, Row, Rows};
use crate::wire::snapshot::{Chunk, SnapshotError, Writer};

/// Section numbers, for ever.
const NAMES: u8 = 20;
const BOOKED: u8 = 21;
const CHANGES: u8 = 22;
const FOLDED_ON: u8 = 23;

impl Rows {
    /// Writes every section.
    pub(in crate::ledger) fn write<W: Write>(&self, out: &mut Writer<W>) -> Result<(), SnapshotError> {
        let Self { names, booked, changes, folded_on } = self;
        names.iter().try_for_each(|name| out.item(NAMES, name))?;
        booked.iter().try_for_each(|row| out.item(BOOKED, &row))?;
        changes.iter().try_for_each(|change| out.item(CHANGES, &change))?;
        out.item(FOLDED_ON, folded_on)
    }

    /// Reads a chunk of one of its sections.
    pub(in crate::ledger) fn take(&mut self, chunk: &Chunk) -> Result<(), SnapshotError> {
        match chunk.section {
            NAMES => chunk.items::<String>()?.iter().for_each(|name| self.names.restore(name)),
            BOOKED => self.booked.extend(chunk.items::<(Place, Row)>()?),
            CHANGES => self.changes.extend(chunk.items::<(Place, Change)>()?),
            FOLDED_ON => self.folded_on = chunk.items::<u32>()?.into_iter().max().unwrap_or_default(),
            _ => return Err(chunk.unknown()),
        }
        Ok(())
    }
}
