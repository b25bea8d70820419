//! The shelf on a real disk: what has a snapshot's name is whole, two are kept, and nothing unfinished stays.

use std::path::Path;

use super::folder::Disk;
use super::*;

fn shelf(folder: &Path) -> Shelf {
    Shelf::open(Arc::new(Disk::open(folder.to_owned()).expect("a folder"))).expect("a shelf")
}

fn names(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> =
        names.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect();
    names.sort();
    names
}

fn put(shelf: &Shelf, index: u64) {
    let mut part = shelf.begin().expect("room");
    part.write_all(format!("up to {index}").as_bytes()).expect("room");
    shelf.keep(part.finish().expect("room"), Place { index, term: 1 }).expect("room");
}

#[test]
fn the_last_two_are_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().join("snapshots");
    let shelf = shelf(&folder);
    for index in [5, 9, 100, 20] {
        put(&shelf, index);
    }
    assert_eq!(shelf.places().expect("names").iter().map(|place| place.index).collect::<Vec<_>>(), [100, 20]);
    assert_eq!(names(&folder), ["snapshot-100-1", "snapshot-20-1"], "numbers are compared as numbers");

    let mut newest = shelf.snapshot(Place { index: 100, term: 1 }).expect("there");
    put(&shelf, 101);
    put(&shelf, 102);
    let mut text = String::new();
    newest.read_to_string(&mut text).expect("what was opened can be read to its end");
    assert_eq!((text.as_str(), newest.length()), ("up to 100", 9));
}

#[test]
fn what_was_not_kept_was_never_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let shelf = shelf(folder);
    let mut part = shelf.begin().expect("room");
    part.write_all(b"half").expect("room");
    assert_eq!(names(folder), ["0.part"]);
    drop(part);
    assert_eq!(names(folder), [""; 0], "a part that is given up");

    let finished = shelf.begin().expect("room").finish().expect("room");
    assert_eq!(names(folder), ["1.part"]);
    drop(finished);
    assert_eq!(names(folder), [""; 0], "a snapshot that nobody installs");

    let died = shelf.begin().expect("room");
    std::mem::forget(died);
    put(&shelf, 7);
    assert_eq!(names(folder), ["2.part", "snapshot-7-1"], "a process that died");
    let again =
        super::Shelf::open(Arc::new(Disk::open(folder.to_owned()).expect("a folder"))).expect("a shelf");
    assert_eq!(names(folder), ["snapshot-7-1"], "is swept up after by the next");
    assert_eq!(again.places().expect("names").len(), 1);
}

#[test]
fn what_is_set_aside_is_no_snapshot_any_more() {
    let folder = tempfile::tempdir().expect("a folder");
    let shelf = shelf(folder.path());
    put(&shelf, 7);
    put(&shelf, 8);
    shelf.set_aside(Place { index: 8, term: 1 }).expect("renamed");
    assert_eq!(names(folder.path()), ["snapshot-7-1", "snapshot-8-1.damaged"]);
    assert_eq!(shelf.places().expect("names"), [Place { index: 7, term: 1 }]);
}
