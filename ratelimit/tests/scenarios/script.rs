//! A scenario's text: read into blocks, run, and written again with what happened.

use crate::world::World;

/// A line and what is wrong there.
pub(crate) type Mistake = (usize, String);

/// A scenario.
pub(crate) struct Script {
    pub(crate) title: String,
    /// Rules that it shows.
    pub(crate) shows: Vec<String>,
    head: Vec<String>,
    blocks: Vec<Block>,
}

/// Commands, or words between them.
enum Block {
    Words(Vec<String>),
    Commands(Vec<(usize, String)>),
}

impl Script {
    /// Reads a file. Paragraphs are words if they have no line `----`.
    pub(crate) fn parse(text: &str) -> Result<Self, Mistake> {
        let lines: Vec<(usize, &str)> = text.lines().enumerate().map(|(at, line)| (at + 1, line)).collect();
        let mut paragraphs =
            lines.split(|(_, line)| line.trim().is_empty()).filter(|lines| !lines.is_empty());
        let head = paragraphs.next().ok_or((1, "expected a title".to_owned()))?;
        let [(_, title), (_, shows), ..] = head else {
            return Err((1, "expected a title and a line \"shows: <rule>, ...\"".to_owned()));
        };
        let shows = shows.strip_prefix("shows: ").ok_or((2, "expected \"shows: <rule>; ...\"".to_owned()))?;
        Ok(Self {
            title: (*title).to_owned(),
            shows: shows.split("; ").map(str::to_owned).collect(),
            head: head.iter().map(|(_, line)| (*line).to_owned()).collect(),
            blocks: paragraphs.map(block).collect::<Result<_, _>>()?,
        })
    }

    /// The whole text, with what happened.
    pub(crate) fn run(&self, world: &mut World) -> Result<String, Mistake> {
        let mut paragraphs = vec![self.head.clone()];
        for block in &self.blocks {
            paragraphs.push(match block {
                Block::Words(words) => words.clone(),
                Block::Commands(commands) => outcome(commands, world)?,
            });
        }
        let last = self.blocks.iter().rev().find_map(|block| match block {
            Block::Commands(commands) => commands.last().map(|(line, _)| *line),
            Block::Words(_) => None,
        });
        world.end().map_err(|problem| (last.unwrap_or(1), problem))?;
        let paragraphs: Vec<String> = paragraphs.into_iter().map(|lines| lines.join("\n")).collect();
        Ok(paragraphs.join("\n\n") + "\n")
    }
}

fn block(lines: &[(usize, &str)]) -> Result<Block, Mistake> {
    let last = lines.last().map_or((1, ""), |last| *last);
    Ok(match lines.iter().position(|(_, line)| *line == "----") {
        Some(end) => {
            Block::Commands(lines[..end].iter().map(|(at, line)| (*at, (*line).to_owned())).collect())
        }
        None if last.1.ends_with('.') => {
            Block::Words(lines.iter().map(|(_, line)| (*line).to_owned()).collect())
        }
        None => return Err((last.0, "expected ---- after commands, or a full stop after words".to_owned())),
    })
}

fn outcome(commands: &[(usize, String)], world: &mut World) -> Result<Vec<String>, Mistake> {
    let mut lines: Vec<String> = commands.iter().map(|(_, command)| command.clone()).collect();
    lines.push("----".to_owned());
    for (at, command) in commands {
        lines.extend(world.run(command).map_err(|problem| (*at, problem))?);
    }
    Ok(lines)
}

/// The first lines that differ, and all up to where both are the same again at their ends.
pub(crate) fn difference(name: &str, kept: &str, got: &str) -> String {
    let (kept, got): (Vec<&str>, Vec<&str>) = (kept.lines().collect(), got.lines().collect());
    let same = kept.iter().zip(&got).take_while(|(one, other)| one == other).count();
    let (kept, got) = (&kept[same..], &got[same..]);
    let end = kept.iter().rev().zip(got.iter().rev()).take_while(|(one, other)| one == other).count();
    let marked = |mark: char, lines: &[&str]| -> Vec<String> {
        lines[..lines.len() - end].iter().map(|line| format!("  {mark} {line}")).collect()
    };
    let lines: Vec<String> = [marked('-', kept), marked('+', got)].concat();
    format!("{name}:{}:\n{}", same + 1, lines.join("\n"))
}
