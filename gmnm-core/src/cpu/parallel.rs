//! Loops whose parts threads share, in rayon's words.
//!
//! Rayon compiles its machinery anew for every closure that it is given: once for each kernel, element type and
//! function, half of this crate's code. Here every loop hands rayon one and the same closure, a task by its number, and
//! tells the parts of its slices itself. A part is large enough that the call through a pointer costs nothing.

use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Range;

use super::output::filled_by;

/// Calls `task` with each number below `count`, on all threads.
pub(super) fn for_each_number(count: usize, task: &(dyn Fn(usize) + Sync)) {
    // Not imported: the traits below have methods of the same names.
    use rayon::iter::{IntoParallelIterator, ParallelIterator};
    IntoParallelIterator::into_par_iter(0..count).for_each(task);
}

/// Parts that are told by their number.
pub(super) trait Parts: Sync + Sized {
    /// One of them.
    type Part;

    /// How many.
    fn count(&self) -> usize;

    /// The part of number `index`.
    ///
    /// # Safety
    /// `index` is below the count, and each is asked for at most once.
    unsafe fn part(&self, index: usize) -> Self::Part;

    /// Pairs with the parts of `other`, as many as the fewer of both.
    fn zip<B: Parts>(self, other: B) -> Zip<Self, B> {
        Zip(self, other)
    }

    /// Each part behind its number.
    fn enumerate(self) -> Zip<Numbers, Self> {
        Zip(Numbers(0..self.count()), self)
    }

    /// What `f` makes of each part.
    fn map<R, F: Fn(Self::Part) -> R + Sync>(self, f: F) -> Map<Self, F> {
        Map(self, f)
    }

    /// Calls `task` with each part, on all threads.
    fn for_each(self, task: impl Fn(Self::Part) + Sync) {
        for_each_number(self.count(), &|index| {
            // SAFETY: each number comes once.
            task(unsafe { self.part(index) });
        });
    }

    /// All parts in order, made on all threads.
    fn collect(self) -> Vec<Self::Part>
    where
        Self::Part: Send,
    {
        // SAFETY: each number comes once, and its part is written.
        unsafe {
            filled_by(self.count(), 1, |index, at: *mut Self::Part, _| {
                at.write(self.part(index))
            })
        }
    }
}

/// Parts of slices.
pub(super) trait ParallelSlice<T> {
    /// Parts of `size` elements; the last may be shorter.
    ///
    /// # Panics
    /// When `size` is 0.
    fn par_chunks(&self, size: usize) -> Chunks<'_, T>;

    /// [`Self::par_chunks`] to write to.
    ///
    /// # Panics
    /// When `size` is 0.
    fn par_chunks_mut(&mut self, size: usize) -> ChunksMut<'_, T>;
}

impl<T> ParallelSlice<T> for [T] {
    fn par_chunks(&self, size: usize) -> Chunks<'_, T> {
        assert!(size > 0);
        Chunks { all: self, size }
    }

    fn par_chunks_mut(&mut self, size: usize) -> ChunksMut<'_, T> {
        assert!(size > 0);
        ChunksMut {
            start: self.as_mut_ptr(),
            len: self.len(),
            size,
            all: PhantomData,
        }
    }
}

/// What has parts to give away.
pub(super) trait IntoParts {
    /// The parts.
    type Parts: Parts;

    /// Gives them.
    fn into_par_iter(self) -> Self::Parts;
}

impl IntoParts for Range<usize> {
    type Parts = Numbers;

    fn into_par_iter(self) -> Numbers {
        Numbers(self)
    }
}

impl<T: Send> IntoParts for Vec<T> {
    type Parts = Owned<T>;

    fn into_par_iter(self) -> Owned<T> {
        Owned(self.into_iter().map(ManuallyDrop::new).collect())
    }
}

/// Numbers.
pub(super) struct Numbers(Range<usize>);

impl Parts for Numbers {
    type Part = usize;

    fn count(&self) -> usize {
        self.0.len()
    }

    unsafe fn part(&self, index: usize) -> usize {
        self.0.start + index
    }
}

/// Parts of a slice.
pub(super) struct Chunks<'a, T> {
    all: &'a [T],
    size: usize,
}

impl<'a, T: Sync> Parts for Chunks<'a, T> {
    type Part = &'a [T];

    fn count(&self) -> usize {
        self.all.len().div_ceil(self.size)
    }

    unsafe fn part(&self, index: usize) -> &'a [T] {
        let start = index * self.size;
        &self.all[start..self.all.len().min(start + self.size)]
    }
}

/// Parts of a slice to write to.
pub(super) struct ChunksMut<'a, T> {
    start: *mut T,
    len: usize,
    size: usize,
    all: PhantomData<&'a mut [T]>,
}

// SAFETY: each part goes to one thread.
unsafe impl<T: Send> Sync for ChunksMut<'_, T> {}

impl<'a, T: Send> Parts for ChunksMut<'a, T> {
    type Part = &'a mut [T];

    fn count(&self) -> usize {
        self.len.div_ceil(self.size)
    }

    unsafe fn part(&self, index: usize) -> &'a mut [T] {
        let start = index * self.size;
        let len = self.size.min(self.len - start);
        // SAFETY: the parts lie inside the slice and apart, and each is asked for once.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(start), len) }
    }
}

/// The elements of a vector; those that nobody asks for are not dropped.
pub(super) struct Owned<T>(Vec<ManuallyDrop<T>>);

// SAFETY: each element goes to one thread.
unsafe impl<T: Send> Sync for Owned<T> {}

impl<T: Send> Parts for Owned<T> {
    type Part = T;

    fn count(&self) -> usize {
        self.0.len()
    }

    unsafe fn part(&self, index: usize) -> T {
        // SAFETY: each element is asked for once.
        ManuallyDrop::into_inner(unsafe { std::ptr::read(&raw const self.0[index]) })
    }
}

/// Pairs of parts.
pub(super) struct Zip<A, B>(A, B);

impl<A: Parts, B: Parts> Parts for Zip<A, B> {
    type Part = (A::Part, B::Part);

    fn count(&self) -> usize {
        self.0.count().min(self.1.count())
    }

    unsafe fn part(&self, index: usize) -> Self::Part {
        // SAFETY: as the caller guarantees.
        unsafe { (self.0.part(index), self.1.part(index)) }
    }
}

/// What a function makes of parts.
pub(super) struct Map<P, F>(P, F);

impl<P: Parts, R, F: Fn(P::Part) -> R + Sync> Parts for Map<P, F> {
    type Part = R;

    fn count(&self) -> usize {
        self.0.count()
    }

    unsafe fn part(&self, index: usize) -> R {
        // SAFETY: as the caller guarantees.
        (self.1)(unsafe { self.0.part(index) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_those_of_the_standard_library() {
        for (len, size) in [(0, 3), (1, 3), (9, 3), (10, 3), (1000, 7)] {
            let x: Vec<usize> = (0..len).collect();
            let mut y = vec![0; len];
            y.par_chunks_mut(size)
                .zip(x.par_chunks(size))
                .enumerate()
                .for_each(|(i, (y, x))| {
                    assert_eq!(x, &(i * size..len.min(i * size + size)).collect::<Vec<_>>());
                    y.copy_from_slice(x);
                });
            assert_eq!(x, y);
            let sum = |x: &[usize]| x.iter().sum::<usize>();
            let expected: Vec<usize> = x.chunks(size).map(sum).collect();
            assert_eq!(x.par_chunks(size).map(sum).collect(), expected);
        }
    }

    #[test]
    fn the_shorter_of_two_says_how_many_there_are() {
        let pairs = (3..9).into_par_iter().zip((0..4).into_par_iter());
        assert_eq!(pairs.collect(), [(3, 0), (4, 1), (5, 2), (6, 3)]);
    }

    #[test]
    fn owned_parts_are_given_away_once() {
        let texts: Vec<String> = (0..100).map(|i| i.to_string()).collect();
        assert_eq!(
            texts.clone().into_par_iter().map(|text| text).collect(),
            texts
        );
    }
}
