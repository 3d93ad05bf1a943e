//! How an image becomes a network's input, as in Hugging Face's `preprocessor_config.json`.

use serde::{Deserialize, Serialize};

use crate::check::{ConfigError, ensure};

/// How an image of another size is brought to [`Preprocessor::height`] × [`Preprocessor::width`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResizeRule {
    /// Height and width are scaled independently.
    Stretch,
    /// The image is scaled until it covers the size, keeping its aspect, and its centre is cut out.
    Crop,
}

/// The interpolation of a resize; the names and numbers are those of the Python imaging library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interpolation {
    /// The nearest pixel (0).
    Nearest,
    /// Lanczos' window of radius 3 (1).
    Lanczos,
    /// Linear along both axes (2).
    Bilinear,
    /// Cubic along both axes (3).
    Bicubic,
    /// The mean of the pixels that a pixel covers (4).
    Box,
}

impl Interpolation {
    /// In the order of their numbers.
    const ALL: [Self; 5] = [
        Self::Nearest,
        Self::Lanczos,
        Self::Bilinear,
        Self::Bicubic,
        Self::Box,
    ];
}

/// What is kept between the two passes of a resize, along the rows and along the columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResamplePrecision {
    /// Bytes, rounded and cut off at 0 and 255, as the Python imaging library does with 8-bit images. It is what new
    /// models are made with.
    Uint8,
    /// Floats, rounded once at the end: for models whose file says nothing of it.
    #[default]
    Float32,
}

/// How an image becomes a network's input: resized, its bytes divided by 255, less `mean`, divided by `std`.
#[derive(Debug, Clone, PartialEq)]
pub struct Preprocessor {
    /// Height of the input in pixels.
    pub height: usize,
    /// Width of the input in pixels.
    pub width: usize,
    /// Channels of the input: 1 is grey, 3 is RGB.
    pub channels: usize,
    /// Mean of each channel, on the scale 0 to 1.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel, on the scale 0 to 1.
    pub std: Vec<f32>,
    /// Interpolation of the resize.
    pub interpolation: Interpolation,
    /// How images of another aspect fit.
    pub resize: ResizeRule,
    /// What is kept between the two passes of the resize.
    pub precision: ResamplePrecision,
}

/// Why a `preprocessor_config.json` cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum PreprocessorError {
    /// It is not UTF-8.
    #[error("it is not text")]
    Text,
    /// It is not JSON, or a field has the wrong type.
    #[error("it cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// A value that makes no sense, or that this library does not implement.
    #[error("`{}` {}", .0.field, .0.problem)]
    Field(#[from] ConfigError),
}

fn wrong(field: &str, problem: impl Into<String>) -> PreprocessorError {
    ConfigError::new(field, problem).into()
}

#[derive(Serialize, Deserialize)]
struct File {
    #[serde(default = "yes")]
    do_resize: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<Size>,
    #[serde(default = "bilinear")]
    resample: u64,
    /// Ours; the Python imaging library knows only bytes. Files of before lack it.
    #[serde(default)]
    resample_precision: ResamplePrecision,
    #[serde(default)]
    do_center_crop: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crop_size: Option<Size>,
    #[serde(default = "yes")]
    do_rescale: bool,
    #[serde(default = "per_byte")]
    rescale_factor: f64,
    #[serde(default = "yes")]
    do_normalize: bool,
    image_mean: Vec<f32>,
    image_std: Vec<f32>,
}

fn yes() -> bool {
    true
}

fn bilinear() -> u64 {
    2
}

fn per_byte() -> f64 {
    1.0 / 255.0
}

/// Hugging Face writes a size as a number, as `{height, width}` or as `{shortest_edge}`.
#[derive(Serialize, Deserialize, Clone, Copy)]
#[serde(untagged)]
enum Size {
    Square(usize),
    Exact { height: usize, width: usize },
    ShortestEdge { shortest_edge: usize },
}

impl Preprocessor {
    /// Reads the text of a `preprocessor_config.json`.
    ///
    /// # Errors
    /// When it is not valid, or asks for a step that this library does not implement.
    pub fn from_json(text: &str) -> Result<Self, PreprocessorError> {
        let file: File = serde_json::from_str(text)?;
        ensure(file.do_resize, "do_resize", || {
            "is false, but inputs need one size; set it to true".into()
        })?;
        let per_byte = (file.rescale_factor * 255.0 - 1.0).abs() <= 1e-6;
        ensure(file.do_rescale && per_byte, "rescale_factor", || {
            "must be 1/255 with do_rescale set".into()
        })?;
        let size = file.size.ok_or_else(|| wrong("size", "is missing"))?;
        let (height, width, resize) = match (file.do_center_crop, size, file.crop_size) {
            (false, Size::Exact { height, width }, _) => (height, width, ResizeRule::Stretch),
            (false, Size::Square(side), _) => (side, side, ResizeRule::Stretch),
            (true, _, Some(Size::Exact { height, width })) => (height, width, ResizeRule::Crop),
            (true, _, Some(Size::Square(side))) => (side, side, ResizeRule::Crop),
            (true, ..) => return Err(wrong("crop_size", "must give height and width")),
            (false, Size::ShortestEdge { .. }, _) => {
                return Err(wrong(
                    "size",
                    "gives only the shortest edge; set do_center_crop and crop_size",
                ));
            }
        };
        if resize == ResizeRule::Crop {
            let edge = match size {
                Size::Square(side) => side,
                Size::ShortestEdge { shortest_edge } => shortest_edge,
                Size::Exact { .. } => 0,
            };
            ensure(edge == height.max(width), "size", || {
                "must be the longer edge of crop_size when do_center_crop is set".into()
            })?;
        }
        let number = usize::try_from(file.resample).ok();
        let interpolation = *number
            .and_then(|number| Interpolation::ALL.get(number))
            .ok_or_else(|| {
                let problem = format!("is {}, known are 0 to 4", file.resample);
                wrong("resample", problem)
            })?;
        let channels = file.image_mean.len();
        let (mean, std) = if file.do_normalize {
            (file.image_mean, file.image_std)
        } else {
            (vec![0.0; channels], vec![1.0; channels])
        };
        let preprocessor = Self {
            height,
            width,
            channels,
            mean,
            std,
            interpolation,
            resize,
            precision: file.resample_precision,
        };
        preprocessor.validate()?;
        Ok(preprocessor)
    }

    /// The text of a `preprocessor_config.json`, read back by [`Self::from_json`].
    ///
    /// # Errors
    /// When a value is not valid.
    pub fn to_json(&self) -> Result<String, PreprocessorError> {
        self.validate()?;
        let exact = Size::Exact {
            height: self.height,
            width: self.width,
        };
        let crop = self.resize == ResizeRule::Crop;
        let file = File {
            do_resize: true,
            size: Some(if crop {
                Size::ShortestEdge {
                    shortest_edge: self.height.max(self.width),
                }
            } else {
                exact
            }),
            resample: self.interpolation as u64,
            resample_precision: self.precision,
            do_center_crop: crop,
            crop_size: crop.then_some(exact),
            do_rescale: true,
            rescale_factor: per_byte(),
            do_normalize: true,
            image_mean: self.mean.clone(),
            image_std: self.std.clone(),
        };
        let mut text = serde_json::to_string_pretty(&file)?;
        text.push('\n');
        Ok(text)
    }

    fn validate(&self) -> Result<(), ConfigError> {
        for (field, edge) in [("height", self.height), ("width", self.width)] {
            ensure((1..=16_384).contains(&edge), "size", || {
                format!("has a {field} of {edge}, it must be 1 to 16384")
            })?;
        }
        let (channels, means, stds) = (self.channels, self.mean.len(), self.std.len());
        let one_each = (1..=1024).contains(&channels) && means == channels;
        ensure(one_each, "image_mean", || {
            format!("has {means} values for {channels} channels")
        })?;
        ensure(stds == channels, "image_std", || {
            format!("has {stds} values, image_mean {channels}")
        })?;
        ensure(
            self.mean.iter().all(|v| v.is_finite()),
            "image_mean",
            || "has a value that is not a number".into(),
        )?;
        let positive = |v: &f32| v.is_finite() && *v > 0.0;
        ensure(self.std.iter().all(positive), "image_std", || {
            "has a value that is not positive".into()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(resize: ResizeRule) -> Preprocessor {
        Preprocessor {
            height: 32,
            width: 28,
            channels: 3,
            mean: vec![0.5, 0.25, 0.75],
            std: vec![0.1, 0.2, 0.3],
            interpolation: Interpolation::Bicubic,
            resize,
            precision: ResamplePrecision::Uint8,
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for resize in [ResizeRule::Stretch, ResizeRule::Crop] {
            let written = example(resize).to_json().unwrap();
            assert_eq!(Preprocessor::from_json(&written).unwrap(), example(resize));
        }
    }

    #[test]
    fn a_file_of_before_keeps_its_resize() {
        let written = example(ResizeRule::Stretch).to_json().unwrap();
        let mut value: serde_json::Value = serde_json::from_str(&written).unwrap();
        assert_eq!(value["resample_precision"], "uint8");
        value.as_object_mut().unwrap().remove("resample_precision");
        let read = Preprocessor::from_json(&value.to_string()).unwrap();
        assert_eq!(read.precision, ResamplePrecision::Float32);
        let kept = read.to_json().unwrap();
        assert!(
            kept.contains(r#""resample_precision": "float32""#),
            "{kept}"
        );
    }

    #[test]
    fn a_file_of_hugging_face_is_understood() {
        let text = r#"{"crop_size": {"height": 224, "width": 224}, "do_center_crop": true, "do_normalize": true,
            "do_rescale": true, "do_resize": true, "image_mean": [0.485, 0.456, 0.406],
            "image_processor_type": "ConvNextImageProcessor", "image_std": [0.229, 0.224, 0.225],
            "resample": 3, "rescale_factor": 0.00392156862745098, "size": {"shortest_edge": 224}}"#;
        let read = Preprocessor::from_json(text).unwrap();
        assert_eq!(
            (read.height, read.channels, read.resize),
            (224, 3, ResizeRule::Crop)
        );
    }

    #[test]
    fn each_wrong_value_is_named() {
        let good: serde_json::Value =
            serde_json::from_str(&example(ResizeRule::Stretch).to_json().unwrap()).unwrap();
        for (key, value, said) in [
            (
                "size",
                serde_json::json!({"height": 0, "width": 3}),
                "`size`",
            ),
            ("size", serde_json::json!({"shortest_edge": 3}), "`size`"),
            ("size", serde_json::json!(null), "`size`"),
            ("do_resize", serde_json::json!(false), "`do_resize`"),
            ("rescale_factor", serde_json::json!(1.0), "`rescale_factor`"),
            ("resample", serde_json::json!(9), "`resample`"),
            (
                "resample_precision",
                serde_json::json!("int4"),
                "cannot be read",
            ),
            ("do_center_crop", serde_json::json!(true), "`crop_size`"),
            ("image_mean", serde_json::json!([]), "`image_mean`"),
            ("image_std", serde_json::json!([1.0]), "`image_std`"),
            (
                "image_std",
                serde_json::json!([1.0, 0.0, 1.0]),
                "`image_std`",
            ),
            ("image_mean", serde_json::json!("half"), "cannot be read"),
        ] {
            let mut wrong = good.clone();
            wrong[key] = value;
            let error = Preprocessor::from_json(&wrong.to_string())
                .unwrap_err()
                .to_string();
            assert!(error.contains(said), "{key}: {error}");
        }
    }
}
