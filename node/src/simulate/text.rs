//! Seeded words: everything the simulator says follows from a seed, so that the same request gets the
//! same answer from every simulator that was started alike.

/// A splitmix64 sequence: small, fast, and the same everywhere.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        scramble(self.0)
    }

    /// At least 0, less than 1.
    pub(crate) fn fraction(&mut self) -> f64 {
        f64::from((self.roll() >> 32) as u32) / (f64::from(u32::MAX) + 1.0)
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        let index = self.roll() % words.len() as u64;
        words[usize::try_from(index).expect("smaller than the list")]
    }
}

/// Two numbers made one.
pub(crate) fn mix(a: u64, b: u64) -> u64 {
    scramble(scramble(a.wrapping_add(0x9e37_79b9_7f4a_7c15)) ^ b)
}

/// FNV-1a over the bytes: stable across builds and machines, which the standard hasher is not.
pub(crate) fn fingerprint(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// So many tokens of prose: words with their leading space, and full stops.
pub(crate) fn prose(seed: u64, tokens: u64) -> Vec<String> {
    let mut dice = Dice::new(seed);
    let mut left_in_sentence = 0;
    let mut out = Vec::with_capacity(usize::try_from(tokens).unwrap_or(0).min(1 << 16));
    for index in 0..tokens {
        let starts = left_in_sentence == 0;
        if starts {
            left_in_sentence = 5 + dice.roll() % 8;
        }
        left_in_sentence -= 1;
        if left_in_sentence == 0 {
            out.push(".".to_owned());
            continue;
        }
        let word = dice.pick(WORDS);
        let mut token = String::with_capacity(word.len() + 1);
        if index > 0 {
            token.push(' ');
        }
        if starts {
            token.push_str(&word[..1].to_ascii_uppercase());
            token.push_str(&word[1..]);
        } else {
            token.push_str(word);
        }
        out.push(token);
    }
    out
}

/// What the built-in demo model says.
pub(crate) fn greeting(question: &str) -> String {
    /// Enough to see that the question arrived.
    const ECHO_CHARS: usize = 300;
    let mut echo: String = question.trim().chars().take(ECHO_CHARS).collect();
    if question.trim().chars().count() > ECHO_CHARS {
        echo.push('…');
    }
    if echo.is_empty() {
        return "Hello! I am tollgate-demo, the small model built into Tollgate. \
                Your request arrived, but I found no question in it."
            .to_owned();
    }
    format!(
        "Hello! I am tollgate-demo, the small model built into Tollgate. I know nothing, but I answer \
         without a key, so your gateway works. You asked: \"{echo}\""
    )
}

fn scramble(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Lower-case ASCII, so that a word is a token of the simulator's tokenizer.
#[rustfmt::skip]
const WORDS: &[&str] = &[
    "amber", "anchor", "autumn", "basket", "beacon", "birch", "bridge", "candle", "canyon", "carries",
    "cedar", "cloud", "copper", "crosses", "deep", "drifts", "early", "ember", "every", "falls", "far",
    "field", "finds", "follows", "forest", "gentle", "glass", "granite", "harbor", "hears", "hidden",
    "hill", "keeps", "lantern", "leaves", "light", "listens", "long", "maple", "meadow", "mirror",
    "morning", "mountain", "moves", "near", "never", "north", "ocean", "old", "opens", "orchard",
    "paper", "path", "quiet", "rain", "remembers", "rises", "river", "road", "sails", "shadow",
    "silver", "slow", "small", "snow", "south", "stone", "summer", "the", "through", "toward",
    "turns", "under", "valley", "village", "waits", "walks", "water", "wide", "wind", "winter",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::tokens;

    #[test]
    fn prose_has_as_many_tokens_as_asked() {
        for (seed, wanted) in [(1, 0), (1, 1), (2, 7), (3, 20), (4, 1000)] {
            let text = prose(seed, wanted).concat();
            assert_eq!(tokens::count(&text), wanted, "seed {seed}: {text}");
        }
        assert_eq!(prose(9, 50), prose(9, 50), "a seed repeats");
        assert_ne!(prose(9, 50), prose(10, 50), "another seed differs");
    }
}
