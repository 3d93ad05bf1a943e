//! The guarded download: nothing enters the cache before its size and hash are right.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use reqwest::StatusCode;
use reqwest::blocking::Response;
use reqwest::header::{self, HeaderMap, HeaderValue};

use super::cache::RepoCache;
use super::checksum::Checksum;
use super::client::{Client, Failure};
use super::tree::{self, Entry};
use super::{HubError, Progress, RepoKind, Request, Settings, Snapshot};
use crate::pattern::matches;

/// After this many new bytes a broken connection counts as the first failure again.
const PROGRESS_BYTES: u64 = 1 << 20;

/// Fetches the requested files into the cache, or finds them there, and checks each one's size and
/// hash.
///
/// With [`Settings::offline`], or when the server can't be reached, the cached copy serves if it
/// holds what was asked for; every cached file is checked against the hash that names it.
///
/// # Errors
///
/// See [`HubError`]; [`HubError::is_unreachable`] tells "no network" from a refusal. After an
/// error the cache holds whole, checked files, and at most a partial one that the next try goes on
/// with; the requested snapshot does not appear.
pub fn download(
    request: &Request<'_>,
    settings: &Settings,
    progress: &dyn Progress,
) -> Result<Snapshot, HubError> {
    let cache = RepoCache::new(&settings.cache, request.repo, request.kind);
    if settings.offline {
        return cached(request, &cache, settings);
    }
    let unreachable = match fetch(request, &cache, settings, progress) {
        Err(error @ HubError::Unreachable { .. }) => error,
        other => return other,
    };
    match cached(request, &cache, settings) {
        Ok(snapshot) => {
            progress.note(&format!(
                "{unreachable}; the cached copy of `{}` at {} serves instead",
                request.repo,
                &snapshot.commit[..12]
            ));
            Ok(snapshot)
        }
        Err(HubError::Offline { .. }) => Err(unreachable),
        Err(damaged) => Err(damaged),
    }
}

fn fetch(
    request: &Request<'_>,
    cache: &RepoCache,
    settings: &Settings,
    progress: &dyn Progress,
) -> Result<Snapshot, HubError> {
    let client = Client::new(settings)?;
    let commit = tree::commit(&client, request.repo, request.kind, request.revision)?;
    let entries = tree::list(&client, request.repo, request.kind, &commit)?;
    let chosen = select(&entries, |entry| &entry.path, request, &commit)?;

    progress.start(chosen.len(), chosen.iter().map(|entry| entry.size).sum());
    let mut before = 0;
    for entry in &chosen {
        progress.file(&entry.path);
        let transfer = Transfer {
            client: &client,
            request,
            commit: &commit,
            entry,
            cache,
            progress,
            before,
        };
        transfer.run()?;
        before += entry.size;
        progress.position(before);
    }
    // Only now, when all is well, does the snapshot appear.
    let files: Result<Vec<_>, _> = chosen
        .iter()
        .map(|entry| cache.link(&commit, entry))
        .collect();
    cache.remember_tree(&commit, &entries)?;
    cache.remember(request.revision, &commit)?;
    progress.finish();
    Ok(Snapshot {
        dir: cache.snapshot(&commit),
        files: files?,
        commit,
    })
}

/// What the cache holds, if that is all that was asked for and every byte of it is right.
fn cached(
    request: &Request<'_>,
    cache: &RepoCache,
    settings: &Settings,
) -> Result<Snapshot, HubError> {
    let missing = |wanted: String| HubError::Offline {
        wanted,
        cache: settings.cache.clone(),
    };
    let whole = || missing(format!("{}@{}", request.repo, request.revision));
    let commit = cache.commit(request.revision).ok_or_else(whole)?;
    let dir = cache.snapshot(&commit);
    if !dir.is_dir() {
        return Err(whole());
    }
    let known = cache.tree(&commit);
    let paths = match &known {
        Some(entries) => entries.iter().map(|entry| entry.path.clone()).collect(),
        None => cache.snapshot_paths(&commit),
    };
    let chosen = select(&paths, |path| path, request, &commit).map_err(|_| {
        missing(format!(
            "{}@{}",
            request.repo,
            request.patterns.join("`, `")
        ))
    })?;
    let files: Vec<PathBuf> = chosen.iter().map(|path| dir.join(path)).collect();
    for (path, file) in chosen.iter().zip(&files) {
        if !file.is_file() {
            return Err(missing(format!("{}/{path}", request.repo)));
        }
        let entry = known
            .as_ref()
            .and_then(|entries| entries.iter().find(|entry| entry.path == **path));
        let problem = match entry {
            Some(entry) => entry.checksum.problem(file, Some(entry.size)),
            // A plain file that no list knows (a copy, where links don't work) has no hash.
            None => match cache.checksum_by_name(file) {
                Some(checksum) => checksum.problem(file, None),
                None => Ok(None),
            },
        }
        .map_err(HubError::io(file))?;
        if let Some(problem) = problem {
            return Err(HubError::DamagedCache {
                path: file.clone(),
                problem,
                advice: "go online and the download repairs it".to_owned(),
            });
        }
    }
    Ok(Snapshot { commit, dir, files })
}

/// The items that match the patterns, in order; every pattern has to match something.
fn select<'a, T>(
    items: &'a [T],
    path: impl Fn(&T) -> &String,
    request: &Request<'_>,
    commit: &str,
) -> Result<Vec<&'a T>, HubError> {
    let absent = request
        .patterns
        .iter()
        .find(|pattern| !items.iter().any(|item| matches(pattern, path(item))));
    if let Some(pattern) = absent {
        let mut names: Vec<_> = items
            .iter()
            .take(8)
            .map(|item| path(item).clone())
            .collect();
        if items.len() > names.len() {
            names.push(format!("{} more", items.len() - names.len()));
        }
        return Err(HubError::NoSuchFile {
            repo: request.repo.to_string(),
            pattern: (*pattern).to_owned(),
            revision: commit.to_owned(),
            available: match names.is_empty() {
                true => "no files at all".to_owned(),
                false => names.join(", "),
            },
        });
    }
    let wanted = |item: &&T| {
        request.patterns.is_empty()
            || request
                .patterns
                .iter()
                .any(|pattern| matches(pattern, path(item)))
    };
    Ok(items.iter().filter(wanted).collect())
}

/// One file on its way into the cache.
struct Transfer<'a> {
    client: &'a Client,
    request: &'a Request<'a>,
    commit: &'a str,
    entry: &'a Entry,
    cache: &'a RepoCache,
    progress: &'a dyn Progress,
    /// Bytes of the whole download that came before this file.
    before: u64,
}

impl Transfer<'_> {
    fn run(&self) -> Result<(), HubError> {
        let checksum = &self.entry.checksum;
        let blob = self.cache.blob(checksum);
        let _lock = self.cache.lock(checksum)?;
        if blob.exists() {
            match self.problem(&blob)? {
                None => return Ok(()),
                Some(problem) => {
                    self.progress.note(&format!(
                        "`{}` in the cache is damaged ({problem}); fetching it again",
                        self.entry.path
                    ));
                    remove(&blob)?;
                }
            }
        }
        let partial = self.cache.partial(checksum);
        let mut damage = None;
        for _ in 0..2 {
            damage = match self.fill(&partial)? {
                Some(problem) => Some(problem),
                None => self.problem(&partial)?,
            };
            match &damage {
                None => return fs::rename(&partial, &blob).map_err(HubError::io(&blob)),
                Some(_) => remove(&partial)?,
            }
        }
        Err(HubError::Damaged {
            repo: self.request.repo.to_string(),
            path: self.entry.path.clone(),
            problem: damage.unwrap_or_default(),
        })
    }

    fn problem(&self, file: &Path) -> Result<Option<String>, HubError> {
        self.entry
            .checksum
            .problem(file, Some(self.entry.size))
            .map_err(HubError::io(file))
    }

    /// Gets bytes until the file has its size, going on where it stands. Gives what makes going on
    /// useless, if anything; the partial file stays when the connection is given up.
    fn fill(&self, partial: &Path) -> Result<Option<String>, HubError> {
        let mut tries = self.client.tries();
        loop {
            let start = fs::metadata(partial).map_or(0, |meta| meta.len());
            if start >= self.entry.size && partial.exists() {
                return Ok(None);
            }
            let failure = match self
                .request_from(start)
                .map(|answer| self.receive(answer, partial, start))
            {
                Ok(received) => match received? {
                    Received::All => return Ok(None),
                    Received::Wrong(problem) => return Ok(Some(problem)),
                    Received::Broken(failure) => failure,
                },
                // The server has no such range: start over.
                Err(Failure::Final(HubError::Refused { status: 416, .. })) if start > 0 => {
                    return Ok(Some(
                        "the server could not go on where it stopped".to_owned(),
                    ));
                }
                Err(failure) => failure,
            };
            let end = fs::metadata(partial).map_or(0, |meta| meta.len());
            if end >= start + PROGRESS_BYTES {
                tries.progressed();
            }
            tries.after(failure)?;
        }
    }

    fn request_from(&self, start: u64) -> Result<Response, Failure> {
        let repo = self.request.repo;
        let prefix = match self.request.kind {
            RepoKind::Model => None,
            RepoKind::Dataset => Some("datasets"),
        };
        let segments: Vec<&str> = prefix
            .into_iter()
            .chain([repo.owner(), repo.name(), "resolve", self.commit])
            .chain(self.entry.path.split('/'))
            .collect();
        let mut headers = HeaderMap::new();
        if start > 0
            && let Ok(range) = HeaderValue::from_str(&format!("bytes={start}-"))
        {
            headers.insert(header::RANGE, range);
        }
        let wanted = format!("{repo}/{}", self.entry.path);
        self.client
            .get(self.client.url(&segments), &wanted, headers, &|response| {
                self.check_etag(response)
            })
    }

    /// The ETag that the endpoint itself gives must be the hash of its file list, or at least a hash
    /// of the other kind: some servers name small files by SHA-256 too.
    fn check_etag(&self, response: &Response) -> Result<(), HubError> {
        let headers = response.headers();
        let etag = headers.get("x-linked-etag").or_else(|| {
            headers
                .get(header::ETAG)
                .filter(|_| response.status().is_success())
        });
        let Some(etag) = etag else { return Ok(()) };
        let digits = etag
            .to_str()
            .unwrap_or_default()
            .trim_start_matches("W/")
            .trim_matches('"');
        match Checksum::parse(digits) {
            Some(found)
                if found == self.entry.checksum || !found.same_kind(&self.entry.checksum) =>
            {
                Ok(())
            }
            Some(_) => Err(self.client.protocol(&format!(
                "with an ETag for `{}` that is not the hash in its file list",
                self.entry.path
            ))),
            None => Err(self.client.protocol(&format!(
                "with an ETag for `{}` that is not 40 or 64 hexadecimal digits",
                self.entry.path
            ))),
        }
    }

    fn receive(
        &self,
        mut response: Response,
        partial: &Path,
        start: u64,
    ) -> Result<Received, HubError> {
        let start = match response.status() {
            StatusCode::PARTIAL_CONTENT if begins_at(&response, start) => start,
            StatusCode::OK => 0,
            status => {
                return Ok(Received::Wrong(format!(
                    "an unasked part came, status {status}"
                )));
            }
        };
        let size = self.entry.size;
        if let Some(length) = response.content_length()
            && start + length != size
        {
            let page = response
                .headers()
                .get(header::CONTENT_TYPE)
                .is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
            return Ok(Received::Wrong(match page {
                true => format!("a web page of {length} bytes came instead"),
                false => format!(
                    "the server announces {} bytes where its file list says {size}",
                    start + length
                ),
            }));
        }
        let mut file = self.open_partial(partial, start)?;
        let mut at = start;
        let mut buffer = vec![0; 1 << 16];
        loop {
            let read = match response.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) => {
                    file.sync_all().map_err(HubError::io(partial))?;
                    return Ok(self.broken(&format!("the connection broke off: {error}")));
                }
            };
            at += read as u64;
            if at > size {
                return Ok(Received::Wrong(format!(
                    "more than the {size} bytes of its file list came"
                )));
            }
            file.write_all(&buffer[..read])
                .map_err(HubError::io(partial))?;
            self.progress.position(self.before + at);
        }
        file.sync_all().map_err(HubError::io(partial))?;
        Ok(match at < size {
            true => self.broken(&format!("the connection broke off at byte {at} of {size}")),
            false => Received::All,
        })
    }

    fn broken(&self, reason: &str) -> Received {
        Received::Broken(Failure::Transient {
            host: self.client.host(),
            reason: reason.to_owned(),
            pause: None,
            in_vain: false,
        })
    }

    fn open_partial(&self, partial: &Path, start: u64) -> Result<File, HubError> {
        if let Some(dir) = partial.parent() {
            fs::create_dir_all(dir).map_err(HubError::io(dir))?;
        }
        let file = File::options()
            .create(true)
            .append(true)
            .open(partial)
            .map_err(HubError::io(partial))?;
        file.set_len(start).map_err(HubError::io(partial))?;
        Ok(file)
    }
}

/// How reading an answer ended.
enum Received {
    All,
    /// What came is of no use.
    Wrong(String),
    /// The connection ended early; what came is good to go on from.
    Broken(Failure),
}

fn begins_at(response: &Response, start: u64) -> bool {
    response
        .headers()
        .get(header::CONTENT_RANGE)
        .and_then(|range| range.to_str().ok())
        .is_some_and(|range| range.starts_with(&format!("bytes {start}-")))
}

fn remove(path: &Path) -> Result<(), HubError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(HubError::io(path)(error))
        }
        _ => Ok(()),
    }
}
