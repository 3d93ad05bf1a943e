//! A plain copy of downloaded files, without links into the cache.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::{HubError, Snapshot};

impl Snapshot {
    /// Copies the files to `dir`, under the same relative paths. Each is written beside its target,
    /// synced and renamed.
    ///
    /// # Errors
    ///
    /// [`HubError::NotEmpty`] when `dir` holds something and `overwrite` is off, [`HubError::Io`]
    /// when the system refuses.
    pub fn copy_to(&self, dir: &Path, overwrite: bool) -> Result<(), HubError> {
        fs::create_dir_all(dir).map_err(HubError::io(dir))?;
        let mut present = fs::read_dir(dir).map_err(HubError::io(dir))?;
        if !overwrite && present.next().is_some() {
            return Err(HubError::NotEmpty(dir.to_owned()));
        }
        for source in &self.files {
            let target = dir.join(source.strip_prefix(&self.dir).unwrap_or(source));
            let parent = target.parent().unwrap_or(dir);
            fs::create_dir_all(parent).map_err(HubError::io(parent))?;
            let mut name = target.file_name().unwrap_or_default().to_owned();
            name.push(format!(".{}.tmp", std::process::id()));
            let temporary = parent.join(name);
            if let Err(error) = copy(source, &temporary, &target) {
                // The first error is the one that matters.
                let _ = fs::remove_file(&temporary);
                return Err(HubError::io(&target)(error));
            }
        }
        Ok(())
    }
}

fn copy(source: &Path, temporary: &Path, target: &Path) -> io::Result<()> {
    let mut file = File::create(temporary)?;
    io::copy(&mut File::open(source)?, &mut file)?;
    file.sync_all()?;
    fs::rename(temporary, target)
}
