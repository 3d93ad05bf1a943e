//! Training: one loop for every kind of problem, its optimizers, schedules, checkpoints and recipes.
//!
//! The same seed, data and recipe give the same bytes on one machine at one thread count, resumed or not: every random
//! choice is a function of (seed, epoch, example). Another thread count, another CPU (another kernel is chosen) or
//! another version may round sums differently.

pub mod base;
pub mod checkpoint;
pub mod command;
pub mod early_stopping;
pub mod error;
pub mod freeze;
pub mod lock;
pub mod measure;
pub mod metrics;
pub mod precision;
pub mod problem;
pub mod recipe;
pub mod record;
pub mod run_dir;
pub mod schedule;
pub mod session;
pub mod tally;
pub mod task;
pub mod trainer;

pub use base::{Base, BaseRecord};
pub use error::TrainError;
pub use lock::Lock;
pub use measure::{Better, Contrast, Digits, Measure, Measures};
pub use precision::PrecisionChoice;
pub use problem::{Effort, Ended, Finished, Place, Problem, Trainable, Wanted};
pub use recipe::{Descent, Recipe, Section};
pub use run_dir::RunDir;
pub use task::{Batches, Examples, Loss, Part, Sums, Task};
pub use trainer::{Run, Watch, evaluate, measure, train};
