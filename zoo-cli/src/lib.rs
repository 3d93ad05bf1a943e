//! Train, evaluate, label and share small GMNM networks: what the program `zoo` does, as a library.
//!
//! Train on a folder of images, one folder for each class in it, and label an image with what came of it:
//!
//! ```
//! use std::sync::atomic::AtomicBool;
//!
//! use models::model_dir;
//! use zoo::candle_core::Device;
//! use zoo::{Ended, IfExists, Labeller, OpenOptions, Output, Overrides, Request, Session};
//!
//! # fn main() -> anyhow::Result<()> {
//! # let temporary = tempfile::tempdir()?;
//! # let (photos, run) = (temporary.path().join("photos"), temporary.path().join("run"));
//! # for (class, value) in [("dark", 40u8), ("light", 200)] {
//! #     std::fs::create_dir_all(photos.join(class))?;
//! #     for i in 0..20 {
//! #         let image = image::RgbImage::from_fn(8, 8, |x, y| image::Rgb([value + i, value, (x * y) as u8]));
//! #         image.save(photos.join(class).join(format!("{i}.png")))?;
//! #     }
//! # }
//! let settings = ["model.widths=[4,8]", "model.mixer.function.gmnm.components=[4,8]"];
//! let session = Session::new(
//!     &Request {
//!         model: "cifar-classifier",
//!         data: photos.to_str(),
//!         base: None,
//!         seed: 0,
//!         overrides: Overrides {
//!             epochs: Some(2),
//!             set: &settings.map(String::from),
//!             ..Overrides::default()
//!         },
//!         output: Output::At(run.clone(), IfExists::Refuse),
//!     },
//!     &OpenOptions::default(),
//!     zoo::families::trainable,
//! )?;
//! let stop = AtomicBool::new(false);
//! let ended = session.train(&Device::Cpu, &zoo::train::trainer::Unwatched, &stop, zoo::package::write)?;
//! assert!(matches!(ended, Ended::Finished(_)));
//!
//! let labeller = Labeller::new(&model_dir::load(&run)?, &Device::Cpu)?;
//! let image = photos.join("dark/0.png");
//! labeller.label_all([Ok(image)].into_iter(), 1, 1, |labelled| {
//!     let predictions = labelled[0].outcome.as_ref().expect("the image can be read");
//!     println!("{} with {:.2}", predictions[0].label, predictions[0].probability);
//! #   assert!(["dark", "light"].contains(&predictions[0].label.as_str()));
//!     Ok(())
//! })?;
//! # Ok(())
//! # }
//! ```
//!
//! Networks, their settings and their files are the crate [`models`]; a mixture for one's own network is in
//! [`gmnm_core`]. Both are exported here, and so is the candle that they are built on.

pub mod bench;
pub mod cli;
pub mod commands;
pub mod compare;
pub mod data;
pub mod device;
pub mod evaluation;
pub mod families;
pub mod field;
pub mod forecast;
pub mod generate;
pub mod hub;
pub mod infer;
pub mod interrupt;
pub mod layout;
pub mod output;
pub mod package;
mod pattern;
pub mod plot;
pub mod report;
pub mod resolve;
pub mod train;
pub mod version;

pub use {candle_core, gmnm_core, models};

pub use data::{ImageDataset, OpenOptions, open_images};
pub use infer::{Labeller, Prediction};
pub use resolve::{Resolved, resolve};
pub use train::Ended;
pub use train::recipe::Overrides;
pub use train::run_dir::IfExists;
pub use train::session::{Output, Request, Session, Summary};
