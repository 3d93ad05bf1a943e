//! Gradients that pass from op to op without copies.
//!
//! candle adds every gradient to a fresh tensor of zeros, two more passes over all activations. An op that is recorded
//! here shows candle a scalar instead, its token: the token stands in candle's graph where the output would, and the
//! output is one step above it. The gradients themselves go from an op straight to the ops that made its inputs.
//! Operands that no recorded op made get their gradients from candle as ever, except that [`backward`] takes those of
//! variables as they are; it also lets an op's inputs go once the op's backward is done.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError};

use candle_core::backprop::GradStore;
use candle_core::op::BackpropOp;
use candle_core::{Result, Shape, Storage, Tensor, TensorId};

use super::sum::add;

mod token;

use token::{Output, Record, Saved, Token};

/// What a kernel gave, on its way to become a tensor.
pub(super) type Values = (Storage, Shape);

/// An op after its forward.
pub(super) trait Backward: Send + Sync {
    /// The gradients of the inputs, in their order, from that of the output, which is contiguous: one for each input that
    /// is tracked.
    ///
    /// # Errors
    /// When a kernel fails.
    fn gradients(
        &self,
        inputs: &[Tensor],
        output: &Tensor,
        gradient: &Tensor,
    ) -> Result<Vec<Option<Tensor>>>;
}

/// The output of the op `name` whose forward has run, recorded where a gradient of one of its `inputs` may be asked for.
///
/// # Errors
/// When the device cannot hold the op's tokens.
pub(super) fn recorded<B: Backward + 'static>(
    name: &'static str,
    op: B,
    inputs: &[Tensor],
    output: Values,
) -> Result<Tensor> {
    if inputs.iter().any(Tensor::track_op) {
        return record(name, Box::new(op), inputs, output);
    }
    let (storage, shape) = output;
    let tensor = Tensor::from_storage(storage, shape, BackpropOp::none(), false);
    Ok(tensor)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is known of a recorded op's output while it lives.
#[derive(Clone)]
struct Link {
    token: Tensor,
    gradient: Arc<Slot>,
}

/// The gradient of an output, summed over those who use it.
#[derive(Default)]
struct Slot(Mutex<Option<Tensor>>);

impl Slot {
    fn add(&self, gradient: Tensor) -> Result<()> {
        let before = locked(&self.0).take();
        let sum = match before {
            Some(before) => add(&before, &gradient)?,
            None => gradient,
        };
        *locked(&self.0) = Some(sum);
        Ok(())
    }

    fn take(&self) -> Option<Tensor> {
        locked(&self.0).take()
    }
}

/// The outputs of recorded ops that are alive.
static LINKS: LazyLock<Mutex<HashMap<TensorId, Link>>> = LazyLock::new(Mutex::default);

fn link(tensor: &Tensor) -> Option<Link> {
    locked(&LINKS).get(&tensor.id()).cloned()
}

fn record(
    name: &'static str,
    op: Box<dyn Backward>,
    inputs: &[Tensor],
    output: Values,
) -> Result<Tensor> {
    let links: Vec<Option<Link>> = inputs.iter().map(link).collect();
    let tracked = inputs.iter().zip(&links).enumerate();
    let shown: Vec<(usize, Tensor)> = tracked
        .filter(|(_, (x, _))| x.track_op())
        .map(|(place, (x, link))| (place, link.as_ref().map_or(x, |link| &link.token).clone()))
        .collect();
    let gradient = Arc::new(Slot::default());
    let links = links.into_iter();
    let record = Arc::new(Record {
        name,
        op,
        links: links.map(|link| link.map(|link| link.gradient)).collect(),
        saved: Mutex::default(),
        gradient: gradient.clone(),
        found: Mutex::default(),
    });
    let token = Token::of(&record, &shown, true)?;
    let key = Arc::new(OnceLock::new());
    let output = token.apply_op1(Output {
        values: Mutex::new(Some(output)),
        gradient: gradient.clone(),
        key: key.clone(),
    })?;
    *locked(&record.saved) = Some(Saved {
        inputs: inputs.to_vec(),
        // Without its op, or the record would own itself.
        output: output.detach(),
    });
    let id = output.id();
    key.get_or_init(|| id);
    locked(&LINKS).insert(id, Link { token, gradient });
    Ok(output)
}

thread_local! {
    /// The gradients of variables while [`backward`] runs on this thread.
    static VARIABLES: RefCell<Option<HashMap<TensorId, Tensor>>> = const { RefCell::new(None) };
}

/// The gradient of an operand that no recorded op made: kept here if it is a variable's and [`backward`] runs, given
/// to candle otherwise.
fn leave(input: &Tensor, gradient: Tensor) -> Result<Option<Tensor>> {
    if !input.is_variable() {
        return Ok(Some(gradient));
    }
    VARIABLES.with_borrow_mut(|variables| {
        let Some(variables) = variables else {
            return Ok(Some(gradient));
        };
        let sum = match variables.remove(&input.id()) {
            Some(before) => add(&before, &gradient)?,
            None => gradient,
        };
        variables.insert(input.id(), sum);
        Ok(None)
    })
}

/// The gradients of `loss`, as its own `backward` gives them, but without a copy of each variable's, and with less
/// memory: the ops of [`crate::ops`] let their inputs go, so that a graph can be gone through once.
///
/// # Errors
/// When an op's backward fails, or has run before.
pub fn backward(loss: &Tensor) -> Result<GradStore> {
    VARIABLES.set(Some(HashMap::new()));
    let result = loss.backward();
    let variables = VARIABLES.take().unwrap_or_default();
    let mut gradients = result?;
    for (id, gradient) in variables {
        let gradient = match gradients.get_id(id) {
            Some(other) => add(other, &gradient)?,
            None => gradient,
        };
        gradients.insert_id(id, gradient);
    }
    Ok(gradients)
}

/// The gradients of the inner product of `output` and `upstream`, which has its shape: of whatever comes after
/// `output` only its gradient is known.
///
/// # Errors
/// When the shapes differ, or as in [`backward`].
pub fn backward_from(output: &Tensor, upstream: &Tensor) -> Result<GradStore> {
    if output.dims() != upstream.dims() {
        candle_core::bail!(
            "an output {:?} cannot have a gradient {:?}",
            output.dims(),
            upstream.dims()
        );
    }
    match link(output) {
        Some(link) => {
            link.gradient.add(upstream.detach())?;
            backward(&link.token)
        }
        None => backward(&(output * upstream)?.sum_all()?),
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Var};

    use super::*;
    use crate::gradient_check::{assert_gradients, assert_only_tracked, random};
    use crate::ops::slices::values;
    use crate::ops::{global_mean, linear, softmax};

    fn scalar(tensor: &Tensor) -> f64 {
        tensor.sum_all().unwrap().to_scalar().unwrap()
    }

    #[test]
    fn a_result_used_by_both_kinds_of_ops_gets_both_gradients() {
        let x = random(&[3, 4], DType::F64, 1).unwrap();
        let w = random(&[4, 4], DType::F64, 2).unwrap();
        assert_gradients(&[x, w], 1e-7, |t| {
            let y = linear(&t[0], &t[1], None)?;
            let ours = (softmax(&y)? + linear(&y, &t[1], None)?)?;
            ours + (y.sqr()? * t[1].sum_all()?.to_scalar::<f64>()?.signum())?
        });
    }

    #[test]
    fn candle_and_ours_agree_on_the_same_graph() {
        let x = Var::from_tensor(&random(&[2, 3, 3, 4], DType::F64, 1).unwrap()).unwrap();
        let w = Var::from_tensor(&random(&[4, 4], DType::F64, 2).unwrap()).unwrap();
        let loss = || {
            let y = global_mean(&linear(&x, &w, None).unwrap()).unwrap();
            // The weight takes part through candle's ops, too.
            (softmax(&y).unwrap() * w.mean(0).unwrap().broadcast_as((2, 4)).unwrap())
                .unwrap()
                .sum_all()
                .unwrap()
        };
        let (theirs, ours) = (loss().backward().unwrap(), backward(&loss()).unwrap());
        for var in [&x, &w] {
            let difference = (theirs.get(var).unwrap() - ours.get(var).unwrap()).unwrap();
            assert!(scalar(&difference.abs().unwrap()) < 1e-12);
            assert!(scalar(&ours.get(var).unwrap().abs().unwrap()) > 1e-3);
        }
    }

    #[test]
    fn an_upstream_gradient_is_an_inner_product() {
        let x = Var::from_tensor(&random(&[5, 4], DType::F64, 1).unwrap()).unwrap();
        let w = random(&[3, 4], DType::F64, 2).unwrap();
        let upstream = random(&[5, 3], DType::F64, 3).unwrap();
        let y = linear(&x, &w, None).unwrap();
        let composed = (&y * &upstream).unwrap().sum_all().unwrap();
        let expected = composed.backward().unwrap().remove(&x).unwrap();
        let y = linear(&x, &w, None).unwrap();
        let mut found = backward_from(&y, &upstream).unwrap();
        let found = found.remove(&x).unwrap();
        assert!(scalar(&(expected - &found).unwrap().abs().unwrap()) < 1e-12);
        // Of a result that no op of ours made.
        let doubled = (x.as_tensor() * 2.0).unwrap();
        let twice = random(&[5, 4], DType::F64, 4).unwrap();
        let found = backward_from(&doubled, &twice).unwrap();
        let expected = (twice * 2.0).unwrap();
        let difference = (found.get(&x).unwrap() - expected).unwrap();
        assert!(scalar(&difference.abs().unwrap()) < 1e-12);
        assert!(backward_from(&y, &random(&[3, 5], DType::F64, 3).unwrap()).is_err());
    }

    #[test]
    fn a_second_backward_says_that_the_inputs_are_gone() {
        let x = Var::from_tensor(&random(&[5, 4], DType::F64, 1).unwrap()).unwrap();
        let y = softmax(&x).unwrap().sqr().unwrap().sum_all().unwrap();
        // Candle's own may run again and again.
        let gradients = [(); 2].map(|()| scalar(y.backward().unwrap().get(&x).unwrap()));
        assert_eq!(gradients[0], gradients[1]);
        backward(&y).unwrap();
        let error = backward(&y).unwrap_err().to_string();
        assert!(
            error.contains("softmax") && error.contains("forward again"),
            "{error}"
        );
    }

    #[test]
    fn links_end_with_their_outputs() {
        let x = Var::from_tensor(&random(&[5, 4], DType::F64, 1).unwrap()).unwrap();
        let y = softmax(&x).unwrap();
        let z = softmax(&y).unwrap();
        let (y_id, z_id) = (y.id(), z.id());
        let known = |id| locked(&LINKS).contains_key(&id);
        drop(y);
        // The second op still needs it.
        assert!(known(y_id) && known(z_id));
        drop(z);
        assert!(!known(y_id) && !known(z_id));
    }

    #[test]
    fn nothing_is_recorded_without_variables() {
        let x = Tensor::ones((2, 3), DType::F32, &Device::Cpu).unwrap();
        let y = softmax(&x).unwrap();
        assert!(!y.track_op() && link(&y).is_none());
    }

    /// The elements of all parts, one after the other: an op of any number of operands.
    struct Join;

    impl Backward for Join {
        fn gradients(
            &self,
            parts: &[Tensor],
            _: &Tensor,
            gradient: &Tensor,
        ) -> Result<Vec<Option<Tensor>>> {
            let mut start = 0;
            let share = |part: &Tensor| {
                let len = part.elem_count();
                start += len;
                let share = || gradient.narrow(0, start - len, len)?.reshape(part.shape());
                part.track_op().then(share).transpose()
            };
            parts.iter().map(share).collect()
        }
    }

    fn join(parts: &[Tensor]) -> Result<Tensor> {
        let parts: Vec<Tensor> = parts
            .iter()
            .map(Tensor::contiguous)
            .collect::<Result<_>>()?;
        let flat = parts.iter().map(|part| part.detach().flatten_all());
        let all = Tensor::cat(&flat.collect::<Result<Vec<_>>>()?, 0)?.to_vec1::<f64>()?;
        let len = all.len();
        recorded("join", Join, &parts, values(all, len))
    }

    #[test]
    fn parts_keep_their_order_and_their_gradients() {
        let shapes: [&[usize]; 8] = [
            &[2, 3],
            &[4],
            &[1, 2, 2],
            &[3, 1],
            &[1],
            &[2],
            &[2, 2],
            &[3],
        ];
        let parts: Vec<Tensor> = shapes
            .iter()
            .enumerate()
            .map(|(i, shape)| random(shape, DType::F64, i as u64 + 1).unwrap())
            .collect();
        for count in 1..=parts.len() {
            let parts = &parts[..count];
            let flat: Vec<Tensor> = parts.iter().map(|p| p.flatten_all().unwrap()).collect();
            let expected = Tensor::cat(&flat, 0).unwrap().to_vec1::<f64>().unwrap();
            assert_eq!(join(parts).unwrap().to_vec1::<f64>().unwrap(), expected);
            assert_gradients(parts, 1e-8, |t| join(t)?.sqr());
            // Parts that recorded ops made, beside others.
            assert_gradients(parts, 1e-8, |t| {
                let mut parts = t.to_vec();
                for part in parts.iter_mut().step_by(2) {
                    *part = softmax(part)?;
                }
                join(&parts)?.sqr()
            });
            for tracked in 0..count {
                assert_only_tracked(parts, tracked, join);
            }
        }
    }

    #[test]
    fn a_transposed_part_is_read_in_its_own_order() {
        let x = random(&[3, 4], DType::F64, 1).unwrap();
        assert_gradients(&[x], 1e-8, |t| join(&[t[0].t()?, t[0].clone()])?.sqr());
    }

    #[test]
    fn many_operands_are_gone_through_as_often_as_candle_asks() {
        let parts: Vec<Var> = (0..7)
            .map(|seed| Var::from_tensor(&random(&[3], DType::F64, seed).unwrap()).unwrap())
            .collect();
        let tensors: Vec<Tensor> = parts.iter().map(|p| p.as_tensor().clone()).collect();
        let loss = join(&tensors).unwrap().sqr().unwrap().sum_all().unwrap();
        for gradients in [
            loss.backward().unwrap(),
            loss.backward().unwrap(),
            backward(&loss).unwrap(),
        ] {
            for part in &parts {
                let found = gradients.get(part).unwrap().to_vec1::<f64>().unwrap();
                let expected = (part.as_tensor() * 2.0).unwrap().to_vec1::<f64>().unwrap();
                assert_eq!(found, expected);
            }
        }
    }
}
