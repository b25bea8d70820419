//! The simulator's own tokenizer, and which prefixes it has seen.
//!
//! A run of letters, digits and underscores is one token, any other visible character is one token,
//! white space belongs to the token after it and is free. So text never has more tokens than bytes, as
//! with real tokenizers. Besides text: each message costs [`MESSAGE_TOKENS`], a chat prompt
//! [`PRIMING_TOKENS`] more, an image [`IMAGE_TOKENS`].
//!
//! A prefix is remembered in blocks of [`BLOCK_TOKENS`], per model. At least the last token of a prompt
//! is never cached, as with real providers.

use std::collections::{HashSet, VecDeque};

use super::text::{fingerprint, mix};

/// For a message's role and borders.
pub(crate) const MESSAGE_TOKENS: u64 = 4;
/// For the beginning of the answer.
pub(crate) const PRIMING_TOKENS: u64 = 3;
/// For an image or a file of any size.
pub(crate) const IMAGE_TOKENS: u64 = 85;
/// The cache's grain.
pub(crate) const BLOCK_TOKENS: u64 = 16;
/// Blocks remembered: a million tokens.
const REMEMBERED_BLOCKS: usize = 1 << 16;

/// Tokens of a text.
pub(crate) fn count(text: &str) -> u64 {
    let mut tokens = 0;
    each(text, |_| tokens += 1);
    tokens
}

/// The text cut into its tokens, white space with the token after it; what trails stays with the last.
pub(crate) fn pieces(text: &str) -> Vec<String> {
    let mut ends = Vec::new();
    each(text, |range| ends.push(range.end));
    if let Some(last) = ends.last_mut() {
        *last = text.len();
    }
    let mut start = 0;
    ends.into_iter().map(|end| text[std::mem::replace(&mut start, end)..end].to_owned()).collect()
}

/// A prompt as it is read: how long, and the fingerprint of each of its blocks with all before it.
#[derive(Clone, Debug)]
pub(crate) struct Prompt {
    tokens: u64,
    rolling: u64,
    blocks: Vec<u64>,
    /// Tokens up to the last mark (Anthropic's `cache_control`).
    marked: Option<u64>,
}

impl Prompt {
    pub(crate) fn new(model: &str) -> Self {
        Self { tokens: 0, rolling: fingerprint(model.as_bytes()), blocks: Vec::new(), marked: None }
    }

    pub(crate) fn text(&mut self, text: &str) {
        each(text, |range| {
            self.token(fingerprint(&text.as_bytes()[range]));
        });
    }

    pub(crate) fn fixed(&mut self, tokens: u64) {
        for _ in 0..tokens {
            self.token(0);
        }
    }

    /// An image: a fixed cost, but another image is another prefix.
    pub(crate) fn image(&mut self, source: &str) {
        self.token(fingerprint(source.as_bytes()));
        self.fixed(IMAGE_TOKENS - 1);
    }

    pub(crate) fn mark(&mut self) {
        self.marked = Some(self.tokens);
    }

    pub(crate) fn tokens(&self) -> u64 {
        self.tokens
    }

    fn token(&mut self, token: u64) {
        self.rolling = mix(self.rolling, token);
        self.tokens += 1;
        if self.tokens.is_multiple_of(BLOCK_TOKENS) {
            self.blocks.push(self.rolling);
        }
    }

    fn blocks_within(&self, tokens: u64) -> &[u64] {
        let blocks = usize::try_from(tokens / BLOCK_TOKENS).unwrap_or(usize::MAX);
        &self.blocks[..blocks.min(self.blocks.len())]
    }
}

/// What a prompt found in the cache and what it left there, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cached {
    pub(crate) read: u64,
    pub(crate) written: u64,
}

/// Prefixes seen; the oldest are forgotten.
#[derive(Debug, Default)]
pub(crate) struct PrefixCache {
    known: HashSet<u64>,
    order: VecDeque<u64>,
}

impl PrefixCache {
    /// Looks the prompt up as far as it may be cached, and remembers it.
    pub(crate) fn visit(&mut self, prompt: &Prompt) -> Cached {
        self.visit_up_to(prompt, prompt.tokens.saturating_sub(1))
    }

    /// As [`Self::visit`], but only up to the prompt's last mark; nothing without one.
    pub(crate) fn visit_marked(&mut self, prompt: &Prompt) -> Cached {
        match prompt.marked {
            None => Cached::default(),
            Some(marked) => self.visit_up_to(prompt, marked.min(prompt.tokens.saturating_sub(1))),
        }
    }

    fn visit_up_to(&mut self, prompt: &Prompt, tokens: u64) -> Cached {
        let blocks = prompt.blocks_within(tokens);
        let seen = blocks.iter().take_while(|block| self.known.contains(block)).count();
        for block in &blocks[seen..] {
            self.remember(*block);
        }
        Cached { read: seen as u64 * BLOCK_TOKENS, written: (blocks.len() - seen) as u64 * BLOCK_TOKENS }
    }

    fn remember(&mut self, block: u64) {
        if !self.known.insert(block) {
            return;
        }
        self.order.push_back(block);
        if self.order.len() > REMEMBERED_BLOCKS
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

/// Calls for each token with its bytes, without the white space before it.
fn each(text: &str, mut call: impl FnMut(std::ops::Range<usize>)) {
    let mut word = None;
    for (at, c) in text.char_indices() {
        if c.is_alphanumeric() || c == '_' {
            word.get_or_insert(at);
            continue;
        }
        if let Some(start) = word.take() {
            call(start..at);
        }
        if !c.is_whitespace() {
            call(at..at + c.len_utf8());
        }
    }
    if let Some(start) = word {
        call(start..text.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_text_into_tokens() {
        #[rustfmt::skip]
        let cases: &[(&str, &[&str])] = &[
            ("",                 &[]),                              // nothing
            ("  \n",             &[]),                              // white space alone is free
            ("hello",            &["hello"]),
            ("hello world",      &["hello", " world"]),             // a space goes with the word after it
            ("a, b",             &["a", ",", " b"]),                // punctuation is a token
            ("snake_case 42!!",  &["snake_case", " 42", "!", "!"]),
            ("Zürich ☂ 東京",     &["Zürich", " ☂", " 東京"]),         // letters of any script
            ("end \n",           &["end \n"]),                      // what trails is kept
        ];
        for (text, expected) in cases {
            assert_eq!(pieces(text), *expected, "{text:?}");
            assert_eq!(count(text), expected.len() as u64, "{text:?}");
        }
    }

    #[test]
    fn caches_whole_blocks_of_a_seen_prefix() {
        let words = |n: usize| "w ".repeat(n);
        let mut cache = PrefixCache::default();
        #[rustfmt::skip]
        let steps = [
            // model words  read written   why
            ("a",    40,      0,   32),  // new; the last, broken block is not kept
            ("a",    40,     32,    0),  // the same again
            ("a",    64,     32,   16),  // longer: the 64th token is the last one
            ("b",    40,      0,   32),  // another model's cache
            ("a",    10,      0,    0),  // less than a block
        ];
        for (step, (model, n, read, written)) in steps.into_iter().enumerate() {
            let mut prompt = Prompt::new(model);
            prompt.text(&words(n));
            assert_eq!(cache.visit(&prompt), Cached { read, written }, "step {step}");
        }
    }

    #[test]
    fn caches_only_up_to_the_mark_when_asked() {
        let mut cache = PrefixCache::default();
        let mut prompt = Prompt::new("m");
        prompt.text(&"w ".repeat(20));
        assert_eq!(cache.visit_marked(&prompt), Cached::default(), "no mark");
        prompt.mark();
        prompt.text(&"x ".repeat(50));
        assert_eq!(cache.visit_marked(&prompt), Cached { read: 0, written: 16 });
        assert_eq!(cache.visit_marked(&prompt), Cached { read: 16, written: 0 });
    }

    #[test]
    fn memory_is_bounded() {
        let mut cache = PrefixCache::default();
        for block in 0..(REMEMBERED_BLOCKS as u64 + 10) {
            cache.remember(block);
        }
        assert_eq!(cache.known.len(), REMEMBERED_BLOCKS);
        assert!(!cache.known.contains(&0), "the oldest went first");
    }
}
