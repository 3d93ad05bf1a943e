//! Holding out a part of the examples, class by class.

use gmnm_core::rng::Philox;

/// Divides the examples with these labels into (kept, held out), both ascending. Of each class about
/// `fraction` (0 to 1) is held out: at least one where the class has two or more and `fraction` is not 0,
/// and never all of it. The choice depends on the seed and the labels alone.
pub fn hold_out(labels: &[u32], fraction: f64, seed: u64) -> (Vec<usize>, Vec<usize>) {
    let classes = labels.iter().max().map_or(0, |&label| label as usize + 1);
    let mut members = vec![Vec::new(); classes];
    for (i, &label) in labels.iter().enumerate() {
        members[label as usize].push(i);
    }
    let (mut kept, mut held) = (Vec::new(), Vec::new());
    for (class, mut members) in members.into_iter().enumerate() {
        let most = members.len().saturating_sub(1);
        let share = (fraction.clamp(0.0, 1.0) * members.len() as f64).round() as usize;
        let share = if fraction > 0.0 { share.max(1) } else { 0 };
        Philox::named(seed, &format!("held-out part of class {class}")).shuffle(&mut members);
        let (out, stay) = members.split_at(share.min(most));
        held.extend_from_slice(out);
        kept.extend_from_slice(stay);
    }
    kept.sort_unstable();
    held.sort_unstable();
    (kept, held)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_gives_its_share() {
        let labels: Vec<u32> = (0..1000).map(|i| u32::from(i % 10 == 0)).collect();
        let (kept, held) = hold_out(&labels, 0.2, 3);
        let rare = held.iter().filter(|&&i| labels[i] == 1).count();
        assert_eq!((held.len(), rare), (200, 20));
        let mut all = [kept.clone(), held.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..1000).collect::<Vec<_>>());
        assert_eq!(hold_out(&labels, 0.2, 3), (kept, held.clone()));
        assert_ne!(hold_out(&labels, 0.2, 4).1, held);
    }

    #[test]
    fn small_classes_are_never_emptied() {
        assert_eq!(hold_out(&[0, 1, 1], 0.1, 0).1.len(), 1);
        assert_eq!(hold_out(&[0, 1, 1], 1.0, 0).0.len(), 2);
        assert_eq!(hold_out(&[0, 1, 1], 0.0, 0).1.len(), 0);
        assert_eq!(hold_out(&[], 0.5, 0), (vec![], vec![]));
    }
}
