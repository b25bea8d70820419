//! The list of models, as each dialect's clients ask for it. It is answered from configuration, never by an upstream.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use crate::endpoint::Dialect;
use crate::error::{ApiError, ErrorKind};

/// A model that clients may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedModel {
    /// What to put in `model`.
    pub id: String,
    /// Who is said to own it.
    pub owned_by: String,
    /// Since when, in unix seconds.
    pub created_at_s: u64,
}

/// OpenAI's `GET /v1/models`, Anthropic's (paginated: `limit`, `before_id`, `after_id` from the query string), or Gemini's
/// `GET /v1beta/models`, whole.
pub fn list(dialect: Dialect, models: &[ListedModel], query: &str) -> Result<Bytes, ApiError> {
    let answer = match dialect {
        // Nobody asks for models in Cohere's words here.
        Dialect::OpenAi | Dialect::Cohere => {
            json!({"object": "list", "data": models.iter().map(openai).collect::<Vec<_>>()})
        }
        Dialect::Anthropic => {
            let page = PageQuery::read(query)?.page(models)?;
            json!({
                "data": page.models.iter().map(anthropic).collect::<Vec<_>>(),
                "has_more": page.has_more,
                "first_id": page.models.first().map(|model| &model.id),
                "last_id": page.models.last().map(|model| &model.id),
            })
        }
        Dialect::Gemini => json!({"models": models.iter().map(gemini).collect::<Vec<_>>()}),
    };
    Ok(Bytes::from(answer.to_string()))
}

/// `GET /v1/models/{id}`; None is for the caller to answer with 404.
pub fn one(dialect: Dialect, models: &[ListedModel], id: &str) -> Option<Bytes> {
    let model = models.iter().find(|model| model.id == id)?;
    let answer = match dialect {
        Dialect::OpenAi | Dialect::Cohere => openai(model),
        Dialect::Anthropic => anthropic(model),
        Dialect::Gemini => gemini(model),
    };
    Some(Bytes::from(answer.to_string()))
}

fn openai(model: &ListedModel) -> Value {
    json!({"id": model.id, "object": "model", "created": model.created_at_s, "owned_by": model.owned_by})
}

fn anthropic(model: &ListedModel) -> Value {
    json!({
        "type": "model",
        "id": model.id,
        "display_name": model.id,
        "created_at": rfc3339(model.created_at_s),
    })
}

fn gemini(model: &ListedModel) -> Value {
    json!({
        "name": format!("models/{}", model.id),
        "displayName": model.id,
        "supportedGenerationMethods": ["generateContent", "streamGenerateContent"],
    })
}

/// Which part of the list is asked for.
struct PageQuery {
    limit: usize,
    from: From,
}

enum From {
    Start,
    After(String),
    Before(String),
}

struct Page<'a> {
    models: &'a [ListedModel],
    /// There are more in the direction that was asked for.
    has_more: bool,
}

impl PageQuery {
    /// Anthropic's default and bounds.
    const DEFAULT_LIMIT: usize = 20;
    const LIMITS: std::ops::RangeInclusive<usize> = 1..=1000;

    fn read(query: &str) -> Result<Self, ApiError> {
        let mut read = Self { limit: Self::DEFAULT_LIMIT, from: From::Start };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match (&*name, &read.from) {
                ("limit", _) => read.limit = limit(&value)?,
                ("after_id", From::Start) => read.from = From::After(value.into_owned()),
                ("before_id", From::Start) => read.from = From::Before(value.into_owned()),
                ("after_id" | "before_id", From::After(_) | From::Before(_)) => {
                    return Err(refused(&name, "`after_id` and `before_id` exclude each other".to_owned()));
                }
                _ => {}
            }
        }
        Ok(read)
    }

    fn page<'a>(&self, models: &'a [ListedModel]) -> Result<Page<'a>, ApiError> {
        let find = |param: &str, id: &str| {
            let place = models.iter().position(|model| model.id == id);
            place.ok_or_else(|| refused(param, format!("`{param}` is not the id of a model: `{id}`")))
        };
        let (candidates, backwards) = match &self.from {
            From::Start => (models, false),
            From::After(id) => (&models[find("after_id", id)? + 1..], false),
            From::Before(id) => (&models[..find("before_id", id)?], true),
        };
        let over = candidates.len().saturating_sub(self.limit);
        let page = if backwards { &candidates[over..] } else { &candidates[..candidates.len() - over] };
        Ok(Page { models: page, has_more: over > 0 })
    }
}

fn limit(value: &str) -> Result<usize, ApiError> {
    value.parse().ok().filter(|limit| PageQuery::LIMITS.contains(limit)).ok_or_else(|| {
        let (low, high) = PageQuery::LIMITS.into_inner();
        refused("limit", format!("`limit` must be a whole number from {low} to {high}, not `{value}`"))
    })
}

fn refused(param: &str, message: String) -> ApiError {
    ApiError {
        status: StatusCode::BAD_REQUEST,
        kind: ErrorKind::InvalidRequest,
        message,
        code: None,
        param: Some(param.to_owned()),
    }
}

/// Unix seconds as RFC 3339 in UTC. The date is Howard Hinnant's "civil from days": years begin in March, so that the
/// leap day is the last of its year, and repeat in eras of 400 years.
fn rfc3339(unix_s: u64) -> String {
    const DAY_S: u64 = 24 * 60 * 60;
    const ERA_DAYS: u64 = 146_097;
    /// From 0000-03-01 to 1970-01-01.
    const EPOCH_DAYS: u64 = 719_468;

    let (days, second) = (unix_s / DAY_S + EPOCH_DAYS, unix_s % DAY_S);
    let (era, day_of_era) = (days / ERA_DAYS, days % ERA_DAYS);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{ListedModel, list, one, rfc3339};
    use crate::endpoint::Dialect::{Anthropic, Gemini, OpenAi};

    fn models(ids: &[&str]) -> Vec<ListedModel> {
        let listed = |id: &&str| ListedModel {
            id: (*id).to_owned(),
            owned_by: "acme".to_owned(),
            created_at_s: 86_400,
        };
        ids.iter().map(listed).collect()
    }

    #[test]
    fn each_dialect_has_its_shape() {
        let models = models(&["a\"b"]);
        let as_openai = json!({"id": "a\"b", "object": "model", "created": 86_400, "owned_by": "acme"});
        let as_anthropic = json!({"type": "model", "id": "a\"b", "display_name": "a\"b", "created_at": "1970-01-02T00:00:00Z"});
        let parsed = |bytes: bytes::Bytes| serde_json::from_slice::<Value>(&bytes).unwrap();

        assert_eq!(
            parsed(list(OpenAi, &models, "limit=0").unwrap()),
            json!({"object": "list", "data": [as_openai]})
        );
        let page = json!({"data": [as_anthropic], "has_more": false, "first_id": "a\"b", "last_id": "a\"b"});
        assert_eq!(parsed(list(Anthropic, &models, "").unwrap()), page);
        let none = json!({"data": [], "has_more": false, "first_id": null, "last_id": null});
        assert_eq!(parsed(list(Anthropic, &[], "").unwrap()), none);
        assert_eq!(one(OpenAi, &models, "a\"b").map(parsed), Some(as_openai));
        assert_eq!(one(Anthropic, &models, "a\"b").map(parsed), Some(as_anthropic));
        let as_gemini = json!({
            "name": "models/a\"b", "displayName": "a\"b",
            "supportedGenerationMethods": ["generateContent", "streamGenerateContent"],
        });
        assert_eq!(parsed(list(Gemini, &models, "pageSize=1").unwrap()), json!({"models": [as_gemini]}));
        assert_eq!(one(Gemini, &models, "a\"b").map(parsed), Some(as_gemini));
        assert_eq!(one(OpenAi, &models, "c"), None);
    }

    #[test]
    fn pages() {
        let models = models(&["a", "b", "c/d", "e", "f"]);
        #[rustfmt::skip]
        let cases: [(&str, &[&str], bool); 9] = [
            // query                        ids                             more   why
            ("",                            &["a", "b", "c/d", "e", "f"],   false),
            ("limit=2",                     &["a", "b"],                    true),
            ("limit=5",                     &["a", "b", "c/d", "e", "f"],   false), // exactly all
            ("limit=2&after_id=b",          &["c/d", "e"],                  true),
            ("after_id=c%2Fd&limit=2",      &["e", "f"],                    false), // ids are unescaped
            ("after_id=f",                  &[],                            false),
            ("limit=2&before_id=e",         &["b", "c/d"],                  true),  // the ones next to it
            ("before_id=b",                 &["a"],                         false),
            ("beta=true",                   &["a", "b", "c/d", "e", "f"],   false), // of no concern
        ];
        for (query, ids, has_more) in cases {
            let page: Value = serde_json::from_slice(&list(Anthropic, &models, query).unwrap()).unwrap();
            let listed: Vec<_> =
                page["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
            assert_eq!((&*listed, &page["has_more"]), (ids, &json!(has_more)), "{query}");
        }
        #[rustfmt::skip]
        let refused = [
            // query                        param
            ("limit=0",                     "limit"),
            ("limit=1001",                  "limit"),
            ("limit=x",                     "limit"),
            ("after_id=zz",                 "after_id"),
            ("before_id=zz",                "before_id"),
            ("after_id=a&before_id=b",      "before_id"),
        ];
        for (query, param) in refused {
            let error = list(Anthropic, &models, query).expect_err(query);
            assert_eq!((error.status.as_u16(), error.param.as_deref()), (400, Some(param)), "{query}");
        }
    }

    #[test]
    fn dates() {
        #[rustfmt::skip]
        let cases = [
            (0,             "1970-01-01T00:00:00Z"),
            (68_169_600,    "1972-02-29T00:00:00Z"), // a leap day
            (951_868_799,   "2000-02-29T23:59:59Z"), // and one of a whole century
            (951_868_800,   "2000-03-01T00:00:00Z"),
            (1_767_225_599, "2025-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"), // a century without one
        ];
        for (unix_s, expected) in cases {
            assert_eq!(rfc3339(unix_s), expected);
        }
        assert!(rfc3339(u64::MAX).ends_with('Z'), "no overflow");
    }
}
