//! Pretrained model directories as bytes inside the binary, with the SHA-256 of every file.
//!
//! Each directory beside `src` is one model, named as in the registry. `SHA256SUMS` lists every file; after a change
//! write it anew with
//!
//! ```text
//! cd weights && sha256sum */config.json */model.safetensors ... | sort -k 2 > SHA256SUMS
//! ```
//!
//! `sha256sum --check SHA256SUMS` and this crate's tests compare it with the files. Nothing is imported and nothing
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
