//! Where networks compute: what `--device` asks for, the device that it opens, and what a run tells of it.

use std::fmt;
use std::str::FromStr;

use candle_core::{Device, Tensor};

/// What `--device` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// The fastest device that this program was built for and that works.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// The NVIDIA GPU with this number.
    Cuda(usize),
    /// The Apple GPU.
    Metal,
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
            Self::Metal => f.write_str("metal"),
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        let number = |digits: &str| {
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse().ok().filter(|_| plain)
        };
        let choice = match text {
            "auto" => Some(Self::Auto),
            "cpu" => Some(Self::Cpu),
            "cuda" => Some(Self::Cuda(0)),
            "metal" => Some(Self::Metal),
            other => other.strip_prefix("cuda:").and_then(number).map(Self::Cuda),
        };
        choice.ok_or_else(|| DeviceError::Unknown(text.to_string()))
    }
}

/// Why there is no such device.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// The text names none.
    #[error("`{0}` is no device; use auto, cpu, cuda, cuda:N for the GPU with number N, or metal")]
    Unknown(String),
    /// The program was built without it.
    #[error(
        "this program was built without `{feature}`, which `--device {choice}` needs; build it with \
         `cargo build --release -p zoo-cli --features {feature}`"
    )]
    NotBuilt {
        /// What was asked for.
        choice: DeviceChoice,
        /// The feature of the package.
        feature: &'static str,
    },
    /// The device is not there or does not compute.
    #[error(
        "`--device {choice}` cannot be used ({problem}); {check}, or compute with `--device cpu`"
    )]
    Unusable {
        /// What was asked for.
        choice: DeviceChoice,
        /// What the device said, on one line.
        problem: String,
        /// What to look at.
        check: &'static str,
    },
}

const CHECK_CUDA: &str = "check that `nvidia-smi` lists this GPU, and that its driver is as new as the CUDA that this \
                          program was built with";
const CHECK_METAL: &str = "check that this Mac has a GPU with Metal";

/// A device that computes.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The device.
    pub device: Device,
    /// Its name on the command line, as in `cpu` or `cuda:0`.
    pub name: String,
    /// What it is for people, as in `the CPU`.
    pub words: String,
    /// Why it is the CPU where a GPU could have been expected, if so.
    pub notice: Option<String>,
}

impl Opened {
    fn cpu(notice: Option<String>) -> Self {
        Self {
            device: Device::Cpu,
            name: DeviceChoice::Cpu.to_string(),
            words: "the CPU".to_string(),
            notice,
        }
    }

    fn gpu(choice: DeviceChoice, device: Device) -> Self {
        let words = match product(&device) {
            Some(product) => format!("`{choice}` ({product})"),
            None => format!("`{choice}`"),
        };
        Self {
            device,
            name: choice.to_string(),
            words,
            notice: None,
        }
    }
}

impl DeviceChoice {
    /// Opens the device, after checking that it computes.
    ///
    /// # Errors
    /// When the program was not built for it, or it cannot be used. [`DeviceChoice::Auto`] always opens one.
    pub fn open(self) -> Result<Opened, DeviceError> {
        self.check_built()?;
        match self {
            Self::Cpu => Ok(Opened::cpu(None)),
            Self::Cuda(number) => self.computing(CHECK_CUDA, || cuda(number)),
            Self::Metal => {
                // candle takes the first of a list that may be empty.
                let open = || std::panic::catch_unwind(|| Device::new_metal(0));
                let none = |_| candle_core::bail!("there is none");
                self.computing(CHECK_METAL, || open().unwrap_or_else(none))
            }
            Self::Auto => Ok(fastest()),
        }
    }

    /// Checks that the program was built for the device, without opening it.
    ///
    /// # Errors
    /// When it was not.
    pub fn check_built(self) -> Result<(), DeviceError> {
        let feature = match self {
            Self::Cuda(_) if !cfg!(feature = "cuda") => "cuda",
            Self::Metal if !cfg!(feature = "metal") => "metal",
            _ => return Ok(()),
        };
        Err(DeviceError::NotBuilt {
            choice: self,
            feature,
        })
    }

    /// Whether this asks for another device than the CPU.
    pub fn is_gpu(self) -> bool {
        matches!(self, Self::Cuda(_) | Self::Metal)
    }

    fn computing(
        self,
        check: &'static str,
        open: impl FnOnce() -> candle_core::Result<Device>,
    ) -> Result<Opened, DeviceError> {
        let opened = open().and_then(|device| probe(&device).map(|()| device));
        match opened {
            Ok(device) => Ok(Opened::gpu(self, device)),
            Err(error) => Err(DeviceError::Unusable {
                choice: self,
                problem: first_line(&error),
                check,
            }),
        }
    }
}

/// The GPU with this number and a stream that all threads queue their work in: ops run on workers, and candle's usual
/// stream is another one on each thread.
fn cuda(number: usize) -> candle_core::Result<Device> {
    let device = Device::new_cuda_with_stream(number)?;
    #[cfg(feature = "cuda")]
    // SAFETY: there is no second stream whose work would have to wait for this one's.
    unsafe {
        device.as_cuda_device()?.disable_event_tracking();
    }
    gmnm_core::keep_freed_device_memory(&device)?;
    Ok(device)
}

/// The first GPU that this program was built for and that computes, else the CPU.
fn fastest() -> Opened {
    let mut notice = None;
    for choice in [DeviceChoice::Cuda(0), DeviceChoice::Metal] {
        match choice.open() {
            Ok(opened) => return opened,
            Err(DeviceError::NotBuilt { .. }) => {}
            Err(error) => notice = Some(format!("computing on the CPU: {error}")),
        }
    }
    Opened::cpu(notice)
}

/// Computes something small: a device may open and then refuse the kernels of this build.
fn probe(device: &Device) -> candle_core::Result<()> {
    let doubled = (Tensor::new(&[1f32, 2.0], device)? * 2.0)?;
    match doubled.sum_all()?.to_scalar::<f32>()? {
        6.0 => Ok(()),
        other => candle_core::bail!("it computes 2·1 + 2·2 = {other}"),
    }
}

/// What a device says, without candle's backtrace.
fn first_line(error: &candle_core::Error) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().trim().to_string()
}

#[cfg(feature = "cuda")]
fn product(device: &Device) -> Option<String> {
    let cuda = device.as_cuda_device().ok()?;
    cuda.cuda_stream().context().name().ok()
}

#[cfg(not(feature = "cuda"))]
fn product(_: &Device) -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_others_are_refused() {
        for (text, choice) in [
            ("auto", DeviceChoice::Auto),
            ("cpu", DeviceChoice::Cpu),
            ("cuda", DeviceChoice::Cuda(0)),
            ("cuda:0", DeviceChoice::Cuda(0)),
            ("cuda:13", DeviceChoice::Cuda(13)),
            ("metal", DeviceChoice::Metal),
        ] {
            assert_eq!(text.parse::<DeviceChoice>().unwrap(), choice);
            assert_eq!(choice.to_string().parse::<DeviceChoice>().unwrap(), choice);
        }
        for wrong in [
            "",
            "gpu",
            "CPU",
            "cuda:",
            "cuda:x",
            "cuda:+1",
            "cuda:-1",
            "cuda: 1",
            "cuda:0:1",
            "metal:0",
            "cuda:99999999999999999999",
        ] {
            let error = wrong.parse::<DeviceChoice>().unwrap_err().to_string();
            assert!(error.contains(&format!("`{wrong}`")), "{error}");
            assert!(error.contains("cuda:N"), "{error}");
        }
    }

    #[test]
    fn a_choice_opens_or_says_what_to_do() {
        for (choice, built, feature) in [
            (DeviceChoice::Cuda(0), cfg!(feature = "cuda"), "cuda"),
            (DeviceChoice::Cuda(4096), cfg!(feature = "cuda"), "cuda"),
            (DeviceChoice::Metal, cfg!(feature = "metal"), "metal"),
        ] {
            match choice.open() {
                Ok(opened) => assert!(built && opened.name == choice.to_string()),
                Err(error) => {
                    let text = error.to_string();
                    let advice = format!("cargo build --release -p zoo-cli --features {feature}");
                    assert!(text.contains(&choice.to_string()), "{text}");
                    assert_eq!(text.contains(&advice), !built, "{text}");
                    assert!(!text.contains('\n'), "{text}");
                }
            }
        }
        let cpu = DeviceChoice::Cpu.open().unwrap();
        assert!(cpu.device.is_cpu() && cpu.name == "cpu" && cpu.notice.is_none());
    }

    #[test]
    fn auto_is_the_cpu_without_a_word_where_no_gpu_was_built_for() {
        let opened = DeviceChoice::Auto.open().unwrap();
        probe(&opened.device).unwrap();
        if !cfg!(any(feature = "cuda", feature = "metal")) {
            assert!(opened.device.is_cpu() && opened.notice.is_none());
        }
    }
}
