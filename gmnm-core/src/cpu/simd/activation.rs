//! Activations, element by element.

use super::exp::sigmoid;
use super::lanes::Lanes;

/// What follows a normalisation, element by element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Activation {
    /// Nothing.
    #[default]
    Identity,
    /// max(x, 0), with derivative 0 at 0.
    Relu,
    /// x·Φ(x) with the exact normal distribution function (PyTorch's default GELU).
    Gelu,
    /// x·sigmoid(x).
    Silu,
}

/// An activation and its derivative on registers.
pub(crate) trait Function: Send + Sync {
    /// The function.
    fn value<V: Lanes>(z: V) -> V;
    /// Its derivative.
    fn slope<V: Lanes>(z: V) -> V;
}

#[inline(always)]
fn constant<V: Lanes>(value: f64) -> V {
    // SAFETY: only called with registers at hand, so the processor has their features.
    unsafe { V::splat(<V::Scalar as super::lanes::Real>::from_f64(value)) }
}

/// [`Activation::Identity`].
pub(crate) struct Identity;

impl Function for Identity {
    #[inline(always)]
    fn value<V: Lanes>(z: V) -> V {
        z
    }
    #[inline(always)]
    fn slope<V: Lanes>(_: V) -> V {
        constant(1.0)
    }
}

/// [`Activation::Relu`].
pub(crate) struct Relu;

impl Function for Relu {
    #[inline(always)]
    fn value<V: Lanes>(z: V) -> V {
        let zero = constant::<V>(0.0);
        // In this order a NaN passes through.
        zero.select_gt(z, zero, z)
    }
    #[inline(always)]
    fn slope<V: Lanes>(z: V) -> V {
        let zero = constant::<V>(0.0);
        z.select_gt(zero, constant(1.0), zero)
    }
}

/// [`Activation::Gelu`].
pub(crate) struct Gelu;

impl Function for Gelu {
    #[inline(always)]
    fn value<V: Lanes>(z: V) -> V {
        z.mul(z.normal().0)
    }
    #[inline(always)]
    fn slope<V: Lanes>(z: V) -> V {
        let (cdf, density) = z.normal();
        z.mul_add(density, cdf)
    }
}

/// [`Activation::Silu`].
pub(crate) struct Silu;

impl Function for Silu {
    #[inline(always)]
    fn value<V: Lanes>(z: V) -> V {
        z.mul(sigmoid(z))
    }
    #[inline(always)]
    fn slope<V: Lanes>(z: V) -> V {
        let s = sigmoid(z);
        let one = constant::<V>(1.0);
        s.mul(z.mul_add(one.sub(s), one))
    }
}

/// Calls `$call` with `$function` naming the type of `$activation`.
macro_rules! with_function {
    ($activation:expr, $function:ident => $call:expr) => {
        match $activation {
            $crate::cpu::simd::activation::Activation::Identity => {
                type $function = $crate::cpu::simd::activation::Identity;
                $call
            }
            $crate::cpu::simd::activation::Activation::Relu => {
                type $function = $crate::cpu::simd::activation::Relu;
                $call
            }
            $crate::cpu::simd::activation::Activation::Gelu => {
                type $function = $crate::cpu::simd::activation::Gelu;
                $call
            }
            $crate::cpu::simd::activation::Activation::Silu => {
                type $function = $crate::cpu::simd::activation::Silu;
                $call
            }
        }
    };
}

pub(crate) use with_function;
