//! The house rules that a machine can check: file length, module docs, no dead files, and that the pure crates stay
//! pure. What is not checked decays.

use std::fs;
use std::path::{Path, PathBuf};

/// A file that is longer hides something that wants a name of its own.
const MOST_LINES: usize = 500;
/// Crates that decide and never act, and what they may not even name as a dependency.
const PURE: [&str; 3] = ["ratelimit", "api", "crds"];
const IMPURE: [&str; 12] = [
    "tokio",
    "hyper",
    "hyper-util",
    "sled",
    "tonic",
    "openraft",
    "chitchat",
    "reqwest",
    "rand",
    "chrono",
    "getrandom",
    "async-trait",
];
const CRATES: [&str; 5] = ["ratelimit", "api", "crds", "node", "jepsen-style-tests"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace").to_owned()
}

/// Every Rust file of the workspace, with its text.
fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = CRATES.iter().map(|name| root().join(name)).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the workspace") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = fs::read_to_string(&path).expect("source is text");
                found.push((path, text));
            }
        }
    }
    found.sort();
    found
}

fn is_test(path: &Path) -> bool {
    let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    name.ends_with("_test") || path.components().any(|part| part.as_os_str() == "tests")
}

/// Panics with all offenders at once, one a line.
fn check(rule: &str, offenders: &[String]) {
    assert!(offenders.is_empty(), "{rule}:\n  {}", offenders.join("\n  "));
}

#[test]
fn sources_were_found() {
    assert!(sources().len() > 50, "the walk over the workspace finds its files");
}

#[test]
fn no_file_is_too_long() {
    let long = sources().into_iter().filter(|(path, _)| !is_test(path)).filter_map(|(path, text)| {
        let lines = text.lines().count();
        (lines > MOST_LINES).then(|| format!("{} has {lines} lines", path.display()))
    });
    check("at most 500 lines a file", &long.collect::<Vec<_>>());
}

#[test]
fn every_file_says_why_it_exists() {
    let silent = sources().into_iter().filter(|(_, text)| !text.starts_with("//!"));
    check("a module doc first", &silent.map(|(path, _)| path.display().to_string()).collect::<Vec<_>>());
}

#[test]
fn nothing_is_left_unfinished() {
    let marks =
        [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("FIX", "ME"), concat!("XX", "X")];
    let unfinished = sources().into_iter().filter_map(|(path, text)| {
        let mark = marks.iter().find(|mark| text.contains(**mark))?;
        Some(format!("{}: {mark}", path.display()))
    });
    check("finished work only", &unfinished.collect::<Vec<_>>());
}

/// A file under `src/` that no `mod` names is never compiled, and so never checked.
#[test]
fn no_file_is_dead() {
    let sources = sources();
    let dead = sources.iter().filter_map(|(path, _)| {
        let stem = path.file_stem()?.to_str()?;
        let folder = path.parent()?;
        let under_src = path.components().any(|part| part.as_os_str() == "src");
        if !under_src || ["main", "lib", "mod"].contains(&stem) || folder.ends_with("bin") {
            return None;
        }
        let declaration = format!("mod {stem};");
        let by_path = format!("\"{stem}.rs\"");
        let parent_file = folder.with_extension("rs");
        let named = sources.iter().any(|(other, text)| {
            let near = other.parent() == Some(folder) || *other == parent_file;
            near && (text.contains(&declaration) || text.contains(&by_path))
        });
        (!named).then(|| path.display().to_string())
    });
    check("every file is part of its crate", &dead.collect::<Vec<_>>());
}

#[test]
fn pure_crates_stay_pure() {
    let mut offenders = Vec::new();
    for name in PURE {
        let manifest = fs::read_to_string(root().join(name).join("Cargo.toml")).expect("a manifest");
        let dependencies = manifest.split("[dev-dependencies]").next().unwrap_or_default();
        for line in dependencies.lines() {
            let dependency = line.split(['=', '.', ' ']).next().unwrap_or_default();
            if IMPURE.contains(&dependency) {
                offenders.push(format!("{name} depends on {dependency}"));
            }
        }
        let clippy = root().join(name).join(".clippy.toml");
        if !fs::read_to_string(clippy).is_ok_and(|text| text.contains("Instant::now")) {
            offenders.push(format!("{name} has no .clippy.toml that forbids clocks"));
        }
    }
    check("pure crates know no socket, clock or disk", &offenders);
}

#[test]
fn ratelimit_and_api_know_nothing_of_each_other() {
    for (one, other) in [("ratelimit", "tollgate-api"), ("api", "tollgate-ratelimit")] {
        let manifest = fs::read_to_string(root().join(one).join("Cargo.toml")).expect("a manifest");
        assert!(!manifest.contains(other), "{one} must not depend on {other}");
    }
}
