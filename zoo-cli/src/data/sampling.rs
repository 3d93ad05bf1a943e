//! Which images an epoch shows, and in which order.

use std::collections::BTreeMap;

use gmnm_core::rng::Philox;
use serde::{Deserialize, Serialize};

/// How often each class is shown in an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sampling {
    /// Every image once.
    #[default]
    Shuffled,
    /// Every class as often as the others: images of rare classes come again, some of frequent ones wait for another
    /// epoch. An epoch is as long as without.
    Balanced,
}

/// As many draws as there are `indices`, in their order and as many of each class. A draw is the index of an image, plus
/// `count`, the number of all images, for each time that the image came before in the epoch: what is drawn for an image
/// differs each time.
pub(super) fn balanced(
    indices: &[usize],
    labels: &[u32],
    count: usize,
    random: &mut Philox,
) -> Vec<usize> {
    let mut classes: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for &index in indices {
        classes.entry(labels[index]).or_default().push(index);
    }
    let mut classes: Vec<Vec<usize>> = classes.into_values().collect();
    // Those that get one more where the classes do not divide the epoch.
    random.shuffle(&mut classes);
    let (each, more) = match classes.len() {
        0 => (0, 0),
        number => (indices.len() / number, indices.len() % number),
    };
    let mut draws = Vec::with_capacity(indices.len());
    for (i, mut members) in classes.into_iter().enumerate() {
        let quota = each + usize::from(i < more);
        for round in 0..quota.div_ceil(members.len()) {
            random.shuffle(&mut members);
            let left = quota - round * members.len();
            let some = members.iter().take(left);
            draws.extend(some.map(|index| index + round * count));
        }
    }
    random.shuffle(&mut draws);
    draws
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_comes_as_often_and_every_image_about_as_often_as_its_likes() {
        // 20 of class 0, 4 of class 1, 1 of class 7, at indices of every second image.
        let labels: Vec<u32> = (0..50)
            .map(|i| match i / 2 {
                0..20 => 0,
                20..24 => 1,
                _ => 7,
            })
            .collect();
        let indices: Vec<usize> = (0..50).step_by(2).collect();
        let draw = |epoch: u64| balanced(&indices, &labels, 50, &mut Philox::new(3, epoch));
        let draws = draw(0);
        assert_eq!(draws, draw(0));
        assert_ne!(draws, draw(1));
        assert_eq!(draws.len(), 25);
        let mut all = draws.clone();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 25, "no draw comes twice");
        let of = |label: u32| draws.iter().filter(|d| labels[**d % 50] == label).count();
        let mut shares = [of(0), of(1), of(7)];
        shares.sort_unstable();
        assert_eq!(shares, [8, 8, 9]);
        for index in (40..48).step_by(2) {
            let times = draws.iter().filter(|draw| **draw % 50 == index).count();
            assert!((2..=3).contains(&times), "{times}");
        }
        assert_eq!(
            balanced(&[], &labels, 50, &mut Philox::new(0, 0)),
            [0usize; 0]
        );
    }
}
