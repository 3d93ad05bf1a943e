//! Every kernel on every instruction set that this processor has, in f32 against sums in f64.

use super::batch_norm::{self, Coefficients};
use super::batch_norm_pool;
use super::conv;
use super::conv::geometry::Geometry;
use super::conv::weight::weight_gradient;
use super::conv::{winograd, winograd_weight};
use super::product::products::Products;
use super::reduce;
use super::simd::activation::Activation;
use super::simd::isa::{Isa, Kernel};
use super::simd::lanes::{Lanes, Real};
use super::simd::stored::Stored;
use super::windows::PoolGeometry;
use crate::rng::Philox;
use half::bf16;

pub(super) fn random<T: Stored>(len: usize, seed: u64) -> Vec<T> {
    let mut rng = Philox::new(seed, 0);
    (0..len)
        .map(|_| T::narrow(T::Real::from_f64(rng.normal())))
        .collect()
}

/// The largest difference, relative to the largest value (at least 1).
pub(super) fn difference<T: Stored>(found: &[T], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().fold(1f64, |m, x| m.max(x.abs()));
    let mut worst = 0f64;
    for (found, expected) in found.iter().zip(expected) {
        let error = (found.widen().to_f64() - expected).abs();
        assert!(!error.is_nan());
        worst = worst.max(error / scale);
    }
    worst
}

#[rustfmt::skip]
pub(super) fn geometry(
    (n, h, w): (usize, usize, usize), (input, out): (usize, usize), (kh, kw): (usize, usize),
    (stride, padding, dilation): (usize, usize, usize),
) -> Geometry {
    let oh = (h + 2 * padding - dilation * (kh - 1) - 1) / stride + 1;
    let ow = (w + 2 * padding - dilation * (kw - 1) - 1) / stride + 1;
    Geometry { n, h, w, input, oh, ow, out, kh, kw, stride, padding, dilation }
}

/// Calls `f(input index, output index, weight index)` for every product of a convolution.
fn products(g: &Geometry, mut f: impl FnMut(usize, usize, usize)) {
    for i in 0..g.n {
        for (oy, ox) in (0..g.oh * g.ow).map(|p| (p / g.ow, p % g.ow)) {
            for (ky, kx) in (0..g.kh * g.kw).map(|t| (t / g.kw, t % g.kw)) {
                let y = (oy * g.stride + ky * g.dilation).wrapping_sub(g.padding);
                let x = (ox * g.stride + kx * g.dilation).wrapping_sub(g.padding);
                if y >= g.h || x >= g.w {
                    continue;
                }
                for c in 0..g.input {
                    for o in 0..g.out {
                        f(
                            ((i * g.h + y) * g.w + x) * g.input + c,
                            ((i * g.oh + oy) * g.ow + ox) * g.out + o,
                            ((o * g.input + c) * g.kh + ky) * g.kw + kx,
                        );
                    }
                }
            }
        }
    }
}

/// The errors of the forward pass and of both gradients on `isa`.
pub(super) fn convolution_errors<T: Stored>(
    isa: Isa,
    products_in: Products,
    g: &Geometry,
) -> [f64; 3] {
    let x = random::<T>(g.input_len(), 1);
    let weight = random::<T::Real>(g.out * g.input * g.kh * g.kw, 2);
    let bias = random::<T::Real>(g.out, 3);
    let dy = random::<T>(g.output_len(), 4);
    let mut y = vec![0f64; g.output_len()];
    for (i, y) in y.iter_mut().enumerate() {
        *y = bias[i % g.out].to_f64();
    }
    let (mut dx, mut dw) = (vec![0f64; x.len()], vec![0f64; weight.len()]);
    products(g, |i, o, w| {
        y[o] += x[i].widen().to_f64() * weight[w].to_f64();
        dx[i] += dy[o].widen().to_f64() * weight[w].to_f64();
        dw[w] += dy[o].widen().to_f64() * x[i].widen().to_f64();
    });
    [
        difference(
            &conv::forward(isa, products_in, g, &x, &weight, Some(&bias)),
            &y,
        ),
        difference(
            &conv::input_gradient(isa, products_in, g, &dy, &weight, None),
            &dx,
        ),
        difference(&weight_gradient(isa, products_in, g, &x, &dy), &dw),
    ]
}

/// Shapes around the edges of tiles, strides, paddings and dilations.
pub(super) fn shapes() -> Vec<Geometry> {
    vec![
        geometry((1, 1, 1), (1, 1), (1, 1), (1, 0, 1)),
        geometry((3, 8, 8), (16, 16), (3, 3), (1, 1, 1)),
        geometry((1, 7, 9), (3, 64), (3, 3), (1, 1, 1)),
        geometry((2, 6, 5), (5, 33), (3, 3), (1, 1, 1)),
        geometry((2, 9, 7), (7, 10), (3, 3), (2, 1, 1)),
        geometry((1, 10, 10), (9, 17), (3, 3), (1, 2, 2)),
        geometry((2, 11, 8), (4, 24), (5, 3), (3, 2, 1)),
        geometry((5, 4, 4), (13, 70), (1, 1), (1, 0, 1)),
        geometry((2, 6, 6), (8, 3), (1, 1), (2, 0, 1)),
        geometry((1, 8, 8), (3, 20), (4, 4), (4, 0, 1)),
        geometry((1, 5, 6), (2, 9), (2, 3), (1, 3, 2)),
        geometry((2, 12, 12), (6, 8), (3, 3), (2, 0, 3)),
    ]
}

#[test]
fn convolution_agrees_with_f64_on_every_path() {
    for isa in Isa::available() {
        for g in shapes() {
            for error in convolution_errors::<f32>(isa, Products::Full, &g) {
                assert!(error < 2e-6, "{isa:?} {g:?}: {error:e}");
            }
            for error in convolution_errors::<f64>(isa, Products::Full, &g) {
                assert!(error < 1e-13, "{isa:?} {g:?}: {error:e}");
            }
        }
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    #[test]
    fn convolution_of_any_shape_agrees_with_f64(
        (n, h, w) in (1usize..4, 1usize..12, 1usize..12),
        channels in (1usize..40, 1usize..40),
        kernel in (1usize..5, 1usize..5),
        (stride, padding, dilation) in (1usize..4, 0usize..5, 1usize..4),
    ) {
        let fits = |size: usize, taps: usize| size + 2 * padding > dilation * (taps - 1);
        proptest::prop_assume!(fits(h, kernel.0) && fits(w, kernel.1));
        let g = geometry((n, h, w), channels, kernel, (stride, padding, dilation));
        for isa in Isa::available() {
            for error in convolution_errors::<f32>(isa, Products::Full, &g) {
                proptest::prop_assert!(error < 2e-6, "{:?} {:?}: {:e}", isa, g, error);
            }
            for (products, bound) in [(Products::Half, HALF), (Products::Split, SPLIT)] {
                for error in convolution_errors::<f32>(isa, products, &g) {
                    proptest::prop_assert!(error < bound, "{:?} {:?}: {:e}", isa, g, error);
                }
            }
        }
    }

    #[test]
    fn tiled_convolution_of_any_size_agrees_with_f64(
        (n, h, w) in (8usize..12, 10usize..18, 10usize..18),
        (input, out) in (2usize..4, 2usize..4),
        padding in 0usize..3,
    ) {
        let g = geometry((n, h, w), (input * 16, out * 16), (3, 3), (1, padding, 1));
        for isa in Isa::available() {
            for error in convolution_errors::<f32>(isa, Products::Full, &g) {
                proptest::prop_assert!(error < 2e-5, "{:?} {:?}: {:e}", isa, g, error);
            }
        }
    }
}

#[test]
fn winograd_agrees_with_f64_on_every_path() {
    for isa in Isa::available() {
        for g in [
            geometry((16, 8, 8), (32, 32), (3, 3), (1, 1, 1)),
            geometry((17, 7, 8), (32, 64), (3, 3), (1, 0, 1)),
            geometry((2, 22, 26), (96, 32), (3, 3), (1, 2, 1)),
            geometry((1, 33, 34), (48, 80), (3, 3), (1, 1, 1)),
        ] {
            let errors = convolution_errors::<f32>(isa, Products::Full, &g);
            assert!(
                errors.iter().all(|&e| e < 1e-5),
                "{isa:?} {g:?}: {errors:?}"
            );
            // In f64 the tiles must be exact; they are not chosen there on their own.
            let (x, weight, dy) = (
                random::<f64>(g.input_len(), 1),
                random::<f64>(g.out * g.input * 9, 2),
                random::<f64>(g.output_len(), 4),
            );
            let pairs = [
                (
                    winograd::forward(isa, Products::Full, &g, &x, &weight, None),
                    conv::forward(isa, Products::Full, &g, &x, &weight, None),
                ),
                (
                    winograd::input_gradient(isa, Products::Full, &g, &dy, &weight, None),
                    conv::input_gradient(isa, Products::Full, &g, &dy, &weight, None),
                ),
                (
                    winograd_weight::weight_gradient(isa, Products::Full, &g, &x, &dy),
                    weight_gradient(isa, Products::Full, &g, &x, &dy),
                ),
            ];
            for (tiled, direct) in pairs {
                assert!(difference(&tiled, &direct) < 1e-13);
            }
        }
    }
}

/// Bounds of the error relative to the largest value, some three times what was seen.
const HALF: f64 = 3e-2;
const SPLIT: f64 = 1e-4;
const ROUNDED: f64 = 4e-3;

#[test]
fn convolution_in_bf16_agrees_with_f64_on_every_path() {
    let tiled = [
        geometry((16, 8, 8), (32, 32), (3, 3), (1, 1, 1)),
        geometry((17, 8, 7), (32, 64), (3, 3), (1, 1, 1)),
        geometry((2, 22, 26), (96, 32), (3, 3), (1, 2, 1)),
        geometry((1, 33, 34), (48, 80), (3, 3), (1, 1, 1)),
    ];
    let check = |errors: [f64; 3], bound: f64, what: &dyn std::fmt::Debug| {
        assert!(errors.iter().all(|&e| e < bound), "{what:?}: {errors:?}");
    };
    for isa in Isa::available() {
        for g in &tiled {
            assert!(winograd::applies::<f32>(isa, g));
        }
        for g in shapes().iter().chain(&tiled) {
            let what = (isa, g);
            check(
                convolution_errors::<f32>(isa, Products::Half, g),
                HALF,
                &what,
            );
            check(
                convolution_errors::<f32>(isa, Products::Split, g),
                SPLIT,
                &what,
            );
            check(
                convolution_errors::<bf16>(isa, Products::Half, g),
                HALF,
                &what,
            );
        }
        for g in shapes().iter().chain(&tiled) {
            let errors = convolution_errors::<bf16>(isa, Products::Full, g);
            check(errors, ROUNDED, &(isa, g));
        }
    }
}

#[test]
fn every_path_rounds_to_the_nearest_bf16() {
    struct Round<'a>(&'a [f32], &'a mut [bf16], &'a mut [f32]);
    impl Kernel<f32> for Round<'_> {
        unsafe fn run<V: Lanes<Scalar = f32>, const ROWS: usize, const COLS: usize>(self) {
            for i in (0..self.0.len()).step_by(V::COUNT) {
                // SAFETY: the caller checked the features; all slices hold a multiple of the registers.
                unsafe {
                    let x = V::load(self.0.as_ptr().add(i));
                    x.store_bf16(self.1.as_mut_ptr().add(i));
                    x.round_bf16().store(self.2.as_mut_ptr().add(i));
                }
            }
        }
    }
    let mut x: Vec<f32> = random(1 << 10, 5);
    // Ties both ways, the largest number, infinities, a NaN with no bit in its upper half, zeros.
    let special = [
        0x3f80_8000,
        0x3f81_8000,
        0x7f7f_ffff,
        0x7f80_0000,
        0xff80_0000,
        0x7f80_0001,
        0,
        0x8000_0000,
    ];
    for (x, bits) in x.iter_mut().zip(special) {
        *x = f32::from_bits(bits);
    }
    let expected: Vec<bf16> = x.iter().map(|&x| bf16::from_f32(x)).collect();
    for isa in Isa::available() {
        let mut halves = vec![bf16::ZERO; x.len()];
        let mut rounded = vec![0f32; x.len()];
        isa.run_bf16(Round(&x, &mut halves, &mut rounded));
        for ((half, rounded), expected) in halves.iter().zip(&rounded).zip(&expected) {
            let same =
                |x: bf16| x.to_bits() == expected.to_bits() || (x.is_nan() && expected.is_nan());
            assert!(
                same(*half) && same(bf16::from_f32(*rounded)),
                "{isa:?} {expected}"
            );
        }
    }
}

#[test]
fn convolution_does_not_depend_on_the_number_of_threads() {
    for g in [
        geometry((5, 9, 11), (6, 20), (3, 3), (1, 1, 1)),
        geometry((5, 16, 16), (32, 32), (3, 3), (1, 1, 1)),
    ] {
        check_threads(&g);
    }
}

fn check_threads(g: &Geometry) {
    let x = random::<f32>(g.input_len(), 1);
    let weight = random::<f32>(g.out * g.input * 9, 2);
    let dy = random::<f32>(g.output_len(), 3);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let isa = Isa::best();
            let y = conv::forward(isa, Products::Full, g, &x, &weight, None);
            let dx = conv::input_gradient(isa, Products::Full, g, &dy, &weight, None);
            [y, dx, weight_gradient(isa, Products::Full, g, &x, &dy)]
        })
    };
    let one = run(1);
    // Fewer and more threads than images: the same bits.
    for threads in [2, 3, 16] {
        assert_eq!(one, run(threads));
    }
}

const ACTIVATIONS: [Activation; 4] = [
    Activation::Identity,
    Activation::Relu,
    Activation::Gelu,
    Activation::Silu,
];

fn coefficients(channels: usize) -> Coefficients {
    let positive = |seed| {
        random::<f64>(channels, seed)
            .iter()
            .map(|x| x.abs() + 0.5)
            .collect()
    };
    Coefficients {
        mean: random(channels, 11),
        inv_std: positive(12),
        scale: positive(13),
        shift: random(channels, 14),
    }
}

fn to_f64(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| f64::from(x)).collect()
}

#[test]
fn batch_norm_in_f32_agrees_with_f64_on_every_path() {
    for isa in Isa::available() {
        for (rows, channels) in [
            (1, 1),
            (7, 3),
            (33, 8),
            (300, 10),
            (129, 64),
            (2, 17),
            (50, 31),
        ] {
            let x = random::<f32>(rows * channels, 1);
            let dy = random::<f32>(rows * channels, 2);
            let (x64, dy64) = (to_f64(&x), to_f64(&dy));
            let (mean, var) = batch_norm::moments(isa, &x, channels);
            let (mean64, var64) = batch_norm::moments(Isa::Portable, &x64, channels);
            assert!(difference(&mean, &mean64) < 1e-6 && difference(&var, &var64) < 1e-6);
            let c = coefficients(channels);
            for activation in ACTIVATIONS {
                let y = batch_norm::forward(isa, &x, &c, activation);
                let y64 = batch_norm::forward(Isa::Portable, &x64, &c, activation);
                assert!(difference(&y, &y64) < 1e-6, "{isa:?} {activation:?}");
                let g = batch_norm::backward(isa, &x, &dy, &c, activation, true, true);
                let g64 =
                    batch_norm::backward(Isa::Portable, &x64, &dy64, &c, activation, true, true);
                assert!(
                    difference(&g.input, &g64.input) < 2e-6,
                    "{isa:?} {activation:?}"
                );
                assert!(difference(&g.scale, &g64.scale) < 2e-6);
                assert!(difference(&g.shift, &g64.shift) < 2e-6);
            }
        }
    }
}

#[test]
fn pooled_batch_norm_in_f32_agrees_with_f64_on_every_path() {
    for isa in Isa::available() {
        for (n, h, w, c, kernel) in [
            (1, 2, 2, 1, 2),
            (2, 5, 7, 9, 2),
            (1, 9, 6, 16, 3),
            (3, 4, 4, 33, 2),
        ] {
            #[rustfmt::skip]
            let g = PoolGeometry { n, h, w, c, oh: h / kernel, ow: w / kernel, kernel, stride: kernel };
            let x = random::<f32>(n * h * w * c, 1);
            let dy = random::<f32>(n * g.oh * g.ow * c, 2);
            let (x64, dy64) = (to_f64(&x), to_f64(&dy));
            let coefficients = coefficients(c);
            for activation in ACTIVATIONS {
                let (y, places) = batch_norm_pool::forward(isa, &g, &x, &coefficients, activation);
                let (y64, _) =
                    batch_norm_pool::forward(Isa::Portable, &g, &x64, &coefficients, activation);
                assert!(difference(&y, &y64) < 1e-6);
                let unpooled = batch_norm::forward(isa, &x, &coefficients, activation);
                for (i, (&y, &place)) in y.iter().zip(&places).enumerate() {
                    let (c, column) = (i % g.c, i / g.c % g.ow * kernel);
                    let row = i / g.c / g.ow / g.oh * h + i / g.c / g.ow % g.oh * kernel;
                    let (ky, kx) = (usize::from(place) / kernel, usize::from(place) % kernel);
                    assert_eq!(y, unpooled[((row + ky) * w + column + kx) * g.c + c]);
                }
                let backward = batch_norm_pool::Backward {
                    x: &x,
                    dy: &dy,
                    places: &places,
                    coefficients: &coefficients,
                    activation,
                    batch_statistics: true,
                    input_wanted: true,
                };
                let g32 = batch_norm_pool::backward(isa, &g, &backward);
                let backward = batch_norm_pool::Backward {
                    x: &x64,
                    dy: &dy64,
                    places: &places,
                    coefficients: &coefficients,
                    activation,
                    batch_statistics: true,
                    input_wanted: true,
                };
                let g64 = batch_norm_pool::backward(Isa::Portable, &g, &backward);
                assert!(difference(&g32.input, &g64.input) < 2e-6);
                assert!(difference(&g32.scale, &g64.scale) < 2e-6);
                assert!(difference(&g32.shift, &g64.shift) < 2e-6);
            }
        }
    }
}

#[test]
fn sums_in_f32_agree_with_f64_on_every_path() {
    for isa in Isa::available() {
        for (rows, channels) in [(1, 1), (1000, 3), (700, 10), (64, 64)] {
            let x = random::<f32>(rows * channels, 1);
            let sums = reduce::column_sums(isa, &to_f64(&x), channels);
            assert!(difference(&reduce::column_sums(isa, &x, channels), &sums) < 1e-6);
            let means = reduce::image_means(isa, &to_f64(&x), rows, channels);
            assert!(difference(&reduce::image_means(isa, &x, rows, channels), &means) < 1e-6);
        }
    }
}
