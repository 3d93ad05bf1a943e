//! Figures as SVG text or PNG (line charts, heat maps, and grids of them), and sheets of images as PNG. Nothing here
//! prints or writes files.
//!
//! The bytes depend on the data alone. Values that are not finite (or not positive on a logarithmic axis) are gaps.
//!
//! ```
//! use zoo::plot::{LineChart, Scale};
//!
//! let svg = LineChart::new("Loss")
//!     .x_label("epoch")
//!     .y_label("loss")
//!     .y_scale(Scale::Log)
//!     .line("train", vec![(1.0, 2.3), (2.0, 0.9), (3.0, 0.4)])
//!     .line("test", vec![(1.0, 2.4), (2.0, 1.1), (3.0, 0.6)])
//!     .svg();
//! assert!(svg.starts_with("<svg"));
//! ```

mod axis;
mod bars;
mod canvas;
mod color;
mod dates;
mod figure;
mod gallery;
mod heat_map;
mod line_chart;
mod matrix;
mod raster;
mod sheet;
mod svg;

pub use axis::Scale;
pub use bars::Bars;
pub use color::ColorMap;
pub use figure::{Figure, Panel};
pub use gallery::{Gallery, Thumbnail};
pub use heat_map::HeatMap;
pub use line_chart::{LineChart, Style};
pub use matrix::Matrix;
pub use sheet::Sheet;
pub use svg::{data_uri, escape};
