//! The surfaces and the equations.

use std::f64::consts::PI;

use gmnm_core::rng::Philox;
use models::field::{DIM, Functional, JetNetwork, VALUE};
use models::registry::{Task, edit_distance};

use super::FieldRecipe;
use super::minimize::Condition;

/// A surface over [−1, 1]².
#[derive(Debug, Clone, Copy)]
pub struct Surface {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is, in words or as a formula.
    pub formula: &'static str,
    /// Its height at (x, y).
    pub height: fn(f64, f64) -> f64,
}

/// A Poisson equation −Δu = f on [−1, 1]² with u = 0 on the boundary.
#[derive(Debug, Clone, Copy)]
pub struct Equation {
    /// Its name on the command line.
    pub name: &'static str,
    /// The solution as a formula.
    pub formula: &'static str,
    /// The solution u at (x, y).
    pub solution: fn(f64, f64) -> f64,
    /// The right-hand side f at (x, y).
    pub source: fn(f64, f64) -> f64,
}

/// The surfaces, from smooth to hard.
pub const SURFACES: &[Surface] = &[
    Surface {
        name: "exponential",
        formula: "exp(sin πx + y²), of arXiv 2404.19756",
        height: |x, y| ((PI * x).sin() + y * y).exp(),
    },
    Surface {
        name: "franke",
        formula: "Franke's function, three hills and a dip",
        height: franke,
    },
    Surface {
        name: "peak",
        formula: "1/(1 + 25r²), Runge's function in two dimensions",
        height: |x, y| 1.0 / (1.0 + 25.0 * (x * x + y * y)),
    },
    Surface {
        name: "front",
        formula: "tanh(10(r − 0.6)), a sharp front along a circle",
        height: |x, y| (10.0 * (x.hypot(y) - 0.6)).tanh(),
    },
    Surface {
        name: "egg-crate",
        formula: "sin 2πx · sin 2πy, sixteen peaks",
        height: |x, y| (2.0 * PI * x).sin() * (2.0 * PI * y).sin(),
    },
    Surface {
        name: "ripple",
        formula: "cos 12r / (1 + 4r²), oscillating",
        height: |x, y| (12.0 * x.hypot(y)).cos() / (1.0 + 4.0 * (x * x + y * y)),
    },
    Surface {
        name: "chirp",
        formula: "sin(2π(x + y²)(1 + x/2)), oscillating at a rising frequency",
        height: |x, y| (2.0 * PI * (x + y * y) * (1.0 + 0.5 * x)).sin(),
    },
];

/// The equations.
pub const EQUATIONS: &[Equation] = &[
    Equation {
        name: "sine-sine",
        formula: "u = sin πx · sin πy",
        solution: |x, y| (PI * x).sin() * (PI * y).sin(),
        source: |x, y| 2.0 * PI * PI * (PI * x).sin() * (PI * y).sin(),
    },
    Equation {
        name: "sine-square",
        formula: "u = sin πx · sin πy²",
        solution: |x, y| (PI * x).sin() * (PI * y * y).sin(),
        source: |x, y| {
            let (sin, cos) = (PI * y * y).sin_cos();
            let curvature = PI * PI * sin - 2.0 * PI * cos + 4.0 * PI * PI * y * y * sin;
            (PI * x).sin() * curvature
        },
    },
];

/// Franke, "A critical comparison of some methods for interpolation of scattered data", 1979, moved to [−1, 1]².
fn franke(x: f64, y: f64) -> f64 {
    let (x, y) = (4.5 * (x + 1.0), 4.5 * (y + 1.0));
    let hill = |height: f64, a: f64, b: f64| height * (-a - b).exp();
    hill(0.75, (x - 2.0).powi(2) / 4.0, (y - 2.0).powi(2) / 4.0)
        + hill(0.75, (x + 1.0).powi(2) / 49.0, (y + 1.0) / 10.0)
        + hill(0.5, (x - 7.0).powi(2) / 4.0, (y - 3.0).powi(2) / 4.0)
        - hill(0.2, (x - 4.0).powi(2), (y - 7.0).powi(2))
}

/// Something to learn over [−1, 1]².
#[derive(Debug, Clone, Copy)]
pub enum Problem {
    /// A surface from its heights at points.
    Surface(&'static Surface),
    /// An equation from its right-hand side and its boundary.
    Equation(&'static Equation),
}

/// A name that is no problem of the task.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("there is no {kind} `{name}`, did you mean `{nearest}`? known are {known}")]
pub struct UnknownProblem {
    kind: &'static str,
    name: String,
    nearest: &'static str,
    known: String,
}

/// What a network is worth on a problem, by name; smaller is better.
pub type Measures = Vec<(&'static str, f64)>;

/// Points along each side of the grid that solutions are measured on.
const TEST_SIDE: usize = 80;
/// Random points that surfaces are measured at.
const TEST_POINTS: usize = 4000;

impl Problem {
    /// All problems of a task.
    pub fn all(task: Task) -> Vec<Self> {
        match task {
            Task::Fitting => SURFACES.iter().map(Self::Surface).collect(),
            Task::Poisson => EQUATIONS.iter().map(Self::Equation).collect(),
            _ => Vec::new(),
        }
    }

    /// The problem called `name`.
    ///
    /// # Errors
    /// Suggests the nearest name when there is none.
    pub fn find(task: Task, name: &str) -> Result<Self, UnknownProblem> {
        let all = Self::all(task);
        if let Some(found) = all.iter().find(|p| p.name() == name) {
            return Ok(*found);
        }
        let names: Vec<&'static str> = all.iter().map(Self::name).collect();
        let nearest = names.iter().min_by_key(|known| edit_distance(known, name));
        Err(UnknownProblem {
            kind: match task {
                Task::Poisson => "equation",
                _ => "surface",
            },
            name: name.to_string(),
            nearest: nearest.copied().unwrap_or("exponential"),
            known: names.join(", "),
        })
    }

    /// Its name on the command line.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Surface(s) => s.name,
            Self::Equation(e) => e.name,
        }
    }

    /// What it is.
    pub fn formula(&self) -> &'static str {
        match self {
            Self::Surface(s) => s.formula,
            Self::Equation(e) => e.formula,
        }
    }

    /// The true value at a point.
    pub fn exact(&self, [x, y]: [f64; DIM]) -> f64 {
        match self {
            Self::Surface(s) => (s.height)(x, y),
            Self::Equation(e) => (e.solution)(x, y),
        }
    }

    /// What the network is trained to meet: the sum of the squared residuals is the loss.
    ///
    /// A surface: mean squared error over the points. An equation: `interior_weight` times the mean squared residual
    /// inside plus `boundary_weight` times the mean squared value on the boundary.
    pub fn conditions(&self, recipe: &FieldRecipe, seed: u64) -> Vec<Condition> {
        let inside = random_points(seed, "points", recipe.points);
        let share = |weight: f64, count: usize| (weight / count.max(1) as f64).sqrt();
        match self {
            Self::Surface(_) => {
                let weight = share(1.0, recipe.points);
                let at = |point| condition(point, VALUE, self.exact(point), weight);
                inside.into_iter().map(at).collect()
            }
            Self::Equation(e) => {
                let weight = share(recipe.interior_weight, recipe.points);
                let inside = inside.into_iter().map(|point| {
                    let target = (e.source)(point[0], point[1]);
                    condition(point, [0.0, 0.0, 0.0, -1.0], target, weight)
                });
                let weight = share(recipe.boundary_weight, recipe.boundary_points);
                let mut rng = Philox::named(seed, "boundary");
                let edge = (0..recipe.boundary_points).map(|i| {
                    let point = boundary(i, 2.0 * rng.uniform() - 1.0);
                    condition(point, VALUE, 0.0, weight)
                });
                inside.chain(edge).collect()
            }
        }
    }

    /// Where starts are judged: points of a surface that are neither trained nor tested on. None for an equation, whose
    /// solution no training knows.
    pub fn selection(&self, recipe: &FieldRecipe, seed: u64) -> Vec<[f64; DIM]> {
        match self {
            Self::Surface(_) => random_points(seed, "selection", recipe.selection_points),
            Self::Equation(_) => Vec::new(),
        }
    }

    /// The mean squared error of `network` at `points`.
    pub fn mean_square(
        &self,
        network: &JetNetwork,
        parameters: &[f64],
        points: &[[f64; DIM]],
    ) -> f64 {
        let error = |point: &[f64; DIM]| network.value(parameters, *point) - self.exact(*point);
        mean_square(points.iter().map(error))
    }

    /// How many points a network is measured at.
    pub fn test_points(&self) -> usize {
        match self {
            Self::Surface(_) => TEST_POINTS,
            Self::Equation(_) => TEST_SIDE * (TEST_SIDE + 4),
        }
    }

    /// The names of the measures, the most telling first.
    pub fn measure_names(&self) -> &'static [&'static str] {
        match self {
            Self::Surface(_) => &["test_rmse", "train_rmse"],
            Self::Equation(_) => &["squared_l2", "boundary_mse", "residual_mse"],
        }
    }

    /// What `network` is worth.
    ///
    /// A surface: root of the mean squared error at 4,000 random points that no training sees, and at the training
    /// points of `conditions`. An equation, on a grid of 80×80 midpoints and 320 boundary points: the integral of the
    /// squared error over the square, the mean square on the boundary, the mean squared residual −Δu − f inside.
    pub fn measure(
        &self,
        network: &JetNetwork,
        parameters: &[f64],
        conditions: &[Condition],
    ) -> Measures {
        let error = |point: [f64; DIM]| network.value(parameters, point) - self.exact(point);
        let values = match self {
            Self::Surface(_) => {
                let test = random_points(0, "test", TEST_POINTS);
                vec![
                    mean_square(test.into_iter().map(error)).sqrt(),
                    mean_square(conditions.iter().map(|c| error(c.point))).sqrt(),
                ]
            }
            Self::Equation(e) => {
                let grid = midpoints(TEST_SIDE);
                let residual = |point: [f64; DIM]| {
                    -network.jet(parameters, point)[3] - (e.source)(point[0], point[1])
                };
                let edge = (0..4 * TEST_SIDE).map(|i| {
                    let along = -1.0 + 2.0 * ((i / 4) as f64 + 0.5) / TEST_SIDE as f64;
                    network.value(parameters, boundary(i, along))
                });
                vec![
                    // The square has an area of 4.
                    4.0 * mean_square(grid.iter().copied().map(error)),
                    mean_square(edge),
                    mean_square(grid.iter().copied().map(residual)),
                ]
            }
        };
        self.measure_names().iter().copied().zip(values).collect()
    }
}

fn condition(point: [f64; DIM], functional: Functional, target: f64, weight: f64) -> Condition {
    let condition = Condition {
        point,
        functional,
        target,
    };
    condition.weighted(weight)
}

fn random_points(seed: u64, purpose: &str, count: usize) -> Vec<[f64; DIM]> {
    let mut rng = Philox::named(seed, purpose);
    let mut coordinate = || 2.0 * rng.uniform() - 1.0;
    (0..count).map(|_| [coordinate(), coordinate()]).collect()
}

/// The centres of side×side equal cells of [−1, 1]², row by row from the lowest y.
pub fn midpoints(side: usize) -> Vec<[f64; DIM]> {
    let at = |i: usize| -1.0 + 2.0 * (i as f64 + 0.5) / side as f64;
    (0..side * side)
        .map(|i| [at(i % side), at(i / side)])
        .collect()
}

/// The point at `along` on side `index` mod 4 of the square.
fn boundary(index: usize, along: f64) -> [f64; DIM] {
    match index % 4 {
        0 => [along, -1.0],
        1 => [along, 1.0],
        2 => [-1.0, along],
        _ => [1.0, along],
    }
}

fn mean_square(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0usize), |(s, n), v| (s + v * v, n + 1));
    sum / count.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn right_hand_sides_belong_to_their_solutions() {
        for e in EQUATIONS {
            for [x, y] in random_points(1, "check", 50) {
                let (h, u) = (1e-4, e.solution);
                let around = u(x + h, y) + u(x - h, y) + u(x, y + h) + u(x, y - h);
                let laplacian = (around - 4.0 * u(x, y)) / (h * h);
                assert!((laplacian + (e.source)(x, y)).abs() < 1e-4, "{}", e.name);
            }
            for i in 0..40 {
                let [x, y] = boundary(i, -1.0 + 0.05 * i as f64);
                assert!((e.solution)(x, y).abs() < 1e-15, "{} at {x}, {y}", e.name);
            }
        }
    }

    #[test]
    fn franke_has_its_published_values() {
        // At the corner (0, 0) and the middle (1/2, 1/2) of the unit square, by the formula of the paper.
        assert!((franke(-1.0, -1.0) - 0.766_421).abs() < 1e-6);
        assert!((franke(0.0, 0.0) - 0.325_762).abs() < 1e-6);
    }

    #[test]
    fn an_unknown_name_lists_what_there_is() {
        let error = Problem::find(Task::Fitting, "egcrate")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("`egg-crate`?") && error.contains("ripple"),
            "{error}"
        );
    }
}
