//! Parameters one after the other, as the ops of many parameters take them.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use super::cpu_storage::{Element, slice, with_element, with_slice};
use super::route::on_cpu;
use super::{composed, tape};
use crate::cuda::{self, KernelDevice};

const NAME: &str = "join";

/// The elements of all `parts`, in their order, as one axis. Every part gets its share of the gradient, and nothing is
/// added up.
///
/// # Errors
/// When there is no part, or dtypes or devices differ.
pub(crate) fn join(parts: &[&Tensor]) -> Result<Tensor> {
    match parts {
        [first, ..] if !on_cpu(first) => on_device(parts),
        [] => candle_core::bail!("{NAME} needs at least one tensor"),
        [one] => one.flatten_all(),
        [first, second] => tape::apply2(&first.contiguous()?, &second.contiguous()?, Join),
        // Halves, so that the sum of all copies stays small.
        parts => {
            let (front, back) = parts.split_at(parts.len() / 2);
            tape::apply2(&join(front)?, &join(back)?, Join)
        }
    }
}

fn on_device(parts: &[&Tensor]) -> Result<Tensor> {
    let [first, _, ..] = parts else {
        return composed::join(parts);
    };
    let Some(device) = KernelDevice::of(first)? else {
        return composed::join(parts);
    };
    // An op has three operands at most.
    let joined = match parts.len() {
        2 | 3 => cuda::join::join(&device, parts)?,
        len => {
            let thirds: Vec<Tensor> = parts
                .chunks(len.div_ceil(3))
                .map(join)
                .collect::<Result<_>>()?;
            let thirds: Vec<&Tensor> = thirds.iter().collect();
            cuda::join::join(&device, &thirds)?
        }
    };
    match joined {
        Some(joined) => Ok(joined),
        None => composed::join(parts),
    }
}

struct Join;

impl Join {
    fn forward<T: Element>(first: &[T], second: &[T]) -> CpuStorage {
        T::to_cpu_storage_owned([first, second].concat())
    }

    fn shares<T: Element>(parts: [&Tensor; 2], gradient: &Tensor) -> Result<[Option<Tensor>; 2]> {
        with_slice::<T, _>(NAME, gradient, |gradient| {
            let shares = gradient.split_at(parts[0].elem_count());
            let share = |part: &Tensor, share: &[T]| {
                let copy = || Tensor::from_slice(share, part.shape(), part.device());
                part.track_op().then(copy).transpose()
            };
            Ok([share(parts[0], shares.0)?, share(parts[1], shares.1)?])
        })
    }
}

impl CustomOp2 for Join {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(
        &self,
        first: &CpuStorage,
        first_layout: &Layout,
        second: &CpuStorage,
        second_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let joined = with_element!(NAME, first.dtype(), T => {
            Self::forward::<T>(
                slice(NAME, first, first_layout)?,
                slice(NAME, second, second_layout)?,
            )
        });
        let len = first_layout.shape().elem_count() + second_layout.shape().elem_count();
        Ok((joined, Shape::from(len)))
    }

    fn bwd(
        &self,
        first: &Tensor,
        second: &Tensor,
        _joined: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [a, b] = with_element!(NAME, first.dtype(), T => {
            Self::shares::<T>([first, second], gradient)?
        });
        Ok((a, b))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gradient_check::{assert_gradients, assert_only_tracked, random};
    use candle_core::DType;

    #[test]
    fn parts_keep_their_order_and_their_gradients() {
        let shapes: [&[usize]; 5] = [&[2, 3], &[4], &[1, 2, 2], &[3, 1], &[1]];
        let parts: Vec<Tensor> = shapes
            .iter()
            .enumerate()
            .map(|(i, shape)| random(shape, DType::F64, i as u64 + 1).unwrap())
            .collect();
        for count in 1..=parts.len() {
            let parts = &parts[..count];
            let joined = join(&parts.iter().collect::<Vec<_>>()).unwrap();
            let flat: Vec<Tensor> = parts.iter().map(|p| p.flatten_all().unwrap()).collect();
            let expected = Tensor::cat(&flat, 0).unwrap().to_vec1::<f64>().unwrap();
            assert_eq!(joined.to_vec1::<f64>().unwrap(), expected);
            assert_gradients(parts, 1e-8, |t| join(&t.iter().collect::<Vec<_>>())?.sqr());
            for tracked in 0..count {
                assert_only_tracked(parts, tracked, |t| join(&t.iter().collect::<Vec<_>>()));
            }
        }
    }

    #[test]
    fn a_transposed_part_is_read_in_its_own_order() {
        let x = random(&[3, 4], DType::F64, 1).unwrap();
        assert_gradients(&[x], 1e-8, |t| join(&[&t[0].t()?, &t[0]])?.sqr());
    }
}
