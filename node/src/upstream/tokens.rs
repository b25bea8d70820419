//! Access tokens of Google Cloud and of Azure: one keeper an account has a valid one ready at all times.
//!
//! ```text
//! signed assertion, or secret ─▶ token_uri ─▶ token ── used until it expires ──▶ requests
//!        ▲                                      │
//!        └── well before its end ───────────────┘   one at a time, whatever requests wait
//! ```
//!
//! A token that has expired is never used: who finds none that is valid waits a while for the keeper, and goes on to
//! another backend then. See RFC 7523, section 2.1, and Google's "OAuth 2.0 for server to server applications"; RFC 6749,
//! section 4.4, and Microsoft's "OAuth 2.0 client credentials flow".

mod assertion;
mod entra;
mod surroundings;

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, Request, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tollgate_crds::{AzureApp, ServiceAccount};

use super::connect::{Connector, Reach};
use crate::clock;
use assertion::Signer;

/// A new token is had this long before the old one ends, or at half of its life if that is short.
const AHEAD: Duration = Duration::from_mins(5);
/// A token is not used in the last moments of its life: it has to be valid still when it arrives.
const LEEWAY: Duration = Duration::from_secs(10);
/// One exchange may take this long, and so may a request wait for its end.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Between tries that fail; doubled each time.
const SHORTEST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
const LONGEST_ANSWER: usize = 64 * 1024;

/// Who gets tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Account {
    Google(ServiceAccount),
    /// What Google's own libraries would find.
    GoogleDefault,
    Azure(AzureApp),
}

/// The same, ready to ask.
enum Source {
    Google(Box<(ServiceAccount, Signer)>),
    GoogleDefault,
    Azure(AzureApp),
}

/// The tokens of one account. Dropped, its keeper ends.
pub(crate) struct Tokens {
    held: watch::Receiver<Held>,
    keeper: AbortHandle,
}

/// What the keeper has.
#[derive(Clone, Debug)]
enum Held {
    /// The first one is on its way.
    Nothing,
    Token(Token),
    /// There was none that is valid when the last try failed, for this reason.
    Failure(String),
}

#[derive(Clone, Debug)]
struct Token {
    header: HeaderValue,
    /// Not used from then on.
    until: Instant,
    /// When the next one should be had.
    renew: Instant,
}

/// The token endpoint's answer.
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: u64,
}

/// And its no.
#[derive(Deserialize)]
struct Denied {
    error: String,
    error_description: Option<String>,
}

impl Drop for Tokens {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl Tokens {
    /// Begins to keep tokens of `account`.
    pub(crate) fn keep(account: Account, runtime: &Handle) -> Result<Self, String> {
        let source = match account {
            Account::Google(account) => {
                let signer = Signer::new(&account)?;
                Source::Google(Box::new((account, signer)))
            }
            Account::GoogleDefault => Source::GoogleDefault,
            Account::Azure(app) => Source::Azure(app),
        };
        let (tell, held) = watch::channel(Held::Nothing);
        let keeper = runtime.spawn(async move { keep(&source, &tell).await });
        Ok(Self { held, keeper: keeper.abort_handle() })
    }

    /// The value of `Authorization`.
    pub(crate) async fn current(&self) -> Result<HeaderValue, String> {
        let waited = tokio::time::timeout(TIMEOUT, self.valid()).await;
        waited.unwrap_or_else(|_| Err(format!("no valid one within {} s", TIMEOUT.as_secs())))
    }

    async fn valid(&self) -> Result<HeaderValue, String> {
        let mut held = self.held.clone();
        loop {
            match &*held.borrow_and_update() {
                Held::Token(token) if Instant::now() < token.until => return Ok(token.header.clone()),
                Held::Failure(reason) => return Err(reason.clone()),
                // The keeper is at it.
                Held::Token(_) | Held::Nothing => {}
            }
            held.changed().await.map_err(|_| "nobody keeps them any more".to_owned())?;
        }
    }
}

async fn keep(source: &Source, tell: &watch::Sender<Held>) {
    let mut pause = SHORTEST_PAUSE;
    loop {
        let tried = tokio::time::timeout(TIMEOUT, exchange(source)).await;
        let tried = tried.unwrap_or_else(|_| Err(format!("no answer within {} s", TIMEOUT.as_secs())));
        let next = match tried {
            Ok(token) => {
                pause = SHORTEST_PAUSE;
                let renew = token.renew;
                tell.send_replace(Held::Token(token));
                renew
            }
            Err(reason) => {
                tracing::warn!(account = source.name(), %reason, "no new access token");
                tell.send_modify(|held| {
                    let is_valid = matches!(held, Held::Token(token) if Instant::now() < token.until);
                    if !is_valid {
                        *held = Held::Failure(reason);
                    }
                });
                let next = Instant::now() + pause;
                pause = (pause * 2).min(LONGEST_PAUSE);
                next
            }
        };
        tokio::time::sleep_until(next.into()).await;
    }
}

impl Source {
    fn name(&self) -> &str {
        match self {
            Self::Google(google) => &google.0.client_email,
            Self::GoogleDefault => "Google's default",
            Self::Azure(app) => &app.client_id,
        }
    }

    fn question(&self) -> Result<Request<Full<Bytes>>, String> {
        match self {
            Self::Google(google) => signed(&google.0, &google.1),
            Self::GoogleDefault => match surroundings::key_file()? {
                Some(account) => signed(&account, &Signer::new(&account)?),
                None => surroundings::machine(),
            },
            Self::Azure(app) => {
                posted(&entra::token_uri(app, entra::authority().as_deref()), entra::grant(app))
            }
        }
    }
}

fn signed(account: &ServiceAccount, signer: &Signer) -> Result<Request<Full<Bytes>>, String> {
    let assertion = signer.assertion(account, clock::unix_ms() / 1_000)?;
    let grant = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer";
    posted(&account.token_uri, format!("{grant}&assertion={assertion}"))
}

fn posted(uri: &str, form: String) -> Result<Request<Full<Bytes>>, String> {
    let request = Request::post(uri)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::ACCEPT, "application/json")
        .body(Full::new(Bytes::from(form)));
    request.map_err(|error| format!("{uri} can't be asked: {error}"))
}

async fn exchange(source: &Source) -> Result<Token, String> {
    // Its life is counted from before it began.
    let asked = Instant::now();
    let request = source.question()?;
    let uri = request.uri().clone();
    let connector = Connector::new(&Reach::direct(uri.scheme_str() == Some("https")))?;
    // Not kept: it is used once in an hour.
    let client: Client<_, Full<Bytes>> =
        Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
    let response = client.request(request).await.map_err(|error| format!("{uri}: {error}"))?;
    let status = response.status();
    let body = Limited::new(response.into_body(), LONGEST_ANSWER).collect().await;
    let body = body.map_err(|error| format!("its answer broke off: {error}"))?.to_bytes();
    if !status.is_success() {
        let why = serde_json::from_slice::<Denied>(&body).map_or_else(
            |_| String::new(),
            |denied| format!(": {} ({})", denied.error, denied.error_description.unwrap_or_default()),
        );
        return Err(format!("{uri} answered {status}{why}"));
    }
    let granted: Granted = serde_json::from_slice(&body)
        .map_err(|_| format!("{uri} answered something else than access_token and expires_in"))?;
    token(&granted, asked)
}

fn token(granted: &Granted, asked: Instant) -> Result<Token, String> {
    let mut header = HeaderValue::try_from(format!("Bearer {}", granted.access_token))
        .map_err(|_| "a token that no header can carry".to_owned())?;
    header.set_sensitive(true);
    let life = Duration::from_secs(granted.expires_in);
    Ok(Token {
        header,
        until: asked + life.saturating_sub(LEEWAY.min(life / 10)),
        renew: asked + life.saturating_sub(AHEAD.min(life / 2)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_renewed_before_they_end_and_not_used_at_it() {
        let asked = Instant::now();
        #[rustfmt::skip]
        let cases = [
            // expires_in  renewed after  used until
            (3_600,        3_300.0,       3_590.0),
            (600,          300.0,         590.0),
            (60,           30.0,          54.0),   // short lives: at half, and to nine tenths
            (2,            1.0,           1.8),
            (0,            0.0,           0.0),    // never used
        ];
        for (expires_in, renew, until) in cases {
            let granted = Granted { access_token: "t".to_owned(), expires_in };
            let token = token(&granted, asked).unwrap();
            let after = |moment: Instant| (moment - asked).as_secs_f64();
            assert!((after(token.renew) - renew).abs() < 1e-6, "{expires_in}: {:?}", token.renew - asked);
            assert!((after(token.until) - until).abs() < 1e-6, "{expires_in}: {:?}", token.until - asked);
        }
        let broken = Granted { access_token: "a\nb".to_owned(), expires_in: 1 };
        assert!(token(&broken, asked).is_err());
    }
}
