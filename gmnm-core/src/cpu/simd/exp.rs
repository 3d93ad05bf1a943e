//! Functions made of the exponential.

use super::lanes::{Lanes, Real};

#[inline(always)]
fn constant<V: Lanes>(value: f64) -> V {
    // SAFETY: only called with registers at hand, so the processor has their features.
    unsafe { V::splat(V::Scalar::from_f64(value)) }
}

/// 1/(1 + e^−x); in f32 within 2e-7.
#[inline(always)]
pub(crate) fn sigmoid<V: Lanes>(x: V) -> V {
    let one = constant::<V>(1.0);
    one.div(one.add(constant::<V>(0.0).sub(x).exp()))
}

/// The hyperbolic tangent, 1 − 2/(1 + e^2x); in f32 within 2e-7, an absolute error also near zero.
#[inline(always)]
pub(crate) fn tanh<V: Lanes>(x: V) -> V {
    let one = constant::<V>(1.0);
    let two = constant::<V>(2.0);
    one.sub(two.div(one.add(two.mul(x).exp())))
}

#[cfg(test)]
mod tests {
    use super::super::isa::{Isa, Kernel};
    use super::*;

    /// exp, sigmoid and tanh of each element.
    struct Functions<'a> {
        x: &'a [f32],
        out: [&'a mut [f32]; 3],
    }

    impl Kernel<f32> for Functions<'_> {
        #[inline(always)]
        unsafe fn run<V: Lanes<Scalar = f32>, const ROWS: usize, const COLS: usize>(self) {
            let [exp, sig, hyp] = self.out;
            for i in (0..self.x.len()).step_by(V::COUNT) {
                // SAFETY: the slices hold whole registers.
                unsafe {
                    let x = V::load(self.x[i..].as_ptr());
                    x.exp().store(exp[i..].as_mut_ptr());
                    sigmoid(x).store(sig[i..].as_mut_ptr());
                    tanh(x).store(hyp[i..].as_mut_ptr());
                }
            }
        }
    }

    #[test]
    fn errors_are_as_stated_on_every_path() {
        let x: Vec<f32> = (-86_900..87_900).map(|i| i as f32 * 1e-3).collect();
        let x = &x[..x.len() / 16 * 16];
        for isa in Isa::available() {
            let mut out = [
                vec![0f32; x.len()],
                vec![0f32; x.len()],
                vec![0f32; x.len()],
            ];
            let [exp, sig, hyp] = &mut out;
            isa.run(Functions {
                x,
                out: [exp, sig, hyp],
            });
            for (i, &x) in x.iter().enumerate() {
                let x = f64::from(x);
                let [exp, sig, hyp] = [0, 1, 2].map(|f| f64::from(out[f][i]));
                let ulp = 2f64.powi(-23);
                assert!((exp / x.exp() - 1.0).abs() < 2.0 * ulp, "{isa:?} exp {x}");
                assert!((sig - 1.0 / (1.0 + (-x).exp())).abs() < 2e-7, "{isa:?} {x}");
                assert!((hyp - x.tanh()).abs() < 2e-7, "{isa:?} tanh {x}");
            }
        }
    }

    #[test]
    fn the_ends_saturate_and_nan_passes() {
        let mut x = [0f32; 16];
        x[..5].copy_from_slice(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30, -1e30]);
        for isa in Isa::available() {
            let mut out = [[1f32; 16], [2.0; 16], [3.0; 16]];
            let [exp, sig, hyp] = &mut out;
            isa.run(Functions {
                x: &x,
                out: [exp, sig, hyp],
            });
            assert!(out.iter().all(|values| values[0].is_nan()), "{isa:?}");
            assert_eq!([out[1][1], out[1][3]], [1.0, 1.0]);
            assert!(out[1][2] < 1e-37 && out[1][4] < 1e-37);
            assert_eq!(out[2][1..5], [1.0, -1.0, 1.0, -1.0]);
        }
    }
}
