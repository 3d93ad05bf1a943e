//! A Hub on loopback that tells lies on demand: the few answers that a download needs, and each
//! fault that a network, a proxy or a hostile repository may put in their place.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use serde_json::json;
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// The commit that every repository of the server stands at.
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

const HTML: &str = "Content-Type: text/html; charset=utf-8";
const PAGE: &[u8] = b"<!doctype html><title>Sign in</title><p>Welcome to the captive portal.";

/// What goes wrong.
#[derive(Clone, Debug, Default)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// Status 403 and a web page.
    Forbidden,
    /// Status 200 and a web page.
    WebPage,
    /// Status 503, always.
    Unavailable,
    /// The first half, announced as the whole.
    HalfBody,
    /// One byte is not what it was; this many times.
    FlippedByte(usize),
    /// The connection ends after this many bytes of each answer.
    CutAfter(usize),
    /// Range requests are answered with the wrong part.
    WrongPart,
    /// The file list has this path instead of the last file's.
    TreePath(String),
    /// The ETag of every file.
    Etag(String),
    /// The file list goes on at this address.
    NextPage(String),
    /// This status and a web page for every request.
    Status(&'static str),
    /// More bytes come than the file has, without a length ahead.
    TooMuch,
    /// Every request is sent on to another host, at this address.
    Elsewhere(String),
    /// Files lie on another host, at this address.
    Redirect(String),
}

/// One file of the repository.
#[derive(Clone, Debug)]
pub struct RepoFile {
    /// Relative.
    pub path: String,
    /// Its content.
    pub bytes: Vec<u8>,
    /// Whether it lies in large file storage, named by SHA-256, or in git.
    pub large: bool,
}

impl RepoFile {
    /// A file in git.
    pub fn small(path: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            path: path.to_owned(),
            bytes: bytes.into(),
            large: false,
        }
    }

    /// A file in large file storage.
    pub fn large(path: &str, bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            large: true,
            ..Self::small(path, bytes)
        }
    }

    /// The hash that names it.
    pub fn etag(&self) -> String {
        if self.large {
            hex(&Sha256::digest(&self.bytes))
        } else {
            let mut hasher = Sha1::new();
            hasher.update(format!("blob {}\0", self.bytes.len()));
            hasher.update(&self.bytes);
            hex(&hasher.finalize())
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Method and target.
    pub line: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// What was sent along.
    pub body: Vec<u8>,
}

impl Seen {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

struct State {
    files: Vec<RepoFile>,
    fault: Mutex<Fault>,
    seen: Mutex<Vec<Seen>>,
    stop: AtomicBool,
}

/// A running server; it ends when dropped. Every repository name leads to the same files.
pub struct HubServer {
    address: SocketAddr,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

impl HubServer {
    /// Serves these files.
    ///
    /// # Errors
    ///
    /// When loopback has no free port.
    pub fn start(files: Vec<RepoFile>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            files,
            fault: Mutex::default(),
            seen: Mutex::default(),
            stop: AtomicBool::new(false),
        });
        let shared = Arc::clone(&state);
        let thread = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.stop.load(Ordering::SeqCst) {
                    break;
                }
                let shared = Arc::clone(&shared);
                // The client may hang up at any time; that is its right.
                thread::spawn(move || answer(&stream, &shared).ok());
            }
        });
        Ok(Self {
            address,
            state,
            thread: Some(thread),
        })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on.
    pub fn set_fault(&self, fault: Fault) {
        *locked(&self.state.fault) = fault;
    }

    /// The requests since the last call.
    pub fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut locked(&self.state.seen))
    }
}

impl Drop for HubServer {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::SeqCst);
        // Wakes the listener; if that fails it has gone already.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer(stream: &TcpStream, state: &State) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut headers = Vec::new();
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim_end().split_once(':') else {
            break;
        };
        let (name, value) = (name.to_ascii_lowercase(), value.trim().to_owned());
        if name == "content-length" {
            length = value.parse().unwrap_or(0);
        }
        headers.push((name, value));
    }
    let mut body = Vec::new();
    reader.take(length).read_to_end(&mut body)?;
    let seen = Seen {
        line: line.trim_end().trim_end_matches(" HTTP/1.1").to_owned(),
        headers,
        body,
    };
    locked(&state.seen).push(seen.clone());
    let target = seen.line.split_once(' ').map_or("", |(_, target)| target);
    let fault = locked(&state.fault).clone();
    match fault {
        Fault::Status(status) => return respond(stream, status, &[HTML.to_owned()], PAGE),
        Fault::Elsewhere(host) => {
            let headers = [format!("Location: {host}{target}")];
            return respond(stream, "307 Temporary Redirect", &headers, b"");
        }
        _ => {}
    }
    if seen.line.starts_with("POST ") {
        take_upload(stream, target, &seen.body)
    } else if target.split('/').count() == 5 && target.starts_with("/api/models/") {
        let info = json!({"id": "me/tiny", "private": false, "sha": COMMIT});
        respond(stream, "200 OK", &[], info.to_string().as_bytes())
    } else if target.contains("/revision/") {
        respond(
            stream,
            "200 OK",
            &[],
            json!({"id": "me/tiny", "sha": COMMIT})
                .to_string()
                .as_bytes(),
        )
    } else if target.contains("/tree/") {
        file_list(stream, state)
    } else if let Some((_, path)) = target.split_once(&format!("/resolve/{COMMIT}/")) {
        let path = path.split_once('?').map_or(path, |(path, _)| path);
        file(stream, state, &seen, path, target)
    } else {
        respond(
            stream,
            "404 Not Found",
            &[],
            b"{\"error\":\"no such thing\"}",
        )
    }
}

/// The server takes every upload inside the commit: it has no Xet.
fn take_upload(stream: &TcpStream, target: &str, body: &[u8]) -> io::Result<()> {
    let answer = if target.contains("/preupload/") {
        let asked: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let modes = asked["files"].as_array().into_iter().flatten().map(
            |file| json!({"path": file["path"], "uploadMode": "regular", "shouldIgnore": false}),
        );
        json!({"files": modes.collect::<Vec<_>>()})
    } else if target.contains("/commit/") {
        let url = format!("https://hub.example/me/tiny/commit/{COMMIT}");
        json!({"success": true, "commitUrl": url, "commitOid": COMMIT})
    } else {
        json!({"transfer": "basic", "objects": []})
    };
    respond(stream, "200 OK", &[], answer.to_string().as_bytes())
}

fn file_list(stream: &TcpStream, state: &State) -> io::Result<()> {
    let mut rows: Vec<_> = state
        .files
        .iter()
        .map(|file| {
            let size = file.bytes.len();
            let mut row = json!({"type": "file", "path": file.path, "size": size});
            if file.large {
                // Git holds a pointer, whose hash says nothing about the content.
                row["oid"] = "f".repeat(40).into();
                row["lfs"] = json!({"oid": file.etag(), "size": size, "pointerSize": 134});
            } else {
                row["oid"] = file.etag().into();
            }
            row
        })
        .collect();
    let mut headers = Vec::new();
    match locked(&state.fault).clone() {
        Fault::TreePath(path) => {
            if let Some(row) = rows.last_mut() {
                row["path"] = path.into();
            }
        }
        Fault::NextPage(address) => headers.push(format!("Link: <{address}>; rel=\"next\"")),
        _ => {}
    }
    rows.push(json!({"type": "directory", "path": "data", "oid": "a".repeat(40), "size": 0}));
    respond(
        stream,
        "200 OK",
        &headers,
        json!(rows).to_string().as_bytes(),
    )
}

fn file(
    stream: &TcpStream,
    state: &State,
    seen: &Seen,
    path: &str,
    target: &str,
) -> io::Result<()> {
    let Some(file) = state.files.iter().find(|file| file.path == path) else {
        return respond(stream, "404 Not Found", &[], b"");
    };
    let fault = {
        let mut fault = locked(&state.fault);
        let now = fault.clone();
        if let Fault::FlippedByte(times) = &mut *fault {
            *times = times.saturating_sub(1);
        }
        now
    };
    match &fault {
        Fault::Forbidden => return respond(stream, "403 Forbidden", &[HTML.to_owned()], PAGE),
        Fault::WebPage => return respond(stream, "200 OK", &[HTML.to_owned()], PAGE),
        Fault::Unavailable => {
            return respond(stream, "503 Service Unavailable", &[HTML.to_owned()], PAGE);
        }
        Fault::Redirect(host) => {
            let headers = [
                format!("Location: {host}{target}?signature=secret"),
                format!("X-Linked-Etag: \"{}\"", file.etag()),
                format!("X-Repo-Commit: {COMMIT}"),
            ];
            return respond(stream, "302 Found", &headers, b"");
        }
        _ => {}
    }
    let start = seen.header("range").and_then(|range| {
        range
            .strip_prefix("bytes=")?
            .strip_suffix('-')?
            .parse()
            .ok()
    });
    let mut body = file.bytes[start.unwrap_or(0).min(file.bytes.len())..].to_vec();
    let etag = match &fault {
        Fault::Etag(etag) => etag.clone(),
        _ => format!("\"{}\"", file.etag()),
    };
    let mut headers = vec![format!("ETag: {etag}"), format!("X-Repo-Commit: {COMMIT}")];
    let status = match start {
        Some(start) => {
            let shown = if matches!(fault, Fault::WrongPart) {
                start / 2
            } else {
                start
            };
            let size = file.bytes.len();
            headers.push(format!("Content-Range: bytes {shown}-{}/{size}", size - 1));
            "206 Partial Content"
        }
        None => "200 OK",
    };
    match fault {
        Fault::FlippedByte(1..) => {
            let middle = body.len() / 2;
            body[middle] ^= 1;
            respond(stream, status, &headers, &body)
        }
        Fault::HalfBody => respond(stream, status, &headers, &body[..body.len() / 2]),
        Fault::TooMuch => {
            write_head(stream, status, &headers)?;
            let mut out = stream;
            out.write_all(&body)?;
            out.write_all(&body)?;
            stream.shutdown(Shutdown::Write)
        }
        Fault::CutAfter(bytes) if bytes < body.len() => {
            headers.push(format!("Content-Length: {}", body.len()));
            write_head(stream, status, &headers)?;
            let mut out = stream;
            out.write_all(&body[..bytes])?;
            stream.shutdown(Shutdown::Both)
        }
        _ if seen.line.starts_with("HEAD ") => {
            headers.push(format!("Content-Length: {}", body.len()));
            write_head(stream, status, &headers)?;
            stream.shutdown(Shutdown::Write)
        }
        _ => respond(stream, status, &headers, &body),
    }
}

fn write_head(mut stream: &TcpStream, status: &str, headers: &[String]) -> io::Result<()> {
    write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\n")?;
    for header in headers {
        write!(stream, "{header}\r\n")?;
    }
    stream.write_all(b"\r\n")
}

fn respond(
    mut stream: &TcpStream,
    status: &str,
    headers: &[String],
    body: &[u8],
) -> io::Result<()> {
    let mut headers = headers.to_vec();
    headers.push(format!("Content-Length: {}", body.len()));
    write_head(stream, status, &headers)?;
    stream.write_all(body)?;
    stream.shutdown(Shutdown::Write)
}
