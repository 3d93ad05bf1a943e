//! Training: one loop for every kind of problem, its optimizers, schedules, checkpoints and recipes.
//!
//! The same seed, data and recipe give the same bytes on one machine at one thread count, resumed or not: every random
//! choice is a function of (seed, epoch, example). Another thread count, another CPU (another kernel is chosen) or
//! another version may round sums differently.

pub mod checkpoint;
pub mod early_stopping;
pub mod ema;
pub mod error;
pub mod metrics;
pub mod optimizer;
pub mod precision;
pub mod recipe;
pub mod record;
pub mod run_dir;
pub mod schedule;
pub mod session;
mod tally;
pub mod tasks;
pub mod trainer;

pub use error::TrainError;
pub use precision::PrecisionChoice;
pub use recipe::Recipe;
pub use run_dir::RunDir;
pub use trainer::{Ended, Run, Trained, Watch, evaluate, train};
