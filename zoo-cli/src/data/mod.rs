//! Datasets: from a path, a name or the embedded sample to images in memory.
//!
//! [`open_images`] finds out the format, reads it and says where the images came from. All formats give
//! [`Images`]: bytes, channels last. Archives are read in place, nothing is unpacked to disk.
//!
//! | given | read as |
//! |---|---|
//! | `data_batch_*.bin`, `test_batch.bin`; `train.bin`, `test.bin` | CIFAR-10; CIFAR-100 (fine labels) |
//! | `data_batch_*`, `test_batch`; `train` and `test` beside `meta` | the same as Python's pickles |
//! | `train_X.bin`, `train_y.bin`, `test_X.bin`, `test_y.bin` | STL-10 |
//! | `train-images-idx3-ubyte`, … (`.gz`; `.idx3-ubyte`) | IDX, as of MNIST, Fashion-MNIST, KMNIST, QMNIST, EMNIST |
//! | `.npz` with `train_images`, `train_labels`, … or `x_train`, `y_train`, … | NumPy arrays, as of MedMNIST and Keras |
//! | `train-*.parquet`, `test-*.parquet` | parquet in the Hub's layout |
//! | images and a table `labels.csv` (`file`, `label`) | a list of images |
//! | `class/*.png`, `train/class/*.jpg`, … | an image folder |
//! | a `.zip` or `.tar` (plain, `.gz`, `.xz`, `.bz2`, `.zst`) of any of these | the same |
//! | `cifar10`, `cifar100`, `mnist`, `fashion-mnist` | the Hub's copy, cached |
//! | `owner/name[@revision]` where there is no folder `owner` | the parquet files, or else all files, of a dataset on the Hub |
//! | `sample` | the embedded subset of Fashion-MNIST |

pub mod augment;
mod channels;
pub(crate) mod classes;
pub mod decode;
mod duplicates;
mod error;
mod fit;
mod images;
mod input;
mod inspect;
pub mod inventory;
pub mod loader;
pub mod mixing;
pub mod normalise;
mod open;
mod parts;
mod place;
pub mod readers;
mod remote;
pub mod resident;
mod resize;
mod sample;
pub mod sampling;
pub mod series;
mod sketch;
mod sniff;
pub mod split;
mod splits;
mod store;
mod walk;

pub use error::DataError;
pub use images::{ImageDataset, ImageShape, Images, SkippedFile, Source};
pub use inspect::{Inspection, inspect_images};
pub use open::{OpenOptions, is_dataset_name, open_images, public_name};
pub use remote::{Remote, RemoteError, is_repository, repository_name};
pub use sketch::{Learned, Sketch};
pub use walk::walk_images;
