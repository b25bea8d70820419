//! The marker: a small file beside the log that remembers how far the log had come.
//!
//! sled has been seen to reopen a file that it can't read as an empty store, with no error. A voter that comes back empty
//! under its old id may vote twice and un-commits what was granted, and no other node can notice. So the log says
//! elsewhere what it holds at least, and one that holds less is refused.
//!
//! **When it moves.** Not with each commit: an entry is acknowledged after its own sync, and the marker makes nothing more
//! durable; it is there to notice a store that lost what it had. It is written after what it tells of is durable, so it
//! never asks for too much, and before a truncation takes effect it goes back first. It moves with every vote (rare, and a
//! forgotten vote is a second vote), and else about once a second under load, when the log comes to rest, and at a clean
//! stop. What it can miss is thus the loss of nothing but the last second of entries before a crash, out of a file whose
//! every block was synced: neither a killed process nor a power cut does that, only a damaged medium, in its last blocks.
//!
//! Its text is for people too:
//!
//! ```text
//! tollgate-log 1
//! cluster 0000000000000000000000000000002a
//! node 7
//! reached 1234
//! votes 3
//! sum 89abcdef
//! ```

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use super::error::{OpenError, Owner};

/// The format of the log and its marker. A newer one is refused: it may mean something else.
pub(super) const FORMAT: u64 = 1;

/// What the log holds at least.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// The last index, present or purged.
    pub index: Option<u64>,
    /// How many votes were saved.
    pub votes: u64,
}

impl Reached {
    /// Whether a log that holds this much has all that `other` tells of.
    pub(super) fn covers(self, other: Self) -> bool {
        self.index >= other.index && self.votes >= other.votes
    }
}

/// Reads the marker; None where there is no file.
pub(super) fn load(path: &Path, owner: Owner) -> Result<Option<Reached>, OpenError> {
    let text = match fs::read(path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(OpenError::Io { path: path.to_owned(), source }),
    };
    let format = text.lines().next().and_then(|line| number(line, "tollgate-log", 10));
    if let Some(found) = format.filter(|found| *found > u128::from(FORMAT)) {
        return Err(OpenError::Newer { path: path.to_owned(), found, known: FORMAT });
    }
    let (found, reached) = parse(&text).map_err(|what| OpenError::Corrupt { path: path.to_owned(), what })?;
    if found != owner {
        return Err(OpenError::Foreign { path: path.to_owned(), found, expected: owner });
    }
    Ok(Some(reached))
}

/// Writes the marker so that a crash leaves the old one or the new one, and a power cut the new one once this has returned.
pub(super) fn store(path: &Path, owner: Owner, reached: Reached) -> io::Result<()> {
    let next = path.with_extension("next");
    let mut file = File::create(&next)?;
    file.write_all(text(owner, reached).as_bytes())?;
    file.sync_all()?;
    fs::rename(&next, path)?;
    let folder = path.parent().ok_or_else(|| io::Error::other("the marker lies in a folder"))?;
    File::open(folder)?.sync_all()
}

fn text(owner: Owner, reached: Reached) -> String {
    let Owner { cluster, node } = owner;
    let index = reached.index.map_or("nothing".to_owned(), |index| index.to_string());
    let votes = reached.votes;
    let text = format!(
        "tollgate-log {FORMAT}\ncluster {cluster:032x}\nnode {node}\nreached {index}\nvotes {votes}\n"
    );
    let sum = crc32fast::hash(text.as_bytes());
    format!("{text}sum {sum:08x}\n")
}

fn parse(text: &str) -> Result<(Owner, Reached), String> {
    let (body, sum) = text.split_at(text.rfind("sum ").unwrap_or(text.len()));
    if number(sum.trim_end(), "sum", 16) != Some(u128::from(crc32fast::hash(body.as_bytes()))) {
        let expected = crc32fast::hash(body.as_bytes());
        return Err(format!("a last line \"sum {expected:08x}\" was expected, {sum:?} came"));
    }
    let lines: Vec<&str> = body.lines().collect();
    let [_, cluster, node, reached, votes] = lines[..] else {
        return Err(format!("six lines were expected, {} came", lines.len() + 1));
    };
    let field = |line, name, radix| {
        number(line, name, radix).ok_or_else(|| format!("{name} and a number was expected, {line:?} came"))
    };
    let small = |line, name| {
        let wide = field(line, name, 10)?;
        u64::try_from(wide).map_err(|_| format!("{name}: at most {} was expected, {wide} came", u64::MAX))
    };
    let owner = Owner { cluster: field(cluster, "cluster", 16)?, node: small(node, "node")? };
    let index = if reached == "reached nothing" { None } else { Some(small(reached, "reached")?) };
    Ok((owner, Reached { index, votes: small(votes, "votes")? }))
}

/// The number of a line `name number`.
fn number(line: &str, name: &str, radix: u32) -> Option<u128> {
    let (found, digits) = line.split_once(' ')?;
    (found == name).then(|| u128::from_str_radix(digits, radix).ok())?
}
