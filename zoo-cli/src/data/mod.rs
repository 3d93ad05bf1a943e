//! Datasets: from a path, a name or the embedded sample to images in memory.
//!
//! [`open_images`] finds out the format, reads it and says where the images came from. All formats give
//! [`Images`]: bytes, channels last. Archives are read in place, nothing is unpacked to disk.
//!
//! | given | read as |
//! |---|---|
//! | `data_batch_*.bin`, `test_batch.bin`; `train.bin`, `test.bin` | CIFAR-10; CIFAR-100 (fine labels) |
//! | `train-images-idx3-ubyte`, … (`.gz`; `.idx3-ubyte`) | IDX, as of MNIST |
//! | `train-*.parquet`, `test-*.parquet` | parquet in the Hub's layout |
//! | `class/*.png`, `train/class/*.jpg`, … | an image folder |
//! | a `.tar` or `.tar.gz` of any of these but parquet | the same |
//! | `cifar10`, `cifar100`, `mnist`, `fashion-mnist` | the Hub's copy, cached |
//! | `sample` | the embedded subset of Fashion-MNIST |

pub mod augment;
mod channels;
mod classes;
pub mod decode;
mod error;
mod fit;
mod images;
mod input;
pub mod inventory;
pub mod loader;
pub mod normalise;
mod open;
mod parts;
pub mod readers;
mod remote;
pub mod resident;
mod resize;
mod sample;
pub mod series;
pub mod split;
mod splits;
mod store;
mod walk;

pub use error::DataError;
pub use images::{ImageDataset, ImageShape, Images, SkippedFile, Source};
pub use open::{OpenOptions, is_dataset_name, open_images, public_name};
pub use remote::{Remote, RemoteError};
pub use walk::walk_images;
