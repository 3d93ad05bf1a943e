//! HTTP to one Hub: bounded retries, redirects followed by hand, and the token for one origin only.

use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use reqwest::blocking::{Client as Http, RequestBuilder, Response};
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use serde::de::DeserializeOwned;

use super::{HubError, Retry, Settings};

const MAX_REDIRECTS: usize = 10;
const MAX_PAUSE: Duration = Duration::from_secs(10);
/// An answer in JSON is never larger than this; a page of a file list has 1,000 rows.
const MAX_JSON_BYTES: u64 = 64 << 20;

/// A connection to the endpoint of the settings.
pub(super) struct Client {
    http: Http,
    endpoint: Url,
    authorization: Option<HeaderValue>,
    retry: Retry,
    /// Whether anybody has answered.
    met: AtomicBool,
}

/// Why one try failed.
pub(super) enum Failure {
    /// Another try may help.
    Transient {
        host: String,
        reason: String,
        /// What the server asked for with `Retry-After`.
        pause: Option<Duration>,
        /// Whether nobody was met, now or before: without a network no try helps.
        in_vain: bool,
    },
    /// No further try will help.
    Final(HubError),
}

impl From<HubError> for Failure {
    fn from(error: HubError) -> Self {
        Self::Final(error)
    }
}

/// Counts tries and pauses between them.
pub(super) struct Tries {
    retry: Retry,
    failed: u32,
}

impl Tries {
    /// Pauses, or gives up with the failure as an error.
    pub(super) fn after(&mut self, failure: Failure) -> Result<(), HubError> {
        match failure {
            Failure::Final(error) => Err(error),
            Failure::Transient {
                host,
                reason,
                pause,
                in_vain,
            } => {
                self.failed += 1;
                if in_vain || self.failed >= self.retry.attempts {
                    return Err(HubError::Unreachable {
                        host,
                        reason: match self.failed {
                            1 => reason,
                            tries => format!("{reason}, after {tries} tries"),
                        },
                    });
                }
                let doubled = self.retry.pause * 2_u32.saturating_pow((self.failed - 1).min(10));
                thread::sleep(pause.unwrap_or(doubled).min(MAX_PAUSE));
                Ok(())
            }
        }
    }

    /// Something arrived: the next failure counts as the first.
    pub(super) fn progressed(&mut self) {
        self.failed = 0;
    }
}

impl Client {
    pub(super) fn new(settings: &Settings) -> Result<Self, HubError> {
        let bad = |problem: &str| HubError::BadSetting {
            origin: "the endpoint".to_owned(),
            problem: problem.to_owned(),
        };
        let endpoint = Url::parse(&settings.endpoint)
            .map_err(|error| bad(&format!("is no address ({error}); correct HF_ENDPOINT")))?;
        let authorization = match &settings.token {
            Some(token) => {
                let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
                    .map_err(|_| bad("can't carry this token; copy the token again"))?;
                value.set_sensitive(true);
                Some(value)
            }
            None => None,
        };
        let mut builder = Http::builder()
            .user_agent(concat!("zoo/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(60));
        if is_loopback(&endpoint) {
            builder = builder.no_proxy();
        }
        let http = builder
            .build()
            .map_err(|error| bad(&format!("can't be used: {}", reason(error))))?;
        Ok(Self {
            http,
            endpoint,
            authorization,
            retry: settings.retry,
            met: AtomicBool::new(false),
        })
    }

    /// The address of these path segments under the endpoint, each one percent-encoded.
    pub(super) fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.endpoint.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// An address that the server gave, made whole where it is relative.
    pub(super) fn whole(&self, address: &str) -> String {
        match self.endpoint.join(address) {
            Ok(url) => url.to_string(),
            Err(_) => address.to_owned(),
        }
    }

    /// The error for an answer that no honest Hub gives.
    pub(super) fn protocol(&self, problem: &str) -> HubError {
        HubError::Protocol {
            host: self.host(),
            problem: problem.to_owned(),
        }
    }

    /// The endpoint's host and port, for messages.
    pub(super) fn host(&self) -> String {
        host(&self.endpoint)
    }

    /// A fresh count of tries.
    pub(super) fn tries(&self) -> Tries {
        Tries {
            retry: self.retry,
            failed: 0,
        }
    }

    /// Whether the token may go to this address: the endpoint's scheme, host and port.
    pub(super) fn is_ours(&self, url: &Url) -> bool {
        url.origin() == self.endpoint.origin()
    }

    /// Whether requests carry a token at all.
    pub(super) fn has_token(&self) -> bool {
        self.authorization.is_some()
    }

    /// Reads JSON, and the address of the next page if there is one. `wanted` names the thing in
    /// errors.
    pub(super) fn get_json<T: DeserializeOwned>(
        &self,
        url: Url,
        wanted: &str,
    ) -> Result<(T, Option<Url>), HubError> {
        self.json(|| self.get(url.clone(), wanted, HeaderMap::new(), &|_| Ok(())))
    }

    /// Sends JSON and reads JSON.
    pub(super) fn post_json<T: DeserializeOwned>(
        &self,
        url: &Url,
        wanted: &str,
        content_type: &'static str,
        body: &serde_json::Value,
    ) -> Result<T, HubError> {
        let request = || {
            self.authorized(Method::POST, url)
                .header(header::CONTENT_TYPE, content_type)
                .header(header::ACCEPT, content_type)
                .body(body.to_string())
        };
        let (value, _) = self.json(|| self.accept(self.send(request(), url)?, url, wanted))?;
        Ok(value)
    }

    fn json<T: DeserializeOwned>(
        &self,
        request: impl Fn() -> Result<Response, Failure>,
    ) -> Result<(T, Option<Url>), HubError> {
        let mut tries = self.tries();
        loop {
            let failure = match request().and_then(|response| self.parse(response)) {
                Ok(done) => return Ok(done),
                Err(failure) => failure,
            };
            tries.after(failure)?;
        }
    }

    fn parse<T: DeserializeOwned>(&self, response: Response) -> Result<(T, Option<Url>), Failure> {
        let next = match next_page(&response) {
            Some(url) if !self.is_ours(&url) => {
                Err(self.protocol("with a file list that continues on another host"))
            }
            other => Ok(other),
        }?;
        let url = response.url().clone();
        let mut text = Vec::new();
        response
            .take(MAX_JSON_BYTES + 1)
            .read_to_end(&mut text)
            .map_err(|error| transient(&url, format!("the answer broke off: {error}")))?;
        if text.len() as u64 > MAX_JSON_BYTES {
            return Err(self
                .protocol("with more JSON than any file list has")
                .into());
        }
        let value = serde_json::from_slice(&text).map_err(|_| {
            self.protocol(if text.trim_ascii_start().starts_with(b"<") {
                "with a web page where JSON was expected"
            } else {
                "with something else than the JSON of a Hub"
            })
        })?;
        Ok((value, next))
    }

    /// One GET with redirects followed and the status checked: a success, or a failure. `inspect`
    /// sees each redirect and each success that the endpoint itself answers with.
    pub(super) fn get(
        &self,
        mut url: Url,
        wanted: &str,
        headers: HeaderMap,
        inspect: &dyn Fn(&Response) -> Result<(), HubError>,
    ) -> Result<Response, Failure> {
        for _ in 0..=MAX_REDIRECTS {
            let request = self
                .authorized(Method::GET, &url)
                .headers(headers.clone())
                .header(header::ACCEPT_ENCODING, "identity");
            let response = self.send(request, &url)?;
            let status = response.status();
            if self.is_ours(&url) && (status.is_success() || status.is_redirection()) {
                inspect(&response)?;
            }
            if !status.is_redirection() {
                return self.accept(response, &url, wanted);
            }
            let target = response
                .headers()
                .get(header::LOCATION)
                .and_then(|location| location.to_str().ok())
                .and_then(|location| url.join(location).ok())
                .filter(|target| matches!(target.scheme(), "https" | "http"))
                .ok_or_else(|| self.protocol("with a redirect to nowhere"))?;
            if url.scheme() == "https" && target.scheme() == "http" {
                return Err(self.protocol("with a redirect from https to http").into());
            }
            url = target;
        }
        Err(self
            .protocol("with a redirect that goes round in circles")
            .into())
    }

    fn authorized(&self, method: Method, url: &Url) -> RequestBuilder {
        let request = self.http.request(method, url.clone());
        match &self.authorization {
            Some(value) if self.is_ours(url) => request.header(header::AUTHORIZATION, value),
            _ => request,
        }
    }

    fn send(&self, request: RequestBuilder, url: &Url) -> Result<Response, Failure> {
        match request.send() {
            Ok(response) => {
                self.met.store(true, Ordering::Relaxed);
                Ok(response)
            }
            Err(error) => Err(Failure::Transient {
                host: host(url),
                in_vain: error.is_connect() && !self.met.load(Ordering::Relaxed),
                reason: reason(error),
                pause: None,
            }),
        }
    }

    /// Sorts an answer into use, another try, and refusal.
    fn accept(&self, response: Response, url: &Url, wanted: &str) -> Result<Response, Failure> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let may_pass = status.is_server_error()
            || matches!(
                status,
                StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS
            );
        if may_pass {
            let pause = response
                .headers()
                .get(header::RETRY_AFTER)
                .and_then(|value| value.to_str().ok()?.trim().parse().ok())
                .map(Duration::from_secs);
            return Err(Failure::Transient {
                host: host(url),
                reason: format!("it answers {status}"),
                pause,
                in_vain: false,
            });
        }
        let gated = response
            .headers()
            .get("x-error-code")
            .is_some_and(|code| code == "GatedRepo");
        let advice = match status {
            _ if gated => format!(
                "its owner asks you to accept terms first: open {}/{wanted} in a browser",
                self.endpoint.as_str().trim_end_matches('/')
            ),
            StatusCode::UNAUTHORIZED if self.has_token() => {
                "it does not exist, or the token is wrong: check the name and HF_TOKEN".to_owned()
            }
            StatusCode::UNAUTHORIZED => {
                "it does not exist, or needs a token: check the name, or set HF_TOKEN".to_owned()
            }
            StatusCode::FORBIDDEN if self.has_token() => {
                "the token has no right to it: use one that has".to_owned()
            }
            StatusCode::FORBIDDEN => "access is forbidden: set HF_TOKEN".to_owned(),
            StatusCode::NOT_FOUND => "check the name and the revision".to_owned(),
            _ => "that is not how a Hub answers: check the endpoint".to_owned(),
        };
        Err(Failure::Final(HubError::Refused {
            status: status.as_u16(),
            wanted: wanted.to_owned(),
            advice,
        }))
    }
}

fn transient(url: &Url, reason: String) -> Failure {
    Failure::Transient {
        host: host(url),
        reason,
        pause: None,
        in_vain: false,
    }
}

/// The innermost cause, without the address: a signed one is a secret too.
pub(super) fn reason(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "it does not answer in time".to_owned();
    }
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string().to_lowercase()
}

/// Host and port, for messages.
fn host(url: &Url) -> String {
    let name = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{name}:{port}"),
        None => name.to_owned(),
    }
}

/// Loopback is never behind a proxy.
fn is_loopback(url: &Url) -> bool {
    let name = url.host_str().unwrap_or_default();
    name == "localhost" || name == "[::1]" || name.starts_with("127.")
}

/// The address marked `rel="next"` in the `Link` header.
fn next_page(response: &Response) -> Option<Url> {
    let links = response.headers().get(header::LINK)?.to_str().ok()?;
    links.split(',').find_map(|link| {
        let (address, parameters) = link.split_once(';')?;
        let address = address.trim().strip_prefix('<')?.strip_suffix('>')?;
        parameters
            .contains("rel=\"next\"")
            .then(|| response.url().join(address).ok())?
    })
}
