//! Ids for the calls of an answer whose upstream gives none, or one for several: a client answers each by its id, and
//! Anthropic's API wants them to differ in the whole conversation.

/// Of an answer's id. OpenAI takes calls' ids of up to 40 characters.
const MOST_OF_ANSWER: usize = 20;

/// Gives out ids, each once.
#[derive(Default)]
pub(super) struct CallIds {
    answer: String,
    given: Vec<String>,
}

impl CallIds {
    /// For an answer, which its own id or time tells from the others of a conversation.
    pub(super) fn of(answer_id: &str, created_s: u64) -> Self {
        let mut answer: String = answer_id.chars().filter(char::is_ascii_alphanumeric).collect();
        if answer.is_empty() {
            answer = created_s.to_string();
        }
        let begin = answer.len().saturating_sub(MOST_OF_ANSWER); // Ids begin alike.
        Self { answer: answer.split_off(begin), given: Vec::new() }
    }

    /// The next call's id: the upstream's own if no other call has it.
    pub(super) fn next(&mut self, own: Option<String>) -> String {
        let own = own.filter(|own| !self.given.contains(own));
        let id = own.unwrap_or_else(|| format!("call_{}_{}", self.answer, self.given.len()));
        self.given.push(id.clone());
        id
    }
}

#[cfg(test)]
mod tests {
    use super::CallIds;

    #[test]
    fn each_is_its_own() {
        let mut ids = CallIds::of("a", 1);
        let mut long = CallIds::of(&"chatcmpl-".repeat(9), 1);
        assert_eq!(ids.next(Some("x".to_owned())), "x", "the upstream's own");
        let repeated = ids.next(Some("x".to_owned()));
        let none = ids.next(None);
        let mut elsewhere = CallIds::of("b", 1);
        let _first = elsewhere.next(None);
        let all = [
            "x".to_owned(),
            repeated,
            none,
            elsewhere.next(None),
            CallIds::of("é-", 2).next(None),
            long.next(None),
        ];
        for (at, id) in all.iter().enumerate() {
            assert!(!all[..at].contains(id), "{all:?}");
            assert!(
                id.len() <= 40 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'),
                "{id}"
            );
        }
    }
}
