//! What is measured of a trained network.

/// Which way a measure improves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// As an accuracy.
    Higher,
    /// As an error.
    Lower,
}

/// How values of a measure are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contrast {
    /// By their difference, as accuracies.
    Difference,
    /// By their ratio, as errors over many magnitudes.
    Ratio,
}

/// How people read a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Digits {
    /// So many after the point.
    Fixed(usize),
    /// So many after the point of a power of ten.
    Scientific(usize),
}

/// One quantity that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measure {
    /// Its name in metrics, as in `accuracy`.
    pub name: &'static str,
    /// Which way it improves.
    pub better: Better,
    /// How its values are compared.
    pub contrast: Contrast,
    /// How its values are shown.
    pub digits: Digits,
}

impl Measure {
    /// A measure that is better the higher it is, compared by differences.
    pub const fn higher(name: &'static str, digits: Digits) -> Self {
        Self {
            name,
            better: Better::Higher,
            contrast: Contrast::Difference,
            digits,
        }
    }

    /// A measure that is better the lower it is.
    pub const fn lower(name: &'static str, contrast: Contrast, digits: Digits) -> Self {
        Self {
            name,
            better: Better::Lower,
            contrast,
            digits,
        }
    }

    /// A value of this measure for people.
    pub fn shown(&self, value: f64) -> String {
        match self.digits {
            Digits::Fixed(digits) => format!("{value:.digits$}"),
            Digits::Scientific(digits) => format!("{value:.digits$e}"),
        }
    }
}

/// All that is measured, and what a network is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Measures {
    /// All, the loss first.
    pub all: &'static [Measure],
    /// The index of the one that early stopping judges by and that summaries show first.
    pub objective: usize,
}

impl Measures {
    /// The index of the measure called `name`; the objective where it is empty.
    pub fn position(self, name: &str) -> Option<usize> {
        match name {
            "" => Some(self.objective),
            name => self.all.iter().position(|measure| measure.name == name),
        }
    }

    /// The measures with their indices as summaries show them: the objective, then the others.
    pub fn by_weight(self) -> impl Iterator<Item = (usize, &'static Measure)> {
        let others = (0..self.all.len()).filter(move |&i| i != self.objective);
        std::iter::once(self.objective)
            .chain(others)
            .filter_map(move |i| Some((i, self.all.get(i)?)))
    }
}
