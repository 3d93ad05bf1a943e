//! Networks over the plane: surfaces to fit and Poisson equations to solve, in f64, every step over all points.
//!
//! A problem becomes conditions on the network's jets ([`minimize::Condition`]), which three minimisers meet one after
//! the other: Adam, L-BFGS and Levenberg-Marquardt. Of several starts, of one shape or some, the one with the lowest
//! training loss goes on. The same seed gives the same bytes on one machine.

mod figure;
mod fit;
pub mod minimize;
mod problem;
mod recipe;
mod run;
mod start;

pub use figure::{curves, picture};
pub use fit::{Fit, Row, fit, initial};
pub use problem::{EQUATIONS, Equation, Measures, Problem, SURFACES, Surface, UnknownProblem};
pub use recipe::FieldRecipe;
pub use run::{PICTURE, RunError, RunOptions, RunRecord, parameters, shapes, train};
