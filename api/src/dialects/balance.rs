//! Tells when fragments of JSON text have become one whole object, without building it.

/// Fed fragment by fragment.
#[derive(Debug, Default)]
pub(super) struct Balance {
    depth: u64,
    opened: bool,
    in_string: bool,
    escaped: bool,
}

impl Balance {
    pub(super) fn feed(&mut self, fragment: &str) {
        for byte in fragment.bytes() {
            match (self.in_string, byte) {
                (true, _) if self.escaped => self.escaped = false,
                (true, b'\\') => self.escaped = true,
                (_, b'"') => self.in_string = !self.in_string,
                (false, b'{' | b'[') => {
                    self.opened = true;
                    self.depth += 1;
                }
                (false, b'}' | b']') => self.depth = self.depth.saturating_sub(1),
                (true | false, _) => {}
            }
        }
    }

    /// An object or list was opened and is closed again.
    pub(super) const fn is_whole(&self) -> bool {
        self.opened && self.depth == 0
    }
}

#[cfg(test)]
mod tests {
    use super::Balance;

    #[test]
    fn whole_only_when_everything_is_closed() {
        #[rustfmt::skip]
        let cases: &[(&[&str], bool)] = &[
            (&[],                              false), // nothing yet
            (&["", " "],                       false), // still nothing
            (&["{}"],                          true),
            (&["{\"a\"", ":[1,2", "]}"],       true),  // cut anywhere
            (&["{\"a\":{"],                    false),
            (&["{\"a\":\"}"],                  false), // a brace inside text
            (&["{\"a\":\"\\", "\"}"],          false), // an escaped quote, cut in the middle
            (&["{\"a\":\"\\", "\"}\"}"],       true),
        ];
        for (fragments, whole) in cases {
            let mut balance = Balance::default();
            for fragment in *fragments {
                balance.feed(fragment);
            }
            assert_eq!(balance.is_whole(), *whole, "{fragments:?}");
        }
    }
}
