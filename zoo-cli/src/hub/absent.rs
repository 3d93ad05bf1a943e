//! The Hub of a build without one.

use std::sync::Arc;

use super::{HubError, Progress, Request, Settings, Snapshot, Target, Uploaded};
use crate::package::Contents;

/// Answers that this build has no Hub.
///
/// # Errors
///
/// Always [`HubError::Absent`].
pub fn download(
    _request: &Request<'_>,
    _settings: &Settings,
    _progress: &dyn Progress,
) -> Result<Snapshot, HubError> {
    Err(HubError::Absent)
}

/// Answers that this build has no Hub.
///
/// # Errors
///
/// Always [`HubError::Absent`].
pub fn upload(
    _contents: Contents,
    _target: &Target<'_>,
    _settings: &Settings,
    _progress: Arc<dyn Progress>,
) -> Result<Uploaded, HubError> {
    Err(HubError::Absent)
}
