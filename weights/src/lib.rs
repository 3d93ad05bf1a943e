//! Pretrained model directories as bytes inside the binary, with the SHA-256 of every file.
//!
//! Each directory beside `src` is one model, named as in the registry, with its card, the record of its training and
//! example outputs. `SHA256SUMS` lists every file. The example `ship` of `zoo-cli` puts a finished run here and writes
//! the list anew:
//!
//! ```text
//! zoo train surface-fitter --out run
//! cargo run --release -p zoo-cli --example ship -- run
//! ```
//!
//! For weights in 16 bits, names of data and notes see `--help` of it. Then build, and
//! `zoo verify NAME` and `zoo eval NAME --data DATA` must say what the card says.
//! `sha256sum --check SHA256SUMS` and this crate's tests compare the list with the files. Nothing is imported and nothing
//! is computed here; whoever loads a model checks its files against [`File::sha256`].

/// One file of a model directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File {
    /// Its name, without a directory.
    pub name: &'static str,
    /// Its content.
    pub bytes: &'static [u8],
    /// The SHA-256 of the content in 64 lower-case hexadecimal digits, from the manifest.
    pub sha256: &'static str,
}

/// A model's name and its files, sorted.
type Model = (&'static str, &'static [File]);

include!(concat!(env!("OUT_DIR"), "/models.rs"));

/// The files of the pretrained model `name`, sorted by name; `None` when there is no such model.
pub fn find(name: &str) -> Option<&'static [File]> {
    let found = MODELS.iter().find(|(model, _)| *model == name);
    found.map(|(_, files)| *files)
}

/// The names of all pretrained models, sorted.
pub fn names() -> impl Iterator<Item = &'static str> {
    MODELS.iter().map(|(name, _)| *name)
}
