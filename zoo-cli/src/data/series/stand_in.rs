//! Values that stand for missing ones without being called so.

/// So often comes a value at least that is told by its distance.
const OFTEN: usize = 3;

/// So many others there are at least: few of them are codes and no measurements.
const VARIED: usize = 5;

/// A value at one end of the others and far from them that may stand for a missing one, and how often it comes: one of
/// nines, or one that comes more than once.
pub(super) fn stand_in(values: impl Iterator<Item = f64>) -> Option<(f64, usize)> {
    let mut sorted: Vec<f64> = values.filter(|value| !value.is_nan()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let (&least, &most) = (sorted.first()?, sorted.last()?);
    let low = sorted.partition_point(|&value| value <= least);
    let high = sorted.partition_point(|&value| value < most);
    let ends = [
        (least, low, &sorted[low..], sorted.get(low)?),
        (
            most,
            sorted.len() - high,
            &sorted[..high],
            sorted[..high].last()?,
        ),
    ];
    let found = ends.into_iter().find(|&(end, times, others, nearest)| {
        let is_nines = is_nines(end) && others.iter().all(|other| 2.0 * other.abs() < end.abs());
        is_nines || times >= OFTEN && end != 0.0 && is_apart(end, times, others, *nearest)
    });
    found.map(|(end, times, ..)| (end, times))
}

/// Whether a value consists of nines and is no share of a hundred.
fn is_nines(value: f64) -> bool {
    let digits = value.abs().to_string().replace('.', "");
    !(-99.0..=100.0).contains(&value) && digits.bytes().all(|byte| byte == b'9') || value == -99.0
}

/// Whether a value lies farther from the sorted `others` than these lie from each other, or, where it comes more often
/// than each of them, farther than half the way from the nearest to the middle one.
fn is_apart(end: f64, times: usize, others: &[f64], nearest: f64) -> bool {
    let runs: Vec<usize> = others.chunk_by(|a, b| a == b).map(<[f64]>::len).collect();
    let distance = (end - nearest).abs();
    let span = others[others.len() - 1] - others[0];
    let middle = others[others.len() / 2];
    runs.len() >= VARIED && distance >= span
        || runs.len() >= 2 * VARIED
            && runs.iter().all(|run| *run < times)
            && 2.0 * distance >= (middle - nearest).abs()
}
