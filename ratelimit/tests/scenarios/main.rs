//! Scenarios that are read as documentation: `testdata/scenarios/*.txt` tell what happens to real wallets, a real ledger and
//! real journals, command by command. This runs them and compares what they say.
//!
//! A file is a title, a line `shows: <rule>, ...`, a paragraph, and then blocks of commands, `----`, what happened, and an
//! empty line. `UPDATE_GOLDEN=1` writes what happened anew; read the difference before you believe it.
//!
//! ```text
//!  script: blocks of a file ─▶ world: time, ledger, nodes ─▶ lines ─▶ script: compared, or written
//!                                │ operator · traffic · exchange · show
//!                                └─ node: wallet, holds ─ disk: journal ─ recovery: after a crash
//! ```

mod disk;
mod exchange;
mod node;
mod operator;
mod recovery;
mod script;
mod show;
mod spoken;
mod texts;
mod traffic;
mod usage;
mod words;
mod world;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use script::Script;
use world::World;

/// Every rule that must have a scenario: sections of the design, and rows of its table of failures.
const RULES: [&str; 49] = [
    "4.1 requests",
    "4.1 tokens by kind",
    "4.1 cost",
    "4.1 expressions",
    "4.1 calendar windows",
    "4.1 daylight saving",
    "4.1 calendars run out",
    "4.1 rolling windows",
    "4.1 lifetime",
    "4.1 strict",
    "4.1 bounded",
    "4.1 shadow",
    "4.1 stacked budgets",
    "4.1 on exhaustion",
    "4.2 one batch in flight",
    "4.2 sequence numbers",
    "4.3 conservation",
    "4.3 leases bound what a node spends",
    "4.3 leases belong to windows",
    "4.3 settled once",
    "4.3 same commands, same bytes",
    "4.3 one end for each reservation",
    "4.4 sizing",
    "4.4 shrinking tail",
    "4.4 recall",
    "4.4 refusal cache",
    "4.4 idle leases",
    "4.5 crash and replay",
    "4.5 unknown",
    "4.5 power loss",
    "4.5 torn journal",
    "4.5 lost disk",
    "4.5 validity",
    "4.5 forget",
    "4.6 extension",
    "4.6 wait or never",
    "4.6 debt",
    "8 a node",
    "8 the leader",
    "8 a minority partition",
    "8 quorum lost",
    "8 disk failing",
    "limits change",
    "budgets are deleted",
    "credits and corrections",
    "retention",
    "roll-over",
    "a node's clock jumps",
    "draining",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/scenarios")
}

#[expect(clippy::disallowed_methods, reason = "golden data are files, renewed on request")]
fn updating() -> bool {
    std::env::var("UPDATE_GOLDEN").is_ok()
}

#[expect(clippy::disallowed_methods, reason = "golden data are files")]
fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[expect(clippy::disallowed_methods, reason = "golden data are files, renewed on request")]
fn renew(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// Every scenario by its name, in order.
fn scenarios() -> BTreeMap<String, String> {
    let files = std::fs::read_dir(folder()).expect("the folder of scenarios");
    let paths = files.map(|file| file.expect("an entry of the folder").path());
    let texts = paths.filter(|path| path.extension().is_some_and(|ending| ending == "txt"));
    let named = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned());
    texts.filter_map(|path| Some((named(&path)?, read(&path)))).collect()
}

#[test]
fn every_scenario_tells_what_happens() {
    let mut wrong = Vec::new();
    for (name, text) in scenarios() {
        match Script::parse(&text).and_then(|script| script.run(&mut World::new())) {
            Ok(got) if got == text => {}
            Ok(got) if updating() => renew(&folder().join(&name), &got),
            Ok(got) => wrong.push(script::difference(&name, &text, &got)),
            Err((line, problem)) => wrong.push(format!("{name}:{line}: {problem}")),
        }
    }
    assert!(wrong.is_empty(), "UPDATE_GOLDEN=1 writes what happened anew\n{}", wrong.join("\n"));
}

#[test]
fn the_index_names_every_scenario_and_every_rule_has_one() {
    let mut shown: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let scenarios = scenarios();
    for (name, text) in &scenarios {
        let script = Script::parse(text).unwrap_or_else(|(line, problem)| panic!("{name}:{line}: {problem}"));
        for rule in script.shows {
            assert!(RULES.contains(&rule.as_str()), "{name}: {rule:?} is not a rule; add it to RULES");
            shown.entry(rule).or_default().push(format!("[{}]({name})", script.title));
        }
    }
    let mut index = "# Rules, and the scenarios that show them\n\n".to_owned();
    for rule in RULES {
        let files = shown.get(rule).unwrap_or_else(|| panic!("no scenario shows {rule:?}"));
        writeln!(index, "- **{rule}**: {}", files.join("; ")).expect("a String takes all that is written");
    }
    let path = folder().join("INDEX.md");
    if updating() {
        renew(&path, &index);
    }
    assert_eq!(read(&path), index, "INDEX.md is not current; UPDATE_GOLDEN=1 writes it anew");
}

/// What a scenario can get wrong is said with its line, and nothing of it is run past that.
#[test]
fn mistakes_are_told_with_their_line() {
    let rows = [
        ("node A\nA flies", 6, "unknown command \"flies\"", "a command that is none"),
        ("A syncs", 5, "no node A", "a node that is none"),
        ("node A\nA reserve x 1 as r", 6, "no budget x", "a budget that is none"),
        ("budget b limit=1 window=day colour=red", 5, "unknown argument colour=red", "an argument"),
        ("budget b limit=x", 5, "limit: expected a number, not \"x\"", "a number"),
        ("node A now", 5, "unexpected \"now\"", "a word too many"),
        ("node", 5, "expected a node's name, the line ends", "a word too few"),
        ("at 09:00\nat 08:00", 6, "time does not run backwards", "time"),
        ("+5x", 5, "expected a duration such as 1h30m, not \"5x\"", "a duration"),
    ];
    for (commands, line, problem, why) in rows {
        let text = format!("title\nshows: 4.1 strict\n\nWords.\n{commands}\n----\n").replace("Words.\n", "");
        let result = Script::parse(&text).and_then(|script| script.run(&mut World::new()));
        let (at, told) = result.expect_err(why);
        assert_eq!((at, told.contains(problem)), (line - 1, true), "{why}: line {at}: {told}");
    }
}

/// The runner must be able to fail: what is written is what is compared, to the letter.
#[test]
fn a_wrong_outcome_is_shown_with_its_line() {
    let text = "title\nshows: 4.1 strict\n\nnode A\n----\nA serves as session 2\n";
    let got = Script::parse(text).and_then(|script| script.run(&mut World::new())).expect("it runs");
    assert_ne!(got, text);
    let shown = script::difference("file.txt", text, &got);
    assert_eq!(shown, "file.txt:6:\n  - A serves as session 2\n  + A serves as session 1");
}
