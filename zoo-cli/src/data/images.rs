//! Images in memory, and where they came from.

use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::{
    DataError, channels, classes,
    inventory::{Inventory, shown},
    sketch::Sketch,
};

/// Height, width and channels of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageShape {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// 1 (grey) or 3 (red, green, blue).
    pub channels: usize,
}

impl ImageShape {
    /// The shape of `height` rows, `width` columns and `channels` channels.
    pub fn new(height: usize, width: usize, channels: usize) -> Self {
        Self {
            height,
            width,
            channels,
        }
    }

    /// Bytes of one image.
    pub fn len(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// Whether an image of this shape holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Labelled images of one size, `[count, height, width, channels]` bytes in 0..=255, one label each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// All pixels, image after image, channels last.
    pub pixels: Vec<u8>,
    /// The class of each image, an index into [`ImageDataset::label_names`].
    pub labels: Vec<u32>,
    /// Rows of every image.
    pub height: usize,
    /// Columns of every image.
    pub width: usize,
    /// Channels of every image: 1 (grey) or 3 (red, green, blue).
    pub channels: usize,
}

impl Images {
    /// No images yet, of this shape.
    pub fn empty(shape: ImageShape) -> Self {
        Self {
            pixels: Vec::new(),
            labels: Vec::new(),
            height: shape.height,
            width: shape.width,
            channels: shape.channels,
        }
    }

    /// How many images there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The shape of each image.
    pub fn shape(&self) -> ImageShape {
        ImageShape::new(self.height, self.width, self.channels)
    }

    /// The same images as grey (1) or RGB (3).
    pub(crate) fn with_channels(self, channels: usize) -> Self {
        Self {
            pixels: channels::convert(self.pixels, self.channels, channels),
            channels,
            ..self
        }
    }

    /// The pixels of image `i`, `[height, width, channels]`.
    ///
    /// # Panics
    /// When `i` is not below [`Images::len`].
    pub fn image(&self, i: usize) -> &[u8] {
        let size = self.shape().len();
        &self.pixels[i * size..(i + 1) * size]
    }

    /// Appends one image.
    ///
    /// # Panics
    /// When the pixels are not of this collection's shape.
    pub fn push(&mut self, pixels: &[u8], label: u32) {
        assert_eq!(
            pixels.len(),
            self.shape().len(),
            "an image of another shape"
        );
        self.pixels.extend_from_slice(pixels);
        self.labels.push(label);
    }

    /// Appends images of the same shape.
    pub(crate) fn append(&mut self, mut more: Self) {
        if self.is_empty() {
            *self = more;
            return;
        }
        self.pixels.append(&mut more.pixels);
        self.labels.append(&mut more.labels);
    }

    /// A copy of the images at these indices, in this order: a validation split, a few-shot subset.
    ///
    /// # Panics
    /// When an index is not below [`Images::len`].
    pub fn select(&self, indices: &[usize]) -> Self {
        let mut chosen = Self::empty(self.shape());
        chosen
            .pixels
            .reserve_exact(indices.len() * self.shape().len());
        for &i in indices {
            chosen.push(self.image(i), self.labels[i]);
        }
        chosen
    }

    /// Drops all images but those at these ascending indices, without a copy of the rest.
    ///
    /// # Panics
    /// When an index is not below [`Images::len`].
    pub(crate) fn keep(&mut self, ascending: &[usize]) {
        let size = self.shape().len();
        for (to, &from) in ascending.iter().enumerate() {
            self.pixels
                .copy_within(from * size..(from + 1) * size, to * size);
            self.labels[to] = self.labels[from];
        }
        self.pixels.truncate(ascending.len() * size);
        self.labels.truncate(ascending.len());
    }

    /// Mean and standard deviation of each channel over all images, for pixels scaled to 0..=1.
    /// A constant channel gets the deviation 1, so that normalising by it is harmless.
    pub fn channel_statistics(&self) -> (Vec<f32>, Vec<f32>) {
        // A histogram per channel: exact, and one pass.
        let mut counts = vec![[0u64; 256]; self.channels];
        for pixel in self.pixels.chunks_exact(self.channels.max(1)) {
            for (count, &value) in counts.iter_mut().zip(pixel) {
                count[usize::from(value)] += 1;
            }
        }
        let moment = |count: &[u64; 256], power: i32| -> f64 {
            let total: u64 = count.iter().sum();
            let sum: f64 = count
                .iter()
                .enumerate()
                .map(|(value, &n)| n as f64 * (value as f64 / 255.0).powi(power))
                .sum();
            sum / total.max(1) as f64
        };
        counts
            .iter()
            .map(|count| {
                let mean = moment(count, 1);
                let deviation = (moment(count, 2) - mean * mean).max(0.0).sqrt();
                let deviation = if deviation < 1e-6 { 1.0 } else { deviation };
                (mean as f32, deviation as f32)
            })
            .unzip()
    }
}

/// A file of a dataset that was left out, because it could not be decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedFile {
    /// The file; inside an archive, the archive's path followed by the entry's name.
    pub path: PathBuf,
    /// One sentence that names the file and says what is wrong with it.
    pub reason: String,
}

/// Where a dataset came from, for the metrics, the checkpoint and the model card.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// `cifar10`, `sample`, or the path as it was given.
    pub name: String,
    /// SHA-256 (hex) over the shapes, the pixels and the labels of all parts.
    pub fingerprint: String,
    /// What the user must be told: why the sample is used, that a test part was held out.
    pub notice: Option<String>,
    /// Whether this is the embedded sample.
    pub is_sample: bool,
    /// Files that could not be decoded; a command that goes on without them exits with 1.
    pub skipped: Vec<SkippedFile>,
}

impl Source {
    /// Adds a sentence to the notice.
    pub(crate) fn notify(&mut self, sentence: impl Into<String>) {
        let sentence = sentence.into();
        self.notice = Some(match self.notice.take() {
            Some(notice) => format!("{notice}; {sentence}"),
            None => sentence,
        });
    }
}

/// A training part, a test part and perhaps a validation part over the same classes.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageDataset {
    /// The images to train on.
    pub train: Images,
    /// The images to watch during training, where the dataset has a part for that; otherwise a share of
    /// the training images is held out.
    pub validation: Option<Images>,
    /// The images to report on.
    pub test: Images,
    /// The name of each class, by label.
    pub label_names: Vec<String>,
    /// Where the images came from.
    pub source: Source,
    /// What lies there and how it was read.
    pub inventory: Inventory,
}

impl ImageDataset {
    /// Renumbers the labels so that they index `names` (a model's `labels`), which must hold every class
    /// of this dataset; it may hold more. Composed and decomposed forms of a name are one.
    ///
    /// # Errors
    /// [`DataError::UnknownClass`] with the first class that the model does not know; nothing has changed then.
    pub fn align_labels(&mut self, names: &[String]) -> Result<(), DataError> {
        let renumbered = self
            .label_names
            .iter()
            .map(|class| match classes::position(names, class) {
                Some(index) => Ok(index as u32),
                None => Err(DataError::UnknownClass {
                    dataset: self.source.name.clone(),
                    class: shown(class),
                }),
            })
            .collect::<Result<Vec<u32>, _>>()?;
        let parts = [
            Some(&mut self.train),
            self.validation.as_mut(),
            Some(&mut self.test),
        ];
        for label in parts
            .into_iter()
            .flatten()
            .flat_map(|part| &mut part.labels)
        {
            *label = renumbered[*label as usize];
        }
        self.label_names = names.to_vec();
        Ok(())
    }

    /// Computes the fingerprint of the present pixels and labels, and the sketch of the training images.
    pub(crate) fn seal(mut self) -> Self {
        self.inventory.sketch = (!self.train.is_empty()).then(|| Sketch::of(&self.train));
        let mut hash = Sha256::new();
        let parts = [
            Some(&self.train),
            self.validation.as_ref(),
            Some(&self.test),
        ];
        for part in parts.into_iter().flatten() {
            for size in [part.len(), part.height, part.width, part.channels] {
                hash.update((size as u64).to_le_bytes());
            }
            hash.update(&part.pixels);
            for label in &part.labels {
                hash.update(label.to_le_bytes());
            }
        }
        self.source.fingerprint = hash
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_classes() -> ImageDataset {
        let mut train = Images::empty(ImageShape::new(1, 2, 1));
        train.push(&[0, 255], 0);
        train.push(&[10, 20], 1);
        ImageDataset {
            test: train.select(&[1]),
            train,
            validation: None,
            label_names: vec!["cat".into(), "dog".into()],
            source: Source::default(),
            inventory: Inventory::default(),
        }
        .seal()
    }

    #[test]
    fn labels_follow_the_names_of_the_model() {
        let mut data = two_classes();
        let names = ["bird", "dog", "cat"].map(String::from);
        data.align_labels(&names).unwrap();
        assert_eq!((data.train.labels, data.test.labels), (vec![2, 1], vec![1]));

        let mut data = two_classes();
        let error = data.align_labels(&names[..2]).unwrap_err().to_string();
        assert!(error.contains("`cat`"), "{error}");
        assert_eq!(data, two_classes());

        data.label_names[0] = "Ka\u{308}fer".into();
        data.align_labels(&["dog", "K\u{e4}fer"].map(String::from))
            .unwrap();
        assert_eq!(data.train.labels, [1, 0]);
    }

    #[test]
    fn fingerprint_covers_pixels_labels_and_shape() {
        let data = two_classes();
        assert_eq!(data.source.fingerprint.len(), 64);
        let mut changed = [data.clone(), data.clone(), data.clone()];
        changed[0].train.pixels[3] ^= 1;
        changed[1].test.labels[0] = 0;
        changed[2].train.height = 2;
        changed[2].train.width = 1;
        for other in changed {
            assert_ne!(other.seal().source.fingerprint, data.source.fingerprint);
        }
    }

    #[test]
    fn keeping_is_selecting() {
        let mut images = Images::empty(ImageShape::new(1, 1, 3));
        for i in 0..6 {
            images.push(&[i, i + 10, i + 20], u32::from(i));
        }
        for kept in [vec![], vec![0, 2, 5], vec![3], (0..6).collect()] {
            let mut left = images.clone();
            left.keep(&kept);
            assert_eq!(left, images.select(&kept));
        }
    }

    #[test]
    fn statistics_are_those_of_the_definition() {
        let (mean, deviation) = two_classes().train.channel_statistics();
        let values = [0.0, 1.0, 10.0 / 255.0, 20.0 / 255.0f64];
        let expected = values.iter().sum::<f64>() / 4.0;
        let variance = values.iter().map(|v| (v - expected).powi(2)).sum::<f64>() / 4.0;
        assert!((f64::from(mean[0]) - expected).abs() < 1e-6);
        assert!((f64::from(deviation[0]) - variance.sqrt()).abs() < 1e-6);
    }
}
