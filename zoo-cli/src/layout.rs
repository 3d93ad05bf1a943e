//! The names of the files in a model's directory, beside those of the network itself ([`models::model_dir`]).

use models::model_dir::{CONFIG, PREPROCESSOR, WEIGHTS};

/// The folder of the runs that got no other place.
pub const RUNS: &str = "runs";
/// The table of metrics, one row an epoch.
pub const METRICS_CSV: &str = "metrics.csv";
/// The metrics as JSON, one object an epoch.
pub const METRICS_JSONL: &str = "metrics.jsonl";
/// The learning curves.
pub const CURVES: &str = "curves.svg";
/// A picture of what was learned, where a family draws one.
pub const PICTURE: &str = "picture.svg";
/// The run's settings, so that it can be repeated and resumed.
pub const TRAINING: &str = "training.json";
/// Where the data lay on this machine, when that was a path: it is for resuming here, and never leaves with the model.
pub const DATA_PATH: &str = "data-path.txt";
/// What a run that takes its first tensors from a trained model begins with, until it has ended.
pub const START: &str = "start.safetensors";
/// The saved states of an unfinished run.
pub const CHECKPOINTS: &str = "checkpoints";
/// Held locked by the process that works in a directory, for as long as it does.
pub const LOCK: &str = ".zoo-lock";
/// The record of a run that is being replaced, until nothing else is left of that run.
pub const REPLACED: &str = ".zoo-replaced.json";
/// What was fitted to held-out examples, so that outputs can be trusted.
pub const CALIBRATION: &str = "calibration.json";
/// The model card.
pub const CARD: &str = "README.md";
/// A card with this line is written anew on upload; a card without it is its owner's.
pub const GENERATED: &str =
    "<!-- written by zoo: remove this line to keep your own words on the next upload -->";
/// Example inputs with the network's outputs.
pub const EXAMPLES: &str = "examples.safetensors";
/// The network in Python.
pub const PYTHON: &str = "modeling_gmnm.py";
/// The hash of every file.
pub const SUMS: &str = "SHA256SUMS";

/// The files that are of one model and would be wrong beside another.
pub const OF_ONE_MODEL: [&str; 15] = [
    CONFIG,
    WEIGHTS,
    PREPROCESSOR,
    METRICS_CSV,
    METRICS_JSONL,
    CURVES,
    PICTURE,
    TRAINING,
    DATA_PATH,
    CALIBRATION,
    START,
    CARD,
    EXAMPLES,
    PYTHON,
    SUMS,
];
