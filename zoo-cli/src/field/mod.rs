//! Networks over the plane: surfaces to fit and Poisson equations to solve, in f64, every step over all points.
//!
//! A problem becomes conditions on the network's jets ([`minimize::Condition`]), which three minimisers meet one after
//! the other: Adam, L-BFGS and Levenberg-Marquardt. Of several starts, of one shape or some, the best one goes on. The
//! same seed gives the same bytes on one machine, whether a training is stopped and goes on or not.

mod fit;
pub mod minimize;
mod path;
mod problem;
mod recipe;
mod training;

pub use fit::{Fit, Row};
pub use problem::{
    EQUATIONS, Equation, Measures, Problem, SURFACES, Surface, UnknownProblem, midpoints,
};
pub use recipe::FieldRecipe;
pub use training::{Place, State, Training};
