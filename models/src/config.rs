//! The description of a network, as in `config.json`.

use std::collections::BTreeMap;

use candle_core::DType;
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};

use crate::check::ConfigError;
use crate::classifier::{Classifier, ClassifierConfig};
use crate::field::{Field, FieldConfig};
use crate::forecaster::{Forecaster, ForecasterConfig};
use crate::generator::{Generator, GeneratorConfig};

/// A network of the zoo.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "architecture", rename_all = "kebab-case")]
pub enum ModelConfig {
    /// An image classifier.
    Classifier(ClassifierConfig),
    /// An autoencoder of images.
    Generator(GeneratorConfig),
    /// A forecaster of series.
    Forecaster(ForecasterConfig),
    /// A network from the plane to a number, fitted to a surface.
    Surface(FieldConfig),
    /// A network from the plane to a number that solves a Poisson equation.
    Poisson(FieldConfig),
}

impl ModelConfig {
    /// Checks every field against the others and against limits that keep a wrong file from asking for absurd
    /// amounts of memory.
    ///
    /// # Errors
    /// Names the first field that does not fit.
    pub fn validate(&self) -> Result<(), ConfigError> {
        match self {
            Self::Classifier(config) => config.validate(),
            Self::Generator(config) => config.validate(),
            Self::Forecaster(config) => config.validate(),
            Self::Surface(config) | Self::Poisson(config) => config.validate(),
        }
    }

    /// The classes that the network tells apart, if it is a classifier.
    pub fn classes(&self) -> Option<usize> {
        match self {
            Self::Classifier(config) => Some(config.classes),
            Self::Generator(_) | Self::Forecaster(_) | Self::Surface(_) | Self::Poisson(_) => None,
        }
    }

    /// The channels of the images that the network takes, if it takes images.
    pub fn channels(&self) -> Option<usize> {
        match self {
            Self::Classifier(config) => Some(config.channels),
            Self::Generator(config) => Some(config.channels),
            Self::Forecaster(_) | Self::Surface(_) | Self::Poisson(_) => None,
        }
    }

    /// The architecture as `config.json` names it.
    pub fn architecture(&self) -> String {
        let config = serde_json::to_value(self).unwrap_or_default();
        let name = config.get("architecture").and_then(|name| name.as_str());
        name.unwrap_or_default().to_owned()
    }

    /// Whether [`PYTHON_SOURCE`](crate::PYTHON_SOURCE) has the network.
    pub fn is_in_python(&self) -> bool {
        is_in_python(&self.architecture())
    }

    /// Asks `vb` for every parameter and buffer of the network.
    ///
    /// # Errors
    /// When `vb` refuses one of them.
    pub fn declare(&self, vb: VarBuilder) -> candle_core::Result<()> {
        match self {
            Self::Classifier(config) => Classifier::new(config, vb).map(drop),
            Self::Generator(config) => Generator::new(config, vb).map(drop),
            Self::Forecaster(config) => Forecaster::new(config, vb).map(drop),
            Self::Surface(config) | Self::Poisson(config) => Field::new(config, vb).map(drop),
        }
    }

    /// The names and shapes of all parameters and buffers, found without allocating them.
    ///
    /// # Errors
    /// When the configuration is not valid.
    pub fn tensor_shapes(&self) -> Result<BTreeMap<String, Vec<usize>>, ConfigError> {
        self.validate()?;
        let recorder = shapes::Recorder::default();
        let vb = VarBuilder::from_backend(
            Box::new(recorder.clone()),
            DType::F32,
            candle_core::Device::Cpu,
        );
        self.declare(vb)
            .map_err(|e| ConfigError::new("architecture", e.to_string()))?;
        Ok(recorder.into_shapes())
    }

    /// The number of trainable values.
    ///
    /// # Errors
    /// When the configuration is not valid.
    pub fn parameter_count(&self) -> Result<usize, ConfigError> {
        Ok(self
            .tensor_shapes()?
            .iter()
            .filter(|(name, _)| !gmnm_core::params::is_buffer(name))
            .map(|(_, shape)| shape.iter().product::<usize>())
            .sum())
    }
}

/// Whether the table `ARCHITECTURES` in Python has a line for `architecture`.
fn is_in_python(architecture: &str) -> bool {
    let line = format!("    \"{architecture}\": ");
    let lines = crate::PYTHON_SOURCE.lines();
    let table = lines.skip_while(|l| *l != "ARCHITECTURES = {");
    let mut rows = table.take_while(|l| *l != "}");
    rows.any(|l| l.starts_with(&line))
}

mod shapes {
    //! A parameter source that notes what a network asks for.

    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex, PoisonError};

    use candle_core::{DType, Device, Result, Shape, Tensor};
    use candle_nn::{Init, var_builder::SimpleBackend};

    #[derive(Default, Clone)]
    pub(super) struct Recorder(Arc<Mutex<BTreeMap<String, Vec<usize>>>>);

    impl Recorder {
        pub(super) fn into_shapes(self) -> BTreeMap<String, Vec<usize>> {
            std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
        }
    }

    impl SimpleBackend for Recorder {
        fn get(&self, s: Shape, name: &str, _: Init, dtype: DType, dev: &Device) -> Result<Tensor> {
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(name.to_string(), s.dims().to_vec());
            // One zero seen as the whole tensor: no memory is taken for it.
            Tensor::zeros((), dtype, dev)?.broadcast_as(s)
        }

        fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> Result<Tensor> {
            candle_core::bail!("tensor `{name}` is asked for without a shape")
        }

        fn contains_tensor(&self, name: &str) -> bool {
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .contains_key(name)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_in_python_tells_which_networks_it_has() {
        for name in [
            "cifar-classifier",
            "image-generator",
            "series-forecaster",
            "surface-fitter",
            "poisson-solver",
        ] {
            let config = crate::registry::find(name).unwrap().config();
            assert!(config.is_in_python(), "{name}");
        }
        for other in ["", "class", "perceptron"] {
            assert!(!is_in_python(other), "{other}");
        }
    }
}
