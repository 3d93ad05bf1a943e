//! Endpoint, token, cache and modes, resolved once and passed on.
//!
//! Flags win over variables, variables over files:
//!
//! | setting  | flag         | variables                                          | otherwise |
//! |----------|--------------|----------------------------------------------------|-----------|
//! | endpoint | `--endpoint` | `HF_ENDPOINT`                                      | `https://huggingface.co` |
//! | token    | `--token`    | `HF_TOKEN`, `HUGGING_FACE_HUB_TOKEN`               | the file `HF_TOKEN_PATH` or `HF_HOME/token`; none with `HF_HUB_DISABLE_IMPLICIT_TOKEN` |
//! | cache    | `--cache`    | `HF_HUB_CACHE`, `HUGGINGFACE_HUB_CACHE`            | `HF_HOME/hub` |
//! | offline  | `--offline`  | `HF_HUB_OFFLINE`, `TRANSFORMERS_OFFLINE`           | off |
//! | Xet      |              | `HF_HUB_DISABLE_XET`                               | on |
//!
//! `HF_HOME` is `$XDG_CACHE_HOME/huggingface`, or `~/.cache/huggingface`.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::HubError;

/// What the command line says; each field left out falls back to environment and files.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--endpoint`.
    pub endpoint: Option<String>,
    /// `--token`.
    pub token: Option<Token>,
    /// `--cache`.
    pub cache: Option<PathBuf>,
    /// `--offline`.
    pub offline: bool,
}

/// An access token. It prints as `[secret]`.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Takes a token as it stands in a variable or a file: surrounding white space goes, and
    /// nothing left over is no token.
    ///
    /// # Errors
    ///
    /// [`HubError::BadSetting`] naming `origin`, when a header can't carry the text. The text
    /// itself is not repeated.
    pub fn new(text: &str, origin: &str) -> Result<Option<Self>, HubError> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(HubError::BadSetting {
                origin: origin.to_owned(),
                problem: "holds a token with spaces or unprintable characters; copy it again"
                    .to_owned(),
            });
        }
        Ok(Some(Self(text.to_owned())))
    }

    /// The secret, for the one header that carries it.
    #[cfg(feature = "hub")]
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// How often and how patiently a failed request is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Tries in all, at least 1.
    pub attempts: u32,
    /// The pause after the first failure; it doubles with each further one, up to 10 seconds.
    pub pause: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 5,
            pause: Duration::from_millis(300),
        }
    }
}

/// Everything the Hub client needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The server, without a slash at its end.
    pub endpoint: String,
    /// The token, sent to `endpoint` and to no other host.
    pub token: Option<Token>,
    /// The cache that `huggingface_hub` shares.
    pub cache: PathBuf,
    /// Use the cache alone.
    pub offline: bool,
    /// Whether uploads may use Xet.
    pub xet: bool,
    /// Patience.
    pub retry: Retry,
}

impl Settings {
    /// Resolves flags, the environment of this process and the token file.
    ///
    /// # Errors
    ///
    /// [`HubError::BadSetting`] when a value can't be used, [`HubError::Io`] when the token file
    /// exists and can't be read.
    pub fn resolve(overrides: &Overrides) -> Result<Self, HubError> {
        Self::resolve_from(overrides, &|name| std::env::var_os(name))
    }

    /// [`Self::resolve`] with the environment as a function.
    ///
    /// # Errors
    ///
    /// As [`Self::resolve`].
    pub fn resolve_from(
        overrides: &Overrides,
        environment: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self, HubError> {
        let variable = |name: &str| environment(name).filter(|value| !value.is_empty());
        let path = |name: &str| variable(name).map(|value| expand_home(value, &variable));
        let home = path("HF_HOME").unwrap_or_else(|| {
            path("XDG_CACHE_HOME")
                .unwrap_or_else(|| home_directory(&variable).join(".cache"))
                .join("huggingface")
        });
        let cache = overrides
            .cache
            .clone()
            .or_else(|| path("HF_HUB_CACHE"))
            .or_else(|| path("HUGGINGFACE_HUB_CACHE"))
            .unwrap_or_else(|| home.join("hub"));
        let (endpoint, origin) = match (&overrides.endpoint, variable("HF_ENDPOINT")) {
            (Some(flag), _) => (flag.clone(), "--endpoint"),
            (None, Some(value)) => (text(value, "HF_ENDPOINT")?, "HF_ENDPOINT"),
            (None, None) => ("https://huggingface.co".to_owned(), "the default endpoint"),
        };
        let switch = |name| -> Result<bool, HubError> {
            Ok(match variable(name) {
                Some(value) => ["1", "ON", "YES", "TRUE"]
                    .contains(&text(value, name)?.to_ascii_uppercase().as_str()),
                None => false,
            })
        };
        let token = match (&overrides.token, switch("HF_HUB_DISABLE_IMPLICIT_TOKEN")?) {
            (Some(token), _) => Some(token.clone()),
            (None, true) => None,
            (None, false) => implicit_token(
                &variable,
                &path("HF_TOKEN_PATH").unwrap_or_else(|| home.join("token")),
            )?,
        };
        Ok(Self {
            endpoint: checked_endpoint(&endpoint, origin)?,
            token,
            cache,
            offline: overrides.offline
                || switch("HF_HUB_OFFLINE")?
                || switch("TRANSFORMERS_OFFLINE")?,
            xet: !switch("HF_HUB_DISABLE_XET")?,
            retry: Retry::default(),
        })
    }
}

fn implicit_token(
    variable: &dyn Fn(&str) -> Option<OsString>,
    file: &Path,
) -> Result<Option<Token>, HubError> {
    for name in ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"] {
        if let Some(value) = variable(name)
            && let Some(token) = Token::new(&text(value, name)?, name)?
        {
            return Ok(Some(token));
        }
    }
    match std::fs::read_to_string(file) {
        Ok(content) => Token::new(&content, &format!("`{}`", file.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(HubError::io(file)(error)),
    }
}

fn text(value: OsString, name: &str) -> Result<String, HubError> {
    value.into_string().map_err(|_| HubError::BadSetting {
        origin: name.to_owned(),
        problem: "is not valid UTF-8; set it anew".to_owned(),
    })
}

/// `http(s)://host[:port][/path]` without credentials, query or fragment: the messages repeat it.
fn checked_endpoint(endpoint: &str, origin: &str) -> Result<String, HubError> {
    let endpoint = endpoint.trim().trim_end_matches('/');
    let rest = endpoint
        .strip_prefix("https://")
        .or_else(|| endpoint.strip_prefix("http://"));
    match rest {
        Some(rest)
            if !rest.is_empty()
                && !rest.starts_with(['/', ':'])
                && rest.bytes().all(|b| b.is_ascii_graphic() && !b"@?#\\".contains(&b)) =>
        {
            Ok(endpoint.to_owned())
        }
        _ => Err(HubError::BadSetting {
            origin: origin.to_owned(),
            problem: "is not an address such as `https://huggingface.co` (no user, query or fragment); correct it"
                .to_owned(),
        }),
    }
}

fn home_directory(variable: &dyn Fn(&str) -> Option<OsString>) -> PathBuf {
    variable("HOME")
        .or_else(|| variable("USERPROFILE"))
        .map_or_else(std::env::temp_dir, PathBuf::from)
}

/// A leading `~` is the home directory, as Python's library reads these variables.
fn expand_home(value: OsString, variable: &dyn Fn(&str) -> Option<OsString>) -> PathBuf {
    let path = PathBuf::from(value);
    match path.strip_prefix("~") {
        Ok(rest) => home_directory(variable).join(rest),
        Err(_) => path,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn resolve(overrides: &Overrides, variables: &[(&str, &str)]) -> Result<Settings, HubError> {
        let map: HashMap<_, _> = variables.iter().copied().collect();
        Settings::resolve_from(overrides, &|name| map.get(name).map(OsString::from))
    }

    #[test]
    fn falls_back_from_flag_to_variable_to_default() {
        let plain = resolve(&Overrides::default(), &[("HOME", "/h")]).unwrap();
        assert_eq!(plain.endpoint, "https://huggingface.co");
        assert_eq!(plain.cache, Path::new("/h/.cache/huggingface/hub"));
        assert!(plain.token.is_none() && !plain.offline && plain.xet);

        let variables = [
            ("HOME", "/h"),
            ("HF_HOME", "~/hf"),
            ("HF_ENDPOINT", "http://127.0.0.1:1/"),
            ("HF_TOKEN", " hf_variable\n"),
            ("HF_HUB_OFFLINE", "yes"),
            ("HF_HUB_DISABLE_XET", "1"),
        ];
        let set = resolve(&Overrides::default(), &variables).unwrap();
        assert_eq!(set.endpoint, "http://127.0.0.1:1");
        assert_eq!(set.cache, Path::new("/h/hf/hub"));
        assert_eq!(set.token.unwrap().0, "hf_variable");
        assert!(set.offline && !set.xet);

        let flags = Overrides {
            endpoint: Some("https://hub.example".to_owned()),
            token: Token::new("hf_flag", "--token").unwrap(),
            cache: Some("/c".into()),
            offline: false,
        };
        let set = resolve(&flags, &variables[..4]).unwrap();
        assert_eq!(set.endpoint, "https://hub.example");
        assert_eq!(set.cache, Path::new("/c"));
        assert_eq!(set.token.unwrap().0, "hf_flag");
    }

    #[test]
    fn the_token_file_is_the_last_resort() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().to_str().unwrap();
        let other = dir.path().join("other");
        std::fs::write(dir.path().join("token"), "hf_file\n").unwrap();
        std::fs::write(&other, "hf_other").unwrap();
        let token = |variables: &[(&str, &str)]| {
            let set = resolve(&Overrides::default(), variables).unwrap();
            set.token.map(|token| token.0)
        };
        assert_eq!(token(&[("HF_HOME", home)]).as_deref(), Some("hf_file"));
        let other = ("HF_TOKEN_PATH", other.to_str().unwrap());
        assert_eq!(
            token(&[("HF_HOME", home), other]).as_deref(),
            Some("hf_other")
        );
        let disabled = ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1");
        assert_eq!(token(&[("HF_HOME", home), disabled]), None);
    }

    #[test]
    fn secrets_never_print() {
        let set = resolve(&Overrides::default(), &[("HF_TOKEN", "hf_abc")]).unwrap();
        assert!(!format!("{set:?}").contains("hf_abc"));
        let error = Token::new("hf_abc def", "HF_TOKEN").unwrap_err();
        assert!(!error.to_string().contains("abc"), "{error}");
    }

    #[test]
    fn bad_endpoints_are_refused() {
        for bad in [
            "",
            "hub",
            "ftp://x",
            "https://",
            "https://me:pw@host",
            "http://h?q",
            "http://:80",
        ] {
            let flags = Overrides {
                endpoint: Some(bad.to_owned()),
                ..Overrides::default()
            };
            let error = resolve(&flags, &[]).unwrap_err().to_string();
            assert!(
                error.contains("--endpoint") && !error.contains("pw"),
                "{error}"
            );
        }
    }
}
