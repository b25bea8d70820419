//! Where each node of a document was written.

/// The line of a node and of what it contains.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines {
    pub(super) line: usize,
    /// A variable was put in: the value may be secret.
    pub(super) from_variable: bool,
    /// What a variable gave that is all of a plain scalar, before it was read as a number or the like.
    pub(super) text: Option<String>,
    pub(super) children: Children,
}

#[derive(Clone, Debug, Default)]
pub(super) enum Children {
    #[default]
    None,
    Map(Vec<(String, Lines)>),
    List(Vec<Lines>),
}

impl Lines {
    /// The line of the deepest node on the path that exists, and whether a variable went into it. Paths are as
    /// problems show them: `spec.rules[0].name`, `metadata.annotations[a.b/c]`.
    pub(crate) fn find(&self, path: &str) -> (usize, bool) {
        let mut node = self;
        for step in steps(path) {
            match node.child(step) {
                Some(child) => node = child,
                None => return (node.line, false),
            }
        }
        (node.line, node.from_variable)
    }

    /// The text behind a plain variable at exactly this path.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        steps(path).try_fold(self, Self::child)?.text.as_deref().filter(|text| !text.is_empty())
    }

    /// Any value may be secret.
    pub(super) fn hide(&mut self) {
        self.from_variable = true;
        match &mut self.children {
            Children::None => {}
            Children::Map(fields) => fields.iter_mut().for_each(|(_, child)| child.hide()),
            Children::List(items) => items.iter_mut().for_each(Self::hide),
        }
    }

    fn child(&self, step: &str) -> Option<&Self> {
        match &self.children {
            Children::None => None,
            Children::Map(fields) => fields.iter().find(|(name, _)| name == step).map(|(_, child)| child),
            Children::List(items) => step.parse().ok().and_then(|index: usize| items.get(index)),
        }
    }

    /// Takes a part out, to be a document of its own.
    pub(super) fn take(&mut self, step: &str) -> Lines {
        let found = match &mut self.children {
            Children::None => None,
            Children::Map(fields) => fields.iter_mut().find(|(name, _)| name == step).map(|(_, child)| child),
            Children::List(items) => step.parse().ok().and_then(|index: usize| items.get_mut(index)),
        };
        found.map(std::mem::take).unwrap_or_default()
    }
}

/// `a.b[0][c.d]` is a, b, 0, c.d.
fn steps(path: &str) -> impl Iterator<Item = &str> {
    let mut rest = path;
    std::iter::from_fn(move || {
        rest = rest.strip_prefix('.').unwrap_or(rest);
        if rest.is_empty() {
            return None;
        }
        let (step, after) = if let Some(inner) = rest.strip_prefix('[') {
            inner.split_once(']').unwrap_or((inner, ""))
        } else {
            rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len()))
        };
        rest = after;
        Some(step)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_walked() {
        let got: Vec<&str> = steps("spec.rules[12].x[a.b/c].y").collect();
        assert_eq!(got, ["spec", "rules", "12", "x", "a.b/c", "y"]);
        assert_eq!(steps("").count(), 0);
    }
}
