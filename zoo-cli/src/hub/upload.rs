//! Uploads: the contents of a model become one commit of a repository.

use std::sync::Arc;

use hf_hub::progress::{Progress as Watch, ProgressEvent, ProgressHandler, UploadEvent};
use hf_hub::repository::CommitOperation;
use hf_hub::{HFClientBuilder, HFClientSync, HFError, RepoTypeModel};
use serde::Deserialize;
use serde_json::json;

use super::client::Client;
use super::{HubError, Progress, Revision, Settings, Target, Uploaded};
use crate::package::{Contents, PackedFile, Source};

/// Larger files go through Xet or not at all: without it they would travel as base64 in the commit.
const MAX_INLINE_BYTES: u64 = 8 << 20;

/// Creates the repository and the branch where missing and commits the contents of a model at once.
///
/// # Errors
///
/// See [`HubError`]. The repository keeps its last commit unless all went well.
pub fn upload(
    contents: Contents,
    target: &Target<'_>,
    settings: &Settings,
    progress: Arc<dyn Progress>,
) -> Result<Uploaded, HubError> {
    let repo = target.repo.to_string();
    let client = writing_client(settings)?;
    let http = Client::new(settings)?;
    let failed = |error| refusal(&http, error, &repo);

    create(&client, &http, target)?;
    check_xet(contents.files(), &http, target)?;
    let handle = client.model(target.repo.owner(), target.repo.name());
    if target.revision != &Revision::main() && !target.create_pr {
        let revision = target.revision.as_str();
        let exists = handle.revision_exists().revision(revision).send();
        if !exists.map_err(failed)? {
            let made = handle.create_branch().branch(revision).send();
            made.map_err(failed)?;
        }
    }
    let operations = contents
        .into_files()
        .into_iter()
        .map(|file| match file.source {
            Source::File(path) => CommitOperation::add_file(file.name, path),
            Source::Made(bytes) => CommitOperation::add_bytes(file.name, bytes),
        })
        .collect();
    let commit = handle
        .create_commit()
        .operations(operations)
        .commit_message(target.message)
        .revision(target.revision.as_str())
        .create_pr(target.create_pr)
        .progress(Watch::new(Watcher(progress)))
        .send()
        .map_err(failed)?;
    let page = http.url(&[target.repo.owner(), target.repo.name()]);
    Ok(Uploaded {
        url: match commit.pr_url.or(commit.commit_url) {
            Some(address) => http.whole(&address),
            None => page.to_string(),
        },
        commit: commit.commit_oid,
    })
}

fn writing_client(settings: &Settings) -> Result<HFClientSync, HubError> {
    let missing = |origin: &str, problem: &str| HubError::BadSetting {
        origin: origin.to_owned(),
        problem: problem.to_owned(),
    };
    if settings.offline {
        return Err(missing(
            "offline mode",
            "is on, and an upload needs the network; unset HF_HUB_OFFLINE",
        ));
    }
    if !settings.xet {
        return Err(missing(
            "HF_HUB_DISABLE_XET",
            "is set, and weights are uploaded through Xet; unset it",
        ));
    }
    let Some(token) = &settings.token else {
        return Err(missing(
            "the token",
            "is missing, and an upload needs one; set HF_TOKEN",
        ));
    };
    HFClientBuilder::new()
        .endpoint(settings.endpoint.clone())
        .token(token.expose())
        .cache_dir(settings.cache.clone())
        .user_agent(concat!("zoo/", env!("CARGO_PKG_VERSION")))
        .retry_max_attempts(settings.retry.attempts.saturating_sub(1) as usize)
        .retry_base_delay(settings.retry.pause)
        .build_sync()
        .map_err(|_| missing("the endpoint", "can't be used; correct HF_ENDPOINT"))
}

#[derive(Deserialize)]
struct RepoInfo {
    #[serde(default)]
    private: bool,
}

/// Makes the repository unless it is there; one that is there must be as private as was asked.
fn create(client: &HFClientSync, http: &Client, target: &Target<'_>) -> Result<(), HubError> {
    let repo = target.repo.to_string();
    let url = http.url(&["api", "models", target.repo.owner(), target.repo.name()]);
    match http.get_json::<RepoInfo>(url, &repo) {
        Ok((info, _)) if target.private && !info.private => Err(HubError::BadSetting {
            origin: "--private".to_owned(),
            problem: format!(
                "was given, but `{repo}` exists and is public; make it private in its settings, or leave the flag out"
            ),
        }),
        Ok(_) => Ok(()),
        // The Hub hides what a token may not see; creating tells which it is.
        Err(HubError::Refused {
            status: 401 | 403 | 404,
            ..
        }) => client
            .create_repository()
            .repo_id(&repo)
            .repo_type(RepoTypeModel)
            .private(target.private)
            .exist_ok(true)
            .send()
            .map(drop)
            .map_err(|error| refusal(http, error, &repo)),
        Err(error) => Err(error),
    }
}

#[derive(Deserialize)]
struct Batch {
    transfer: Option<String>,
}

/// Asks the server how it wants the large files, before any byte of them is sent.
fn check_xet(files: &[PackedFile], http: &Client, target: &Target<'_>) -> Result<(), HubError> {
    let is_large = |file: &&PackedFile| file.size > MAX_INLINE_BYTES;
    let large: Vec<_> = files.iter().filter(is_large).collect();
    let Some(file) = large.last() else {
        return Ok(());
    };
    let objects: Vec<_> = large
        .iter()
        .map(|file| json!({"oid": file.sha256, "size": file.size}))
        .collect();
    let git = format!("{}.git", target.repo.name());
    let url = http.url(&[target.repo.owner(), &git, "info", "lfs", "objects", "batch"]);
    let body = json!({
        "operation": "upload",
        "transfers": ["basic", "multipart", "xet"],
        "objects": objects,
        "hash_algo": "sha256",
        "ref": {"name": target.revision.as_str()},
    });
    let answer: Batch = http.post_json(
        &url,
        &target.repo.to_string(),
        "application/vnd.git-lfs+json",
        &body,
    )?;
    match answer.transfer.as_deref() {
        Some("xet") => Ok(()),
        _ => Err(HubError::NoXet {
            path: file.name.clone(),
            mebibytes: file.size >> 20,
        }),
    }
}

/// One sentence for what the client library says; its own may hold addresses and whole pages.
fn refusal(http: &Client, error: HFError, repo: &str) -> HubError {
    let refused = |status: u16, advice: &str| HubError::Refused {
        status,
        wanted: repo.to_owned(),
        advice: advice.to_owned(),
    };
    match error {
        HFError::AuthRequired { .. } => refused(401, "the token is wrong: check HF_TOKEN"),
        HFError::Forbidden { .. } => refused(
            403,
            "the token has no right to write there: use one that has",
        ),
        HFError::RepoNotFound { .. } => {
            refused(404, "check the name, and that the token may see it")
        }
        HFError::RevisionNotFound { .. } => refused(404, "check `--revision`"),
        HFError::Conflict { .. } => refused(
            409,
            "another commit came first: download it, then upload again",
        ),
        HFError::RateLimited { .. } => refused(429, "wait a while, then try again"),
        HFError::Http { context } if context.status.is_server_error() => HubError::Unreachable {
            host: http.host(),
            reason: format!("it answers {}", context.status),
        },
        HFError::Http { context } => {
            refused(context.status.as_u16(), "check the name and the revision")
        }
        HFError::Request { source, .. } => HubError::Unreachable {
            host: http.host(),
            reason: super::client::reason(source),
        },
        HFError::Xet { operation, .. } => HubError::Unreachable {
            host: http.host(),
            reason: format!("the Xet {operation} broke off"),
        },
        _ => http.protocol("to an upload with something that no Hub says"),
    }
}

/// Hands the library's events on.
struct Watcher(Arc<dyn Progress>);

impl ProgressHandler for Watcher {
    fn on_progress(&self, event: &ProgressEvent) {
        let ProgressEvent::Upload(event) = event else {
            return;
        };
        match event {
            UploadEvent::Start {
                total_files,
                total_bytes,
            } => self.0.start(*total_files, *total_bytes),
            UploadEvent::Progress {
                bytes_completed, ..
            } => self.0.position(*bytes_completed),
            UploadEvent::Committing => {}
            UploadEvent::Complete => self.0.finish(),
        }
    }
}
