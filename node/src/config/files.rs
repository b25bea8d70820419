//! Resource files: what `-f` names, whole folders too, in a stable order.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;
use std::{fs, io};

/// A manifest larger than this is a mistake, not a manifest.
const LIMIT_BYTES: u64 = 64 * 1024 * 1024;

/// One file's text.
pub(crate) struct File {
    pub(crate) path: PathBuf,
    pub(crate) text: Result<String, String>,
}

/// Reads every file named by `paths`. A folder stands for the `.yaml`, `.yml` and `.json` files in it, by name.
/// A path that is not there is an error of that file: the others load.
pub(crate) fn read(paths: &[PathBuf]) -> Vec<File> {
    let mut files = Vec::new();
    for path in paths {
        match expand(path) {
            Ok(found) => files.extend(found.into_iter().map(|path| {
                let text = text(&path).map_err(|error| error.to_string());
                File { path, text }
            })),
            Err(error) => files.push(File { path: path.clone(), text: Err(error.to_string()) }),
        }
    }
    files
}

/// Seconds since 1970: when the newest of the files was written. None: there is none.
pub(crate) fn written_at_s(paths: &[PathBuf]) -> Option<u64> {
    let files = paths.iter().filter_map(|path| expand(path).ok()).flatten();
    let written = files.filter_map(|path| fs::metadata(path).and_then(|file| file.modified()).ok()).max()?;
    Some(written.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
}

fn expand(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        let manifest =
            path.extension().is_some_and(|ending| ["yaml", "yml", "json"].iter().any(|one| ending == *one));
        if manifest && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn text(path: &Path) -> io::Result<String> {
    let length = fs::metadata(path)?.len();
    if length > LIMIT_BYTES {
        let message = format!("expected at most {LIMIT_BYTES} bytes, got {length}");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    fs::read_to_string(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_stands_for_its_manifests_in_order() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.yaml", "a.yml", "c.json", "notes.txt", ".hidden.swp"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        fs::create_dir(folder.path().join("d.yaml")).unwrap();
        let missing = folder.path().join("missing.yaml");
        let files = read(&[folder.path().to_owned(), missing.clone()]);
        let texts: Vec<_> = files.iter().filter_map(|file| file.text.as_deref().ok()).collect();
        assert_eq!(texts, ["a.yml", "b.yaml", "c.json"]);
        let wrong: Vec<_> = files.iter().filter(|file| file.text.is_err()).map(|file| &file.path).collect();
        assert_eq!(wrong, [&missing]);
    }
}
