//! What a transfer tells the one who watches it.

/// Receives the progress of a download or an upload; `report` draws it.
pub trait Progress: Send + Sync {
    /// A transfer of `files` files and `bytes` bytes in all begins.
    fn start(&self, files: usize, bytes: u64);
    /// The file at `path` (inside the repository) is next.
    fn file(&self, path: &str);
    /// `bytes` of the whole transfer are done. It may go back when a file has to start over.
    fn position(&self, bytes: u64);
    /// Something a user should know though it is no error, as one sentence.
    fn note(&self, message: &str);
    /// The transfer is complete.
    fn finish(&self);
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn start(&self, _files: usize, _bytes: u64) {}
    fn file(&self, _path: &str) {}
    fn position(&self, _bytes: u64) {}
    fn note(&self, _message: &str) {}
    fn finish(&self) {}
}
