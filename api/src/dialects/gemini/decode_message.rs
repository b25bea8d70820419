//! A Gemini client's contents and parts.
//!
//! Calls and responses may come without ids: a response then belongs to the first call of its function that has none yet.

use super::signature::{self, Held};
use super::spelling::{camel, object, objects};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};

use crate::canonical::{Content, Document, Part, Place, Role, Source, Turn};
use crate::dialects::fields::Fields;
use crate::error::Untranslatable;

/// Hints on how much of a picture to look at.
const HARMLESS_IN_PART: &[&str] = &["mediaResolution", "partMetadata"];

/// A call that was made.
struct Call {
    id: String,
    name: String,
    answered: bool,
}

/// Reads contents in their order.
#[derive(Default)]
pub(super) struct Reader {
    calls: Vec<Call>,
}

impl Reader {
    pub(super) fn turn(&mut self, content: Fields<'_>) -> Result<Turn, Untranslatable> {
        let mut content = camel(content);
        let role: Option<String> = content.optional("role")?;
        let role = match role.as_deref() {
            Some("model") => Role::Assistant,
            Some("user" | "function" | "") | None => Role::User,
            Some(other) => return Err(content.refuse("role", &format!("`{other}` is not a known role."))),
        };
        let mut parts = Parts::default();
        for part in objects(&mut content, "parts")? {
            self.part(part, &mut parts)?;
        }
        content.finish()?;
        Ok(Turn { role, parts: parts.finish() })
    }

    fn part(&mut self, mut part: Fields<'_>, parts: &mut Parts) -> Result<(), Untranslatable> {
        let place = part.place();
        let text: Option<String> = part.optional("text")?;
        let is_thought = part.optional::<bool>("thought")?.unwrap_or(false);
        if let (true, Some(text)) = (is_thought, &text) {
            parts.think(text, &place);
        }
        if let Some(signature) = part.optional::<String>("thoughtSignature")? {
            parts.sign(&signature, &place);
        } else if !is_thought {
            parts.close();
        }
        let content = match text.filter(|text| !is_thought && !text.is_empty()) {
            Some(text) => Some(Content::Text(text)),
            None => self.other(&mut part)?,
        };
        parts.push(content, place);
        part.ignore(HARMLESS_IN_PART);
        part.finish()
    }

    /// What is no text.
    fn other(&mut self, part: &mut Fields<'_>) -> Result<Option<Content>, Untranslatable> {
        if let Some(data) = object(part, "inlineData")? {
            return inline(data).map(Some);
        }
        if let Some(file) = object(part, "fileData")? {
            return by_uri(file).map(Some);
        }
        if let Some(call) = object(part, "functionCall")? {
            return self.call(call).map(Some);
        }
        object(part, "functionResponse")?.map(|response| self.response(response)).transpose()
    }

    fn call(&mut self, mut call: Fields<'_>) -> Result<Content, Untranslatable> {
        let name: String = call.required("name")?;
        let arguments = call.json("args").map_or_else(|| "{}".to_owned(), |args| args.0.get().to_owned());
        if !arguments.starts_with('{') {
            return Err(call.refuse("args", "it must be a JSON object."));
        }
        let id: Option<String> = call.optional("id")?;
        let id = id.filter(|id| !id.is_empty()).unwrap_or_else(|| format!("call_{}", self.calls.len()));
        call.finish()?;
        self.calls.push(Call { id: id.clone(), name: name.clone(), answered: false });
        Ok(Content::ToolCall { id, name, arguments })
    }

    fn response(&mut self, mut response: Fields<'_>) -> Result<Content, Untranslatable> {
        let id: Option<String> = response.optional("id")?;
        let name: String = response.required("name")?;
        response.only("parts", &["[]"], "a response holds JSON only.")?;
        response.ignore(&["willContinue", "scheduling"]);
        let (text, is_error) = outcome(&mut response)?;
        let place = Place(response.path_of("response"));
        let call_id = match id.filter(|id| !id.is_empty()) {
            Some(id) => id,
            None => self.unanswered(&name).ok_or_else(|| {
                response.refuse("name", &format!("no call of `{name}` waits for a response."))
            })?,
        };
        response.finish()?;
        let parts = if text.is_empty() {
            Vec::new()
        } else {
            vec![Part { content: Content::Text(text), cache: None, place }]
        };
        Ok(Content::ToolResult { call_id, parts, is_error })
    }

    fn unanswered(&mut self, name: &str) -> Option<String> {
        let call = self.calls.iter_mut().find(|call| call.name == name && !call.answered)?;
        call.answered = true;
        Some(call.id.clone())
    }
}

/// A turn on its way. A signature closes the thoughts before it, or stands for ones that are not shown.
#[derive(Default)]
struct Parts {
    parts: Vec<Part>,
    open: Option<(String, Place)>,
}

impl Parts {
    fn think(&mut self, text: &str, place: &Place) {
        self.open.get_or_insert_with(|| (String::new(), place.clone())).0.push_str(text);
    }

    fn sign(&mut self, written: &str, place: &Place) {
        match signature::read(written) {
            Held::Signature(signature) => {
                let (text, place) = self.open.take().unwrap_or_else(|| (String::new(), place.clone()));
                self.push(Some(Content::Thinking { text, signature: Some(signature) }), place);
            }
            Held::Redacted(data) => self.push(Some(Content::RedactedThinking { data }), place.clone()),
        }
    }

    fn close(&mut self) {
        if let Some((text, place)) = self.open.take() {
            self.push(Some(Content::Thinking { text, signature: None }), place);
        }
    }

    fn push(&mut self, content: Option<Content>, place: Place) {
        self.parts.extend(content.map(|content| Part { content, cache: None, place }));
    }

    fn finish(mut self) -> Vec<Part> {
        self.close();
        self.parts
    }
}

/// `error` alone says that the function failed, `output` alone what it gave; else the whole object is what it gave.
fn outcome(fields: &mut Fields<'_>) -> Result<(String, bool), Untranslatable> {
    let Some(whole) = fields.json("response") else {
        return Ok((String::new(), false));
    };
    let mut response = Fields::of(&whole.0, fields.path_of("response"))?;
    let (output, error) = (response.json("output"), response.json("error"));
    let alone = response.finish().is_ok();
    Ok(match (output, error) {
        (Some(output), None) if alone => (text_of(output.0.get()), false),
        (None, Some(error)) if alone => (text_of(error.0.get()), true),
        (_, _) => (whole.0.get().to_owned(), false),
    })
}

/// A text as it is, anything else as JSON.
fn text_of(json: &str) -> String {
    serde_json::from_str(json).unwrap_or_else(|_| json.to_owned())
}

fn inline(mut data: Fields<'_>) -> Result<Content, Untranslatable> {
    let media_type: String = data.required("mimeType")?;
    let bytes: String = data.required("data")?;
    let title: Option<String> = data.optional("displayName")?;
    let content = match kind(&media_type) {
        Kind::Image => Content::Image(Source::Base64 { media_type, data: standard(bytes) }),
        Kind::Pdf => Content::Document(Document {
            source: Source::Base64 { media_type, data: standard(bytes) },
            title,
        }),
        Kind::Text => {
            let text = decoded(&bytes).and_then(|bytes| String::from_utf8(bytes).ok());
            let text = text.ok_or_else(|| data.refuse("data", "it must be text in UTF-8, in base64."))?;
            Content::Document(Document { source: Source::Text(text), title })
        }
        Kind::Other => {
            return Err(data.refuse("mimeType", &format!("data of type `{media_type}` cannot be carried.")));
        }
    };
    data.finish()?;
    Ok(content)
}

/// Files at Google can be read by Google only.
fn by_uri(mut file: Fields<'_>) -> Result<Content, Untranslatable> {
    let uri: String = file.required("fileUri")?;
    let media_type: String = file.optional("mimeType")?.unwrap_or_default();
    let title: Option<String> = file.optional("displayName")?;
    if !uri.starts_with("https://") && !uri.starts_with("http://") {
        return Err(file.refuse("fileUri", "only http(s) URLs can be read by other providers."));
    }
    let content = match kind(&media_type) {
        Kind::Image => Content::Image(Source::Url(uri)),
        Kind::Pdf => Content::Document(Document { source: Source::Url(uri), title }),
        Kind::Text | Kind::Other => {
            return Err(file.refuse("mimeType", &format!("files of type `{media_type}` cannot be carried.")));
        }
    };
    file.finish()?;
    Ok(content)
}

enum Kind {
    Image,
    Pdf,
    Text,
    Other,
}

fn kind(media_type: &str) -> Kind {
    match media_type {
        "application/pdf" => Kind::Pdf,
        "text/plain" => Kind::Text,
        _ if media_type.starts_with("image/") => Kind::Image,
        _ => Kind::Other,
    }
}

/// Google's SDKs write the URL's alphabet, which others do not read.
fn standard(data: String) -> String {
    if data.contains(['-', '_']) { data.replace('-', "+").replace('_', "/") } else { data }
}

fn decoded(data: &str) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(data).or_else(|_| BASE64_URL_SAFE.decode(data)).ok()
}
