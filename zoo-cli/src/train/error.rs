//! Why a run cannot start or go on.

use std::path::{Path, PathBuf};

use super::command::quoted;
use crate::layout::LOCK;

/// Why a run cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// There is a run in the output directory.
    #[error(
        "`{}` holds a run; continue it with `zoo train --resume {}`, replace it with `--overwrite`, or choose another \
         directory with `--out`",
        .0.display(),
        quoted(&.0.to_string_lossy())
    )]
    HoldsRun(PathBuf),
    /// A command that was to replace the run in the output directory was killed.
    #[error(
        "the run in `{}` was being replaced; give the command that did so again, with `--overwrite`, or choose \
         another directory with `--out`",
        .0.display()
    )]
    Replaced(PathBuf),
    /// The output directory holds what is of no run.
    #[error(
        "output directory `{}` is not empty; write beside what it holds with `--overwrite`, or choose another with \
         `--out`",
        .0.display()
    )]
    NotEmpty(PathBuf),
    /// A file stands where the output directory would be, or above it.
    #[error(
        "output directory `{}` cannot be made, because `{}` is a file; choose another with `--out`",
        path.display(),
        file.display()
    )]
    InTheWay {
        /// The directory.
        path: PathBuf,
        /// The file.
        file: PathBuf,
    },
    /// The system refuses to make the output directory or to write into it.
    #[error("cannot write into output directory `{}` ({source}); choose another with `--out`", path.display())]
    Output {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file that no run wrote would have to make room for one of the run.
    #[error(
        "`{}` has the name of a file that a run writes, and no run wrote it; move it away, or choose another \
         directory with `--out`",
        .0.display()
    )]
    Foreign(PathBuf),
    /// Another process works in the directory.
    #[error(
        "{} works in `{}` and holds the lock `{LOCK}` there; wait until it ends, or choose another directory",
        process.map_or("another process".to_string(), |id| format!("process {id}")),
        path.display()
    )]
    Busy {
        /// The directory.
        path: PathBuf,
        /// The number of the process, where that can be read.
        process: Option<u32>,
    },
    /// The directory was taken away.
    #[error(
        "`{}` was removed or moved while it was written to; if it was moved, go on where it is now, else give the \
         command again",
        .0.display()
    )]
    Lost(PathBuf),
    /// A file or directory of the run cannot be read or written.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// The verb: read, write, create.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The directory of `--resume` holds no run that could go on.
    #[error("cannot resume `{}`: {problem}", path.display())]
    Resume {
        /// The directory.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// The loss or the weights are no longer finite.
    #[error(
        "the {what} became NaN or infinite at step {step} of epoch {epoch}; try a lower rate (`--set \
         optimizer.learning_rate={suggested_rate}`) or clipped gradients (`--set optimizer.clip_norm=1`); {kept}"
    )]
    Diverged {
        /// `loss` or `weights`.
        what: &'static str,
        /// The epoch, from 1.
        epoch: usize,
        /// The step within the epoch, from 1.
        step: u64,
        /// A tenth of the learning rate.
        suggested_rate: f64,
        /// What was saved before.
        kept: String,
    },
    /// A part of the data has no examples.
    #[error("the {0} part has no examples; give a dataset that has some with `--data`")]
    NoExamples(&'static str),
    /// The data came through a pipe.
    #[error("the model learned from what came through `{0}`; give data with `--data`")]
    Stream(String),
    /// The data do not lie where they did.
    #[error("{}", moved(dir, data, place.as_deref()))]
    Moved {
        /// The directory of the run.
        dir: PathBuf,
        /// What they are called.
        data: String,
        /// Where they lay, as far as that is known here.
        place: Option<String>,
    },
    /// The recipe is of a family that is not trained in epochs.
    #[error(transparent)]
    Recipe(#[from] super::recipe::RecipeError),
    /// The network or the optimizer failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
    /// A checkpoint is of another network.
    #[error("the checkpoint does not fit the network: {0}; start the run anew")]
    Load(#[from] gmnm_core::params::LoadError),
    /// The weights cannot be written.
    #[error(transparent)]
    ModelDir(#[from] models::model_dir::ModelDirError),
}

fn moved(dir: &Path, data: &str, place: Option<&str>) -> String {
    let dir = dir.display();
    match place {
        Some(place) => format!(
            "the data of the run in `{dir}` lay at `{place}`, where nothing is now; give them with `--data`"
        ),
        None => format!(
            "`{dir}` learned from `{data}`, and it is not known here where that lies; give it with `--data`"
        ),
    }
}

impl TrainError {
    /// That `path` cannot be the output directory.
    pub(super) fn output(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| {
            let path = path.to_path_buf();
            let is_file = |place: &&Path| place.metadata().is_ok_and(|there| !there.is_dir());
            match path.ancestors().find(is_file).map(Path::to_path_buf) {
                Some(file) => Self::InTheWay { path, file },
                None => Self::Output { path, source },
            }
        }
    }

    /// An input or output error with its path.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io {
            action,
            path: path.to_path_buf(),
            source,
        }
    }
}
