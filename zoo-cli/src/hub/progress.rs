//! What a transfer tells the one who watches it.

/// Receives the progress of a download or an upload; `report` draws it.
pub trait Progress: Send + Sync {
    /// A transfer of `_files` files and `_bytes` bytes in all begins.
    fn start(&self, _files: usize, _bytes: u64) {}
    /// The file at `_path` (inside the repository) is next.
    fn file(&self, _path: &str) {}
    /// `_bytes` of the whole transfer are done. It may go back when a file has to start over.
    fn position(&self, _bytes: u64) {}
    /// Something a user should know though it is no error, as one sentence.
    fn note(&self, _message: &str) {}
    /// The transfer is complete.
    fn finish(&self) {}
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {}
