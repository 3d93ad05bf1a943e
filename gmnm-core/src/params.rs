//! The owner of a network's parameters and buffers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::{DType, Device, Result, Shape, Tensor, Var};
use candle_nn::{Init, VarBuilder, var_builder::SimpleBackend};

use crate::init::draw;
use crate::rng::Philox;

mod mismatch;

pub use mismatch::{LoadError, Mismatch};

/// A name under which a tensor is state that no optimizer touches: its last component is `running_mean`, `running_var`,
/// `whitening`, `latent_mean` or `latent_factor`.
pub fn is_buffer(name: &str) -> bool {
    matches!(
        name.rsplit('.').next(),
        Some("running_mean" | "running_var" | "whitening" | "latent_mean" | "latent_factor")
    )
}

/// What a builder over a store hands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Trainable variables; an unknown name is drawn.
    Draw,
    /// Trainable variables; an unknown name is an error.
    Closed,
    /// Tensors without gradient tracking; an unknown name is an error.
    Detached,
}

/// Parameters and buffers by name, in the order of their names.
///
/// Clones share the same tensors. Initial values come from (seed, name) alone, drawn on the CPU in f64: they depend
/// neither on the order in which a network is built nor on the device, and on the dtype only by its rounding.
#[derive(Debug, Clone)]
pub struct ParamStore {
    tensors: Arc<Mutex<BTreeMap<String, Var>>>,
    /// Parameters that are handed out without gradient tracking in any mode.
    frozen: Arc<BTreeSet<String>>,
    mode: Mode,
    seed: u64,
    dtype: DType,
    device: Device,
}

impl ParamStore {
    /// An empty store whose parameters will be drawn under `seed`.
    pub fn new(seed: u64, dtype: DType, device: &Device) -> Self {
        Self {
            tensors: Arc::default(),
            frozen: Arc::default(),
            mode: Mode::Draw,
            seed,
            dtype,
            device: device.clone(),
        }
    }

    /// A store of copies of `tensors`, converted to `dtype`. Its builder draws nothing: a name that is not among them
    /// is an error.
    ///
    /// # Errors
    /// When a tensor cannot be converted.
    pub fn from_tensors(
        tensors: &BTreeMap<String, Tensor>,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let vars = tensors
            .iter()
            .map(|(name, tensor)| {
                let tensor = tensor.detach().to_device(device)?.to_dtype(dtype)?;
                Ok((name.clone(), Var::from_tensor(&tensor)?))
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            tensors: Arc::new(Mutex::new(vars)),
            mode: Mode::Closed,
            ..Self::new(0, dtype, device)
        })
    }

    /// A builder over this store: a name that is asked for the first time is drawn, later it is returned.
    pub fn var_builder(&self) -> VarBuilder<'static> {
        VarBuilder::from_backend(Box::new(self.clone()), self.dtype, self.device.clone())
    }

    /// A view of the same tensors whose builder hands them out without gradient tracking: a network built from it
    /// sees every update, but keeps no graph. For evaluation.
    pub fn detached(&self) -> Self {
        Self {
            mode: Mode::Detached,
            ..self.clone()
        }
    }

    /// A view of the same tensors whose builder hands out those called `names` without gradient tracking: a network
    /// built from it trains the others only.
    pub fn freezing(&self, names: BTreeSet<String>) -> Self {
        Self {
            frozen: Arc::new(names),
            ..self.clone()
        }
    }

    /// A store with its own copy of every tensor. For averages of weights and for snapshots.
    ///
    /// # Errors
    /// When memory for the copy cannot be had on the device.
    pub fn deep_copy(&self) -> Result<Self> {
        let mut copy = Self::from_tensors(&self.tensors(), self.dtype, &self.device)?;
        copy.mode = self.mode;
        copy.seed = self.seed;
        Ok(copy)
    }

    /// A variable as networks see it: with a gradient or without.
    fn seen(&self, name: &str, var: &Var) -> Tensor {
        match self.mode == Mode::Detached || self.frozen.contains(name) {
            true => var.as_detached_tensor(),
            false => var.as_tensor().clone(),
        }
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<String, Var>> {
        self.tensors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All parameters and buffers, ordered by name.
    pub fn all(&self) -> Vec<(String, Var)> {
        self.locked()
            .iter()
            .map(|(name, var)| (name.clone(), var.clone()))
            .collect()
    }

    /// The parameters that an optimizer updates, ordered by name.
    pub fn trainable(&self) -> Vec<(String, Var)> {
        let mut all = self.all();
        all.retain(|(name, _)| !is_buffer(name));
        all
    }

    /// All parameters and buffers without gradient tracking; they share the store's memory.
    pub fn tensors(&self) -> BTreeMap<String, Tensor> {
        self.locked()
            .iter()
            .map(|(name, var)| (name.clone(), var.as_detached_tensor()))
            .collect()
    }

    /// The number of trainable values.
    pub fn parameter_count(&self) -> usize {
        self.trainable().iter().map(|(_, v)| v.elem_count()).sum()
    }

    /// The seed that initial values are drawn under.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The type of the parameters.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Where the parameters live.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Replaces every value by that of the tensor of the same name, converted to the store's dtype and device. Networks
    /// that were built from this store see the new values.
    ///
    /// # Errors
    /// When a tensor is missing, unexpected, of another shape or not of floating-point numbers: all of them are listed
    /// in one error, and the store is unchanged.
    pub fn load_strict(
        &self,
        tensors: &BTreeMap<String, Tensor>,
    ) -> std::result::Result<(), LoadError> {
        let vars = self.locked();
        let mismatch = Mismatch::between(&vars, tensors);
        if !mismatch.is_empty() {
            return Err(LoadError::Mismatch(mismatch));
        }
        let failed = |name: &str| {
            let name = name.to_string();
            move |source| LoadError::Tensor { name, source }
        };
        let mut staged = Vec::with_capacity(vars.len());
        for (name, var) in vars.iter() {
            let Some(tensor) = tensors.get(name) else {
                continue;
            };
            // `copy`: the offered tensor may be a view of the very variable that it is written to.
            let value = tensor
                .detach()
                .to_device(var.device())
                .and_then(|t| t.to_dtype(var.dtype()))
                .and_then(|t| t.copy())
                .map_err(failed(name))?;
            staged.push((name, var, value));
        }
        for (name, var, value) in staged {
            var.set(&value).map_err(failed(name))?;
        }
        Ok(())
    }
}

fn absent(name: &str) -> Result<Tensor> {
    candle_core::bail!("the network needs tensor `{name}`, which the weights do not hold")
}

impl SimpleBackend for ParamStore {
    fn get(&self, s: Shape, name: &str, h: Init, dtype: DType, dev: &Device) -> Result<Tensor> {
        let mut tensors = self.locked();
        if let Some(var) = tensors.get(name) {
            if var.shape() != &s {
                candle_core::bail!(
                    "tensor `{name}` has shape {:?}, the network needs {:?}",
                    var.dims(),
                    s.dims()
                );
            }
            return Ok(self.seen(name, var));
        }
        if self.mode != Mode::Draw {
            return absent(name);
        }
        let values = draw(&s, h, &mut Philox::named(self.seed, name));
        let tensor = Tensor::from_vec(values, s, &Device::Cpu)?
            .to_dtype(dtype)?
            .to_device(dev)?;
        let var = Var::from_tensor(&tensor)?;
        let tensor = self.seen(name, &var);
        tensors.insert(name.to_string(), var);
        Ok(tensor)
    }

    fn get_unchecked(&self, name: &str, _dtype: DType, _dev: &Device) -> Result<Tensor> {
        match self.locked().get(name) {
            Some(var) => Ok(self.seen(name, var)),
            None => absent(name),
        }
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.locked().contains_key(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANDN: Init = Init::Randn {
        mean: 0.0,
        stdev: 1.0,
    };

    fn build(store: &ParamStore, names: &[&str]) -> Result<()> {
        let vb = store.var_builder();
        for name in names {
            vb.get_with_hints((2, 3), name, RANDN)?;
        }
        Ok(())
    }

    fn values(store: &ParamStore) -> Result<BTreeMap<String, Vec<f64>>> {
        let to_vec = |t: &Tensor| t.to_dtype(DType::F64)?.flatten_all()?.to_vec1();
        store
            .tensors()
            .iter()
            .map(|(name, tensor)| Ok((name.clone(), to_vec(tensor)?)))
            .collect()
    }

    #[test]
    fn values_depend_on_seed_and_name_alone() -> Result<()> {
        let store = |seed| ParamStore::new(seed, DType::F64, &Device::Cpu);
        let (forward, backward, other) = (store(1), store(1), store(2));
        build(&forward, &["a", "b", "c"])?;
        build(&backward, &["c", "a", "b"])?;
        build(&other, &["a", "b", "c"])?;
        assert_eq!(values(&forward)?, values(&backward)?);
        assert_ne!(values(&forward)?, values(&other)?);
        let drawn = values(&forward)?;
        assert_ne!(drawn["a"], drawn["b"]);
        let single = ParamStore::new(1, DType::F32, &Device::Cpu);
        build(&single, &["b"])?;
        let rounded: Vec<f64> = drawn["b"].iter().map(|&v| f64::from(v as f32)).collect();
        assert_eq!(values(&single)?["b"], rounded);
        Ok(())
    }

    #[test]
    fn buffers_are_not_trainable() -> Result<()> {
        let store = ParamStore::new(0, DType::F32, &Device::Cpu);
        build(&store, &["bn.weight", "bn.running_mean", "bn.running_var"])?;
        let names: Vec<String> = store.trainable().into_iter().map(|(n, _)| n).collect();
        assert_eq!(names, ["bn.weight"]);
        assert_eq!(store.parameter_count(), 6);
        assert_eq!(store.all().len(), 3);
        Ok(())
    }

    #[test]
    fn a_detached_view_follows_updates_without_tracking() -> Result<()> {
        let store = ParamStore::new(0, DType::F32, &Device::Cpu);
        build(&store, &["a"])?;
        let copy = store.deep_copy()?;
        let view = store.detached().var_builder().get((2, 3), "a")?;
        assert!(!view.track_op());
        assert!(store.var_builder().get((2, 3), "a")?.track_op());
        store.all()[0]
            .1
            .set(&Tensor::ones((2, 3), DType::F32, &Device::Cpu)?)?;
        assert_eq!(view.sum_all()?.to_scalar::<f32>()?, 6.0);
        let kept = copy.tensors()["a"].sum_all()?.to_scalar::<f32>()?;
        assert_ne!(kept, 6.0);
        let unknown = store.detached().var_builder().get(3, "b");
        assert!(unknown.is_err_and(|e| e.to_string().contains("`b`")));
        assert_eq!(store.all().len(), 1, "a detached view draws nothing");
        Ok(())
    }

    #[test]
    fn a_freezing_view_tracks_the_others_only() -> Result<()> {
        let store = ParamStore::new(0, DType::F32, &Device::Cpu);
        let view = store.freezing(BTreeSet::from(["a".to_string()]));
        build(&view, &["a", "b"])?;
        for view in [&view, &view.clone()] {
            let tracked = |name| view.var_builder().get((2, 3), name).map(|t| t.track_op());
            assert!(!tracked("a")? && tracked("b")?);
        }
        assert!(store.var_builder().get((2, 3), "a")?.track_op());
        assert_eq!(store.trainable().len(), 2);
        Ok(())
    }

    #[test]
    fn a_store_of_given_tensors_draws_nothing() -> Result<()> {
        let tensors = BTreeMap::from([(
            "a".to_string(),
            Tensor::ones((2, 3), DType::F64, &Device::Cpu)?,
        )]);
        let store = ParamStore::from_tensors(&tensors, DType::F32, &Device::Cpu)?;
        let vb = store.var_builder();
        assert_eq!(vb.get((2, 3), "a")?.dtype(), DType::F32);
        assert!(vb.get((3, 2), "a").is_err());
        assert!(vb.get((2, 3), "b").is_err());
        Ok(())
    }

    #[test]
    fn loading_lists_every_difference_and_changes_nothing() -> Result<()> {
        let store = ParamStore::new(0, DType::F32, &Device::Cpu);
        build(&store, &["a", "b", "c", "d", "e"])?;
        let before = values(&store)?;
        let ones = |shape: &[usize], dtype| Tensor::ones(shape, dtype, &Device::Cpu);
        let mut offered = BTreeMap::from([
            ("c".to_string(), ones(&[3, 2], DType::F32)?),
            ("d".to_string(), ones(&[2, 3], DType::F64)?),
            ("e".to_string(), ones(&[2, 3], DType::U32)?),
            ("x".to_string(), ones(&[1], DType::F32)?),
        ]);
        let error = store.load_strict(&offered).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the weights do not fit the network: missing `a`, `b`, unexpected `x`, `c` has shape [3, 2] instead of \
             [2, 3], `e` holds u32 numbers; use the config that they were trained with"
        );
        assert_eq!(values(&store)?, before);

        offered.remove("x");
        for name in ["a", "b", "c", "e"] {
            offered.insert(name.to_string(), ones(&[2, 3], DType::F64)?);
        }
        let network = store.var_builder().get((2, 3), "b")?;
        assert!(store.load_strict(&offered).is_ok());
        assert_eq!(network.sum_all()?.to_scalar::<f32>()?, 6.0);
        assert!(store.load_strict(&store.tensors()).is_ok(), "its own views");
        Ok(())
    }
}
