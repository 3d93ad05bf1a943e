//! A plain copy of downloaded files, without links into the cache.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use models::write::replace_with;

use super::{HubError, Snapshot};

impl Snapshot {
    /// Copies the files to `dir`, under the same relative paths, each in one step.
    ///
    /// # Errors
    ///
    /// [`HubError::NotEmpty`] when `dir` holds something and `overwrite` is off, [`HubError::BadSetting`] when it lies
    /// in the cache, [`HubError::Io`] when the system refuses.
    pub fn copy_to(&self, dir: &Path, overwrite: bool) -> Result<(), HubError> {
        fs::create_dir_all(dir).map_err(HubError::io(dir))?;
        self.refuse_cache(dir)?;
        let mut present = fs::read_dir(dir).map_err(HubError::io(dir))?;
        if !overwrite && present.next().is_some() {
            return Err(HubError::NotEmpty(dir.to_owned()));
        }
        for source in &self.files {
            let target = dir.join(source.strip_prefix(&self.dir).unwrap_or(source));
            let parent = target.parent().unwrap_or(dir);
            fs::create_dir_all(parent).map_err(HubError::io(parent))?;
            let mut bytes = File::open(source).map_err(HubError::io(source))?;
            replace_with(&target, |file| io::copy(&mut bytes, file).map(drop))
                .map_err(HubError::io(&target))?;
        }
        Ok(())
    }

    /// The files of the cache are links to bytes that their names promise: a copy would write through them.
    fn refuse_cache(&self, dir: &Path) -> Result<(), HubError> {
        // The snapshot is `CACHE/REPOSITORY/snapshots/COMMIT`.
        let cache = self.dir.ancestors().nth(3).unwrap_or(&self.dir);
        let real = |path: &Path| path.canonicalize().map_err(HubError::io(path));
        match real(dir)?.starts_with(real(cache)?) {
            false => Ok(()),
            true => Err(HubError::BadSetting {
                origin: format!("`--out {}`", dir.display()),
                problem: "lies in the cache itself; choose another directory".to_owned(),
            }),
        }
    }
}
