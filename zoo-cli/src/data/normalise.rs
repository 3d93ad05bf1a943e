//! From bytes to the numbers that a network takes.

/// Turns bytes into a network's input: `(byte / 255 − mean) / std`, per channel, from a table.
#[derive(Debug, Clone)]
pub struct Normaliser {
    table: Vec<[f32; 256]>,
}

impl Normaliser {
    /// One mean and one standard deviation a channel.
    pub fn new(mean: &[f32], std: &[f32]) -> Self {
        let entry = |byte: usize, mean: f32, std: f32| (byte as f32 / 255.0 - mean) / std;
        Self {
            table: mean
                .iter()
                .zip(std)
                .map(|(&mean, &std)| std::array::from_fn(|byte| entry(byte, mean, std)))
                .collect(),
        }
    }

    /// How many channels there are.
    pub fn channels(&self) -> usize {
        self.table.len()
    }

    /// Writes the normalised pixels, `[.., channels]`, to `output`, which has the same length.
    pub fn apply(&self, pixels: &[u8], output: &mut [f32]) {
        let channels = self.table.len().max(1);
        for (from, to) in pixels
            .chunks_exact(channels)
            .zip(output.chunks_exact_mut(channels))
        {
            for ((table, &byte), value) in self.table.iter().zip(from).zip(to) {
                *value = table[usize::from(byte)];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_channel_has_its_own_scale() {
        let normaliser = Normaliser::new(&[0.5, 0.0], &[0.25, 2.0]);
        assert_eq!(normaliser.channels(), 2);
        let mut output = [f32::NAN; 4];
        normaliser.apply(&[0, 255, 51, 0], &mut output);
        assert_eq!(output, [-2.0, 0.5, (0.2 - 0.5) / 0.25, 0.0]);
    }
}
