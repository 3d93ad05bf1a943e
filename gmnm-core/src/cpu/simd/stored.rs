//! How elements lie in memory: as the kernels compute them, or rounded to bf16.

use half::bf16;

use super::isa::{Isa, Kernel};
use super::lanes::{Lanes, MAX_COUNT, Real};

/// An element in memory, which kernels compute with as [`Stored::Real`].
pub(crate) trait Stored: Copy + Default + Send + Sync + 'static {
    /// What it is widened to.
    type Real: Real;

    /// `values` as the kernels compute them, where that is how they lie.
    fn reals(values: &[Self]) -> Option<&[Self::Real]>;
    /// This element, widened.
    fn widen(self) -> Self::Real;
    /// The nearest element.
    fn narrow(value: Self::Real) -> Self;
    /// The register of elements from `from` on.
    ///
    /// # Safety
    /// The processor has V's features, and the elements are readable.
    unsafe fn load<V: Lanes<Scalar = Self::Real>>(from: *const Self) -> V;
    /// Writes a register of elements from `to` on.
    ///
    /// # Safety
    /// The elements are writable.
    unsafe fn store<V: Lanes<Scalar = Self::Real>>(value: V, to: *mut Self);
    /// Runs a kernel that reads or writes such elements.
    fn run(isa: Isa, kernel: impl Kernel<Self::Real>);

    /// The first `count` elements from `from` on, `rest` in the other lanes.
    ///
    /// # Safety
    /// The processor has V's features, and `count` elements are readable.
    #[inline(always)]
    unsafe fn load_some<V: Lanes<Scalar = Self::Real>>(
        from: *const Self,
        count: usize,
        rest: V,
    ) -> V {
        // SAFETY: a whole register where it is full, else as many elements as the caller guarantees.
        unsafe {
            if count >= V::COUNT {
                return Self::load(from);
            }
            let mut buffer = [Self::Real::default(); MAX_COUNT];
            rest.store(buffer.as_mut_ptr());
            for (i, value) in buffer[..count].iter_mut().enumerate() {
                *value = (*from.add(i)).widen();
            }
            V::load(buffer.as_ptr())
        }
    }

    /// Writes the first `count` lanes from `to` on.
    ///
    /// # Safety
    /// `count` elements are writable.
    #[inline(always)]
    unsafe fn store_some<V: Lanes<Scalar = Self::Real>>(value: V, to: *mut Self, count: usize) {
        // SAFETY: a whole register where it is full, else as many elements as the caller guarantees.
        unsafe {
            if count >= V::COUNT {
                return Self::store(value, to);
            }
            let mut buffer = [Self::Real::default(); MAX_COUNT];
            value.store(buffer.as_mut_ptr());
            for (i, &value) in buffer[..count].iter().enumerate() {
                to.add(i).write(Self::narrow(value));
            }
        }
    }
}

macro_rules! as_computed {
    ($real:ty) => {
        impl Stored for $real {
            type Real = Self;

            fn reals(values: &[Self]) -> Option<&[Self]> {
                Some(values)
            }
            #[inline(always)]
            fn widen(self) -> Self {
                self
            }
            #[inline(always)]
            fn narrow(value: Self) -> Self {
                value
            }
            #[inline(always)]
            unsafe fn load<V: Lanes<Scalar = Self>>(from: *const Self) -> V {
                // SAFETY: as the caller guarantees.
                unsafe { V::load(from) }
            }
            #[inline(always)]
            unsafe fn store<V: Lanes<Scalar = Self>>(value: V, to: *mut Self) {
                // SAFETY: as the caller guarantees.
                unsafe { value.store(to) }
            }
            fn run(isa: Isa, kernel: impl Kernel<Self>) {
                isa.run(kernel);
            }
        }
    };
}

as_computed!(f32);
as_computed!(f64);

impl Stored for bf16 {
    type Real = f32;

    fn reals(_: &[Self]) -> Option<&[f32]> {
        None
    }
    #[inline(always)]
    fn widen(self) -> f32 {
        self.to_f32()
    }
    #[inline(always)]
    fn narrow(value: f32) -> Self {
        Self::from_f32(value)
    }
    #[inline(always)]
    unsafe fn load<V: Lanes<Scalar = f32>>(from: *const Self) -> V {
        // SAFETY: as the caller guarantees.
        unsafe { V::load_bf16(from) }
    }
    #[inline(always)]
    unsafe fn store<V: Lanes<Scalar = f32>>(value: V, to: *mut Self) {
        // SAFETY: as the caller guarantees.
        unsafe { value.store_bf16(to) }
    }
    fn run(isa: Isa, kernel: impl Kernel<f32>) {
        isa.run_bf16(kernel);
    }
}

/// Writes the first `width` elements of Q registers.
///
/// # Safety
/// `width` elements from `to` on are writable.
// The compiler unrolls loops over an index into registers.
#[allow(clippy::needless_range_loop)]
#[inline(always)]
pub(crate) unsafe fn store_partial<T: Stored, V: Lanes<Scalar = T::Real>, const Q: usize>(
    registers: &[V; Q],
    to: *mut T,
    width: usize,
) {
    if width == Q * V::COUNT {
        for q in 0..Q {
            // SAFETY: all registers are within `width`.
            unsafe { T::store(registers[q], to.add(q * V::COUNT)) };
        }
        return;
    }
    for q in 0..Q {
        let at = q * V::COUNT;
        if at < width {
            // SAFETY: of each register, the elements within `width` are written.
            unsafe { T::store_some(registers[q], to.add(at), width - at) };
        }
    }
}
