//! A file of the data folder as bytes: what it is, its format, a checksum, and the value in postcard.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::folder::{Folder, FolderError};

/// One kind of file.
pub(super) struct Form {
    pub(super) name: &'static str,
    /// The first bytes, so that no file is taken for another.
    pub(super) magic: [u8; 4],
    pub(super) format: u32,
}

const HEAD: usize = 12;

impl Form {
    /// What the file says; None if there is none.
    pub(super) fn read<T: DeserializeOwned>(&self, folder: &Folder) -> Result<Option<T>, FolderError> {
        let Some(content) = folder.read(self.name)? else { return Ok(None) };
        let damaged = |why: String| folder.damaged(self.name, why);
        let Some((head, body)) = content.split_first_chunk::<HEAD>() else {
            return Err(damaged(format!("expected at least {HEAD} bytes, {} came", content.len())));
        };
        if head[..4] != self.magic {
            return Err(damaged(format!(
                "expected it to begin with {:?}, {:?} came",
                self.magic,
                &head[..4]
            )));
        }
        let number = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("four bytes"));
        let (format, checksum) = (number(4), number(8));
        if format > self.format {
            let path = folder.path().join(self.name);
            return Err(FolderError::Newer { path, known: self.format, got: format });
        }
        let found = self.checksum(format, body);
        if checksum != found {
            return Err(damaged(format!("expected the checksum {checksum:08x}, it is {found:08x}")));
        }
        match postcard::take_from_bytes(body) {
            Ok((value, [])) => Ok(Some(value)),
            Ok((_, rest)) => Err(damaged(format!("{} bytes too many", rest.len()))),
            Err(why) => Err(damaged(why.to_string())),
        }
    }

    pub(super) fn replace<T: Serialize>(&self, folder: &Folder, value: &T) -> Result<(), FolderError> {
        let body = postcard::to_allocvec(value).expect("numbers, bytes and texts can be written");
        let mut content = self.magic.to_vec();
        content.extend(self.format.to_le_bytes());
        content.extend(self.checksum(self.format, &body).to_le_bytes());
        content.extend(body);
        folder.replace(self.name, &content)
    }

    fn checksum(&self, format: u32, body: &[u8]) -> u32 {
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(&self.magic);
        checksum.update(&format.to_le_bytes());
        checksum.update(body);
        checksum.finalize()
    }
}
