//! What of a model goes out to others: the files that are known to belong to it, each checked, and what a repository
//! needs beside them.

use std::fs;
use std::io;
use std::path::PathBuf;

use models::{ModelDir, model_dir};
use sha2::{Digest, Sha256};

use super::card;
use super::{CalibrationFile, ModelFiles, PackageError, examples, sums};
use crate::families;
use crate::layout::{
    CALIBRATION, CARD, CURVES, EXAMPLES, METRICS_CSV, METRICS_JSONL, PYTHON, SUMS, TRAINING,
};

/// A model that passed all checks, ready to go.
#[derive(Debug)]
pub struct Contents {
    files: Vec<PackedFile>,
    left_out: Vec<String>,
}

/// One file of the contents.
#[derive(Debug)]
pub struct PackedFile {
    /// Its name.
    pub name: String,
    /// In bytes.
    pub size: u64,
    /// The digits of its SHA-256.
    pub sha256: String,
    /// Its bytes.
    pub source: Source,
}

/// Where the bytes of a file are.
#[derive(Debug)]
pub enum Source {
    /// In a file on disk.
    File(PathBuf),
    /// In memory.
    Made(Vec<u8>),
}

impl Contents {
    /// Checks the model as strictly as loading does, and adds what a repository needs: the model card (unless the
    /// owner wrote one), example outputs, the network in Python where that has it, and the hash of every file.
    ///
    /// The card calls the model `repo`. `license` is an identifier of the Hub for a card that is written here; without
    /// it the present card's stays.
    ///
    /// # Errors
    ///
    /// [`PackageError`] when the files are no sound model, or one cannot be read.
    pub fn new(
        source: &ModelFiles,
        repo: &str,
        license: Option<&str>,
    ) -> Result<Self, PackageError> {
        let model = source.load()?;
        let record = source.record_of(&model)?;
        // Others must not be told to trust what was fitted to other weights.
        CalibrationFile::of(source)?;
        let mut files = Vec::new();
        for name in owned(&model) {
            files.extend(PackedFile::found(source, name)?);
        }
        let present = card::license(source);
        let text = match card::owned(source)? {
            Some(_) if license.is_some() && license != present.as_deref() => {
                return Err(PackageError::BadFile {
                    path: source.path(CARD),
                    problem: "is your own and names another license; change it there, or leave `--license` out"
                        .to_owned(),
                });
            }
            Some(text) => text,
            None => {
                let license = license.or(present.as_deref());
                let license = license.unwrap_or(card::NO_LICENSE);
                card::render(&model, record.as_ref(), license, Some(repo))
            }
        };
        files.push(PackedFile::made(CARD, text.into_bytes()));
        if model.config.is_in_python() {
            files.push(PackedFile::made(PYTHON, models::PYTHON_SOURCE.into()));
        }
        let bytes = stored_examples(source, &model)?;
        files.push(PackedFile::made(EXAMPLES, bytes));
        files.sort_by(|a, b| a.name.cmp(&b.name));
        let lines = files
            .iter()
            .map(|file| (file.name.as_str(), file.sha256.as_str()));
        let list = sums::render(lines).into_bytes();
        files.push(PackedFile::made(SUMS, list));
        let mut left_out = source.names()?;
        left_out.retain(|name| files.iter().all(|file| file.name != *name));
        Ok(Self { files, left_out })
    }

    /// What goes; the list of hashes is last.
    pub fn files(&self) -> &[PackedFile] {
        &self.files
    }

    /// What goes, to be taken apart.
    pub fn into_files(self) -> Vec<PackedFile> {
        self.files
    }

    /// What lies in the directory and does not go, sorted.
    pub fn left_out(&self) -> &[String] {
        &self.left_out
    }
}

/// The files that such a model has of its training or its owner. Others, those of another model that lay there before
/// included, stay at home.
fn owned(model: &ModelDir) -> Vec<&'static str> {
    let mut names = vec![
        model_dir::CONFIG,
        model_dir::WEIGHTS,
        TRAINING,
        CALIBRATION,
        METRICS_CSV,
        METRICS_JSONL,
        CURVES,
        "LICENSE",
    ];
    if model.preprocessor.is_some() {
        names.push(model_dir::PREPROCESSOR);
    }
    names.extend(families::of(&model.config).drawings());
    names
}

/// The stored examples, which must be those of this network, or new ones.
fn stored_examples(source: &ModelFiles, model: &ModelDir) -> Result<Vec<u8>, PackageError> {
    let Some(bytes) = source.read(EXAMPLES)? else {
        return examples::make(model).map_err(|error| PackageError::BadFile {
            path: source.path(""),
            problem: format!("holds a network that can't be computed ({error})"),
        });
    };
    match examples::check(model, &bytes) {
        Ok(_) => Ok(bytes),
        Err(problem) => Err(PackageError::BadFile {
            path: source.path(EXAMPLES),
            problem: format!("{problem}; delete it to have it made anew"),
        }),
    }
}

impl PackedFile {
    fn made(name: &str, bytes: Vec<u8>) -> Self {
        Self {
            name: name.to_owned(),
            size: bytes.len() as u64,
            sha256: sums::hexadecimal(&Sha256::digest(&bytes)),
            source: Source::Made(bytes),
        }
    }

    /// The file `name`, if it is there. One on disk is read again when it is sent.
    fn found(files: &ModelFiles, name: &str) -> Result<Option<Self>, PackageError> {
        if files.dir().is_none() {
            let bytes = files.read(name)?;
            return Ok(bytes.map(|bytes| Self::made(name, bytes)));
        }
        let path = files.path(name);
        let size = match fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => metadata.len(),
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(PackageError::read(&path)(error));
            }
            _ => return Ok(None),
        };
        Ok(Some(Self {
            name: name.to_owned(),
            size,
            sha256: sums::sha256_of_file(&path).map_err(PackageError::read(&path))?,
            source: Source::File(path),
        }))
    }
}
