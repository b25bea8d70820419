//! What a model's id tells about how it can be told to think.
//!
//! Up to Gemini 2.5 thinking has a budget in tokens, from Gemini 3 on a level, and each refuses or misreads the other's
//! word. Levels `LOW` and `HIGH` are taken by all who have levels.

/// How a model is told to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thinking {
    /// It does not think, and refuses to be told to.
    Never,
    /// At most so many tokens, within its bounds.
    Budget(Bounds),
    /// A level; `MEDIUM` may be unknown to it.
    Level { medium: Medium },
    /// Not a known model: whatever was said is said.
    Any,
}

/// The budgets that a model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) least: u64,
    pub(super) most: u64,
    /// What comes nearest to not thinking.
    pub(super) off: u64,
}

/// Whether there is a level between low and high.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Medium {
    Known,
    Unknown,
}

/// Whether a model refuses calls of an earlier turn that it has not signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signatures {
    Required,
    Optional,
}

/// How `model` is told to think.
pub(super) fn thinking(model: &str) -> Thinking {
    let Some((version, variant)) = gemini(model) else {
        return Thinking::Any;
    };
    match version {
        (0 | 1, _) | (2, 0..=4) => Thinking::Never,
        (2, _) if variant.starts_with("pro") => {
            Thinking::Budget(Bounds { least: 128, most: 32_768, off: 128 })
        }
        (2, _) if variant.starts_with("flash-lite") => {
            Thinking::Budget(Bounds { least: 512, most: 24_576, off: 0 })
        }
        (2, _) => Thinking::Budget(Bounds { least: 1, most: 24_576, off: 0 }),
        (3, 0) if variant.starts_with("pro") => Thinking::Level { medium: Medium::Unknown },
        (_, _) => Thinking::Level { medium: Medium::Known },
    }
}

/// Whether `model` wants calls signed.
pub(super) fn signatures(model: &str) -> Signatures {
    match gemini(model) {
        Some(((version, _), _)) if version >= 3 => Signatures::Required,
        Some(_) | None => Signatures::Optional,
    }
}

/// Version and variant of `gemini-2.5-flash-001`. Ids that name neither (`gemini-flash-latest`) mean the newest.
fn gemini(model: &str) -> Option<((u32, u32), &str)> {
    const NEWEST: (u32, u32) = (u32::MAX, 0);
    let rest = model.rsplit('/').next()?.strip_prefix("gemini-")?;
    let (version, variant) = rest.split_once('-').unwrap_or((rest, ""));
    let (major, minor) = version.split_once('.').unwrap_or((version, "0"));
    Some(match (major.parse(), minor.parse()) {
        (Ok(major), Ok(minor)) => ((major, minor), variant),
        (_, _) => (NEWEST, rest),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell() {
        use Signatures::{Optional, Required};
        let budget = |least, most, off| Thinking::Budget(Bounds { least, most, off });
        let level = |medium| Thinking::Level { medium };
        #[rustfmt::skip]
        let cases = [
            // model                           thinking                  signatures
            ("gemini-1.5-pro-002",             Thinking::Never,          Optional),
            ("gemini-2.0-flash",               Thinking::Never,          Optional),
            ("gemini-2.5-pro",                 budget(128, 32_768, 128), Optional),
            ("gemini-2.5-flash-lite",          budget(512, 24_576, 0),   Optional),
            ("gemini-2.5-flash-preview-09-25", budget(1, 24_576, 0),     Optional),
            ("gemini-3-pro-preview",           level(Medium::Unknown),   Required), // low and high only
            ("gemini-3.1-pro-preview",         level(Medium::Known),     Required),
            ("gemini-3-flash-preview",         level(Medium::Known),     Required),
            ("gemini-4-argon",                 level(Medium::Known),     Required),
            ("gemini-flash-latest",            level(Medium::Known),     Required), // whatever is newest
            ("google/gemini-2.5-pro",          budget(128, 32_768, 128), Optional),
            ("gemma-4-31b",                    Thinking::Any,            Optional),
            ("1234567890",                     Thinking::Any,            Optional), // a tuned one
        ];
        for (model, expected, signs) in cases {
            assert_eq!((thinking(model), signatures(model)), (expected, signs), "{model}");
        }
    }
}
