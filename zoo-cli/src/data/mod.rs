//! Datasets: from a path, a name or the embedded sample to images in memory.
//!
//! [`open_images`] finds out the format, reads it and says where the images came from. One file a format;
//! all of them give [`Images`]: bytes, channels last.

pub mod augment;
mod channels;
mod cifar;
mod classes;
pub mod decode;
mod error;
mod fit;
mod folder;
pub mod idx;
mod images;
mod input;
pub mod loader;
mod open;
mod parquet;
mod parts;
mod resize;
mod sample;
pub mod split;
mod store;
mod walk;

pub use error::DataError;
pub use images::{ImageDataset, ImageShape, Images, SkippedFile, Source};
pub use open::{OpenOptions, open_images};
pub use walk::walk_images;
