//! One YAML document to a JSON value and the line of every node, with bounds against bombs.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};
use serde_json::{Map, Value};

use super::Variables;
use super::lines::{Children, Lines};
use super::scalar;

/// What is wrong with a document, or with a scalar in it.
#[derive(Debug)]
pub(super) struct DocumentFault {
    pub(super) line: usize,
    pub(super) field: String,
    pub(super) value: String,
    pub(super) expected: String,
}

/// A value and where it stands.
pub(super) type Tree = (Value, Lines);

/// Deepest nesting. Deeper than any resource, and safe for the recursion of those who read the value.
const DEPTH: usize = 64;
/// Most nodes of one document, those that aliases repeat included.
const NODES: usize = 500_000;

/// Reads one document. Faults of single scalars (variables that are not set) come beside the value, all of them.
pub(super) fn read(
    text: &str,
    first_line: usize,
    variables: Variables<'_>,
) -> Result<(Option<Tree>, Vec<DocumentFault>), DocumentFault> {
    let mut reader = Reader { first_line, variables, ..Reader::default() };
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| {
            let line = error.marker().line().saturating_sub(1);
            DocumentFault {
                line: first_line + line,
                field: String::new(),
                value: error.info().to_owned(),
                expected: expected(text.lines().nth(line).unwrap_or_default()).to_owned(),
            }
        })?;
        reader.event(event, span)?;
    }
    Ok((reader.root, reader.faults))
}

/// What a line that is no YAML should have been. The braces of a variable mean a mapping where one is open already.
fn expected(line: &str) -> &'static str {
    if line.contains("${") {
        "YAML, in which a variable inside { } or [ ] is quoted: \"${NAME}\""
    } else {
        "YAML"
    }
}

#[derive(Default)]
struct Reader<'v> {
    first_line: usize,
    variables: Variables<'v>,
    open: Vec<Open>,
    anchors: HashMap<usize, (Tree, usize)>,
    nodes: usize,
    root: Option<Tree>,
    faults: Vec<DocumentFault>,
}

/// A collection that is being read.
struct Open {
    anchor: usize,
    line: usize,
    nodes_before: usize,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Value>, Vec<Lines>),
    Map {
        fields: Map<String, Value>,
        lines: Vec<(String, Lines)>,
        key: Option<(String, usize)>,
        merged: Vec<Tree>,
    },
}

impl Reader<'_> {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), DocumentFault> {
        let line = self.first_line + span.start.line().saturating_sub(1);
        match event {
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
            Event::Scalar(text, style, anchor, tag) => {
                let tree = self.scalar(&text, style, tag.as_deref(), line)?;
                self.complete(tree, anchor, line, self.nodes)
            }
            Event::Alias(anchor) => {
                let Some((tree, size)) = self.anchors.get(&anchor).cloned() else {
                    return Err(fault(line, "", "an alias of an anchor that is complete"));
                };
                let before = self.nodes;
                self.count(size, line)?;
                self.complete(tree, 0, line, before)
            }
            Event::SequenceStart(anchor, _) => {
                self.begin(anchor, line, OpenKind::List(Vec::new(), Vec::new()))
            }
            Event::MappingStart(anchor, _) => {
                let kind =
                    OpenKind::Map { fields: Map::new(), lines: Vec::new(), key: None, merged: Vec::new() };
                self.begin(anchor, line, kind)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
        }
    }

    fn begin(&mut self, anchor: usize, line: usize, kind: OpenKind) -> Result<(), DocumentFault> {
        if self.open.len() >= DEPTH {
            return Err(fault(line, "", &format!("at most {DEPTH} levels")));
        }
        let nodes_before = self.nodes;
        self.count(1, line)?;
        self.open.push(Open { anchor, line, nodes_before, kind });
        Ok(())
    }

    fn end(&mut self) -> Result<(), DocumentFault> {
        let Some(Open { anchor, line, nodes_before, kind }) = self.open.pop() else {
            return Ok(());
        };
        let (value, children) = match kind {
            OpenKind::List(items, lines) => (Value::Array(items), Children::List(lines)),
            OpenKind::Map { mut fields, mut lines, merged, .. } => {
                for tree in merged {
                    merge(&mut fields, &mut lines, tree);
                }
                (Value::Object(fields), Children::Map(lines))
            }
        };
        let tree = (value, Lines { line, children, ..Lines::default() });
        self.complete(tree, anchor, line, nodes_before)
    }

    /// A node is whole: it goes into the collection that is open, or is the document.
    fn complete(
        &mut self,
        tree: Tree,
        anchor: usize,
        line: usize,
        nodes_before: usize,
    ) -> Result<(), DocumentFault> {
        if anchor > 0 {
            self.anchors.insert(anchor, (tree.clone(), self.nodes - nodes_before));
        }
        // The depth of what an alias repeats is not known; a value too deep is refused as a whole.
        if self.open.len() + depth(&tree.0, DEPTH) > DEPTH {
            return Err(fault(line, "", &format!("at most {DEPTH} levels")));
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(tree);
            return Ok(());
        };
        match &mut open.kind {
            OpenKind::List(items, lines) => {
                items.push(tree.0);
                lines.push(tree.1);
            }
            OpenKind::Map { fields, lines, key, merged } => match key.take() {
                None => *key = Some((key_text(&tree.0, line)?, line)),
                Some((name, _)) if name == "<<" => merged.push(tree),
                Some((name, key_line)) => {
                    if fields.insert(name.clone(), tree.0).is_some() {
                        return Err(fault(key_line, &name, "each key once in a mapping"));
                    }
                    // A mapping's first line is the one after its key: the key is where people look.
                    lines.push((name, Lines { line: key_line, ..tree.1 }));
                }
            },
        }
        Ok(())
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        line: usize,
    ) -> Result<Tree, DocumentFault> {
        self.count(1, line)?;
        let is_text = match tag {
            None => style != ScalarStyle::Plain,
            Some(tag) if tag.is_yaml_core_schema() => tag.suffix == "str",
            Some(tag) => {
                return Err(fault(line, &format!("{}{}", tag.handle, tag.suffix), "no tags but YAML's own"));
            }
        };
        let lines = |from_variable| Lines { line, from_variable, ..Lines::default() };
        match scalar::replace(text, self.variables) {
            // A text around a variable is a text, whatever the variable holds.
            Ok(replaced) if is_text || (replaced.any && !scalar::is_one_variable(text)) => {
                Ok((Value::String(replaced.text), lines(replaced.any)))
            }
            Ok(replaced) => {
                let value = scalar::plain(&replaced.text);
                Ok((value, Lines { text: replaced.any.then_some(replaced.text), ..lines(replaced.any) }))
            }
            Err(unset) => {
                let field = self.path();
                self.faults.push(DocumentFault { line, field, value: unset.value, expected: unset.expected });
                Ok((Value::Null, lines(true)))
            }
        }
    }

    fn count(&mut self, more: usize, line: usize) -> Result<(), DocumentFault> {
        self.nodes += more;
        if self.nodes > NODES {
            return Err(fault(line, "", &format!("at most {NODES} nodes in a document, aliases included")));
        }
        Ok(())
    }

    /// The path of the node that comes next.
    fn path(&self) -> String {
        let mut path = String::new();
        for open in &self.open {
            match &open.kind {
                OpenKind::List(items, _) => crate::schema::push_index(&mut path, items.len()),
                OpenKind::Map { key: Some((name, _)), .. } => crate::schema::push_key(&mut path, name),
                OpenKind::Map { key: None, .. } => {}
            }
        }
        path
    }
}

/// `<<: *defaults`, as the tools of this field read it: fields that are there win.
fn merge(fields: &mut Map<String, Value>, lines: &mut Vec<(String, Lines)>, (value, from): Tree) {
    match (value, from.children) {
        (Value::Object(more), Children::Map(more_lines)) => {
            for (name, line) in more_lines {
                if let (Some(value), false) = (more.get(&name), fields.contains_key(&name)) {
                    fields.insert(name.clone(), value.clone());
                    lines.push((name, line));
                }
            }
        }
        (Value::Array(items), Children::List(item_lines)) => {
            items.into_iter().zip(item_lines).for_each(|tree| merge(fields, lines, tree));
        }
        (other, _) => {
            // Not something that can be merged: left as a field, which the schema then refuses.
            fields.insert("<<".to_owned(), other);
        }
    }
}

fn depth(value: &Value, most: usize) -> usize {
    match value {
        Value::Array(items) if most > 0 => {
            1 + items.iter().map(|item| depth(item, most - 1)).max().unwrap_or(0)
        }
        Value::Object(fields) if most > 0 => {
            1 + fields.values().map(|item| depth(item, most - 1)).max().unwrap_or(0)
        }
        Value::Array(_) | Value::Object(_) => 1,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

fn key_text(key: &Value, line: usize) -> Result<String, DocumentFault> {
    match key {
        Value::String(text) => Ok(text.clone()),
        Value::Null => Err(fault(line, "nothing", "a text as the key")),
        Value::Bool(_) | Value::Number(_) => Ok(key.to_string()),
        Value::Array(_) | Value::Object(_) => Err(fault(line, "a collection", "a text as the key")),
    }
}

fn fault(line: usize, value: &str, expected: &str) -> DocumentFault {
    DocumentFault { line, field: String::new(), value: value.to_owned(), expected: expected.to_owned() }
}
