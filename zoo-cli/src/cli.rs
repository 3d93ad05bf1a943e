//! The command line: declarations only.

use std::path::PathBuf;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::compare;
use crate::data::series::Missing;
use crate::device::DeviceChoice;
use crate::evaluation::Augmented;
use crate::train::PrecisionChoice;
use crate::version::{self, Commit};

/// Train, evaluate, label and share small GMNM networks.
///
/// Results go to stdout, progress and logs to stderr. Exit codes: 0 done; 1 done, but some inputs failed; 2 the
/// request was wrong or could not be met; 130, 143 or 129 ended by Ctrl-C, SIGTERM or SIGHUP: a training then saves its
/// state first, and a second signal, half a second later or more, ends it at once.
#[derive(Debug, Parser)]
#[command(name = "zoo", version, arg_required_else_help = true)]
pub struct Cli {
    /// Print errors and results only.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Threads to compute with, at most 1024 (0: all cores).
    #[arg(long, global = true, default_value_t = 0, value_name = "N", value_parser = threads)]
    pub threads: usize,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// The command line of this process, for a program that was built from `commit`.
    ///
    /// # Errors
    /// What is to be printed instead: help, the version, or a mistake.
    pub fn from_process(commit: Option<&Commit>) -> Result<Self, clap::Error> {
        // Made once, for as long as the process lives.
        let version: &'static str = version::long(commit).leak();
        let command = Self::command().long_version(version);
        Self::from_arg_matches(&command.try_get_matches()?)
    }
}

/// One subcommand.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List models and their variants.
    List(ListArgs),
    /// Say what lies in a dataset or a series: parts, classes, sizes, dates and steps, what is left out and why.
    Inspect(InspectArgs),
    /// Train a model and write it, its metrics and its learning curve to a directory.
    Train(TrainArgs),
    /// Measure a trained model on the test part of a dataset.
    Eval(EvalArgs),
    /// Label images, folders of images, or a list of paths on stdin.
    Infer(InferArgs),
    /// Forecast the coming steps of a series as CSV, and draw them.
    Forecast(ForecastArgs),
    /// Draw originals, reconstructions, samples and interpolations of an image generator on one sheet.
    Generate(GenerateArgs),
    /// Train a layer and its baselines by one recipe and write a table, every run, and figures; goes on where it
    /// stopped.
    Compare(CompareArgs),
    /// Fetch a model from the Hub into the shared cache, each byte checked; prints where it lies.
    Download(DownloadArgs),
    /// Check a model and publish it on the Hub with its card; prints the URL and the commit.
    Upload(UploadArgs),
    /// Check hashes, shapes, configuration, card and stored example outputs of a model.
    Verify(VerifyArgs),
    /// Time the paths that matter on this machine.
    Bench(BenchArgs),
    /// Print what a shell needs to complete commands and flags.
    Completions(CompletionsArgs),
    /// Write the manual pages.
    Man(ManArgs),
}

/// How the summary of a command is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SummaryFormat {
    /// For people.
    Table,
    /// One JSON object on one line.
    Json,
}

/// How rows of results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RowFormat {
    /// For people.
    Table,
    /// One JSON object a line.
    Jsonl,
    /// Comma-separated values with a header.
    Csv,
}

/// Where to compute.
#[derive(Debug, Clone, Copy, Args)]
pub struct DeviceArgs {
    /// Where to compute: `auto` (the fastest that this program was built for and that works), `cpu`, `cuda` or `cuda:N`
    /// (the NVIDIA GPU with number N), `metal`.
    #[arg(long, value_name = "DEVICE", default_value_t = DeviceChoice::Auto)]
    pub device: DeviceChoice,
}

/// How a trained network reads its data.
#[derive(Debug, Args)]
pub struct ReadingArgs {
    /// Which series of a file of many: its name, or `column=value` once or more with commas between (left out: as in
    /// training).
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Overrides one key of the recipe that says how data are read, as in `series.dates=dmy`.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// Arguments of `zoo list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only names that match, `*` standing for any characters, as in `cifar-*`; without one, names that hold it.
    #[arg(value_name = "PATTERN")]
    pub pattern: Option<String>,
    /// How to print.
    #[arg(long, value_enum, default_value_t = SummaryFormat::Table)]
    pub format: SummaryFormat,
}

/// What data are taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DataKind {
    /// Images in classes.
    Images,
    /// A series, or a file of many.
    Series,
}

/// Arguments of `zoo inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// A path, a name, `owner/name[@revision]` of a dataset on the Hub, or `-` for a CSV series on stdin.
    #[arg(value_name = "DATA")]
    pub data: String,
    /// What it is taken for (left out: what its content is; `sample` is that of images).
    #[arg(long = "as", value_enum, value_name = "KIND")]
    pub kind: Option<DataKind>,
    /// Decodes no images, and looks for no duplicates.
    #[arg(long)]
    pub quick: bool,
    /// Which series of a file of many: its name, or `column=value` once or more with commas between.
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// How data are read, as for `zoo train`: a key of `series`, or `image_size` of images.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// How to reach the Hub.
    #[command(flatten)]
    pub hub: HubArgs,
    /// How to print.
    #[arg(long, value_enum, default_value_t = SummaryFormat::Table)]
    pub format: SummaryFormat,
}

/// Arguments of `zoo train`.
#[derive(Debug, Args)]
pub struct TrainArgs {
    /// A name from `zoo list`.
    #[arg(required_unless_present = "resume")]
    pub model: Option<String>,
    /// A dataset: a path, a name, or `owner/name[@revision]` on the Hub (left out: the model's own).
    #[arg(long, value_name = "DATA")]
    pub data: Option<String>,
    /// Begins with the tensors of a trained model that fit: a name, a directory as that of an ended run, or
    /// `owner/name[@revision]`. With `--epochs` it trains an ended run for longer.
    #[arg(long, value_name = "MODEL")]
    pub from: Option<String>,
    /// Parameters that are not trained, by a pattern of their names as in `stages.0.*`; can be given more than once. The
    /// key `freeze_epochs` limits it to the first epochs.
    #[arg(long, value_name = "PATTERN")]
    pub freeze: Vec<String>,
    /// Where to write the run (left out: a new directory under `runs`).
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Passes over the training examples (left out: the recipe's).
    #[arg(long, value_name = "N")]
    pub epochs: Option<usize>,
    /// Which numbers a step is computed in (left out: the recipe's, `auto`).
    #[arg(long, value_enum, value_name = "P")]
    pub precision: Option<PrecisionChoice>,
    /// Fixes every random choice (left out: 0).
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
    /// Which series of a file of many: its name, or `column=value` once or more with commas between.
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Overrides one key of the recipe or of the model, as in `optimizer.learning_rate=0.1` or `model.widths=[16,32]`.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// A TOML file over the model's recipe.
    #[arg(long, value_name = "FILE")]
    pub recipe: Option<PathBuf>,
    /// Continues the run in this directory, to the same bytes as without the interruption.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["from", "freeze", "out", "epochs", "precision", "seed", "key", "set", "recipe", "overwrite"])]
    pub resume: Option<PathBuf>,
    /// Replaces what the output directory holds.
    #[arg(long)]
    pub overwrite: bool,
    /// Where to compute.
    #[command(flatten)]
    pub device: DeviceArgs,
    /// How to reach the Hub.
    #[command(flatten)]
    pub hub: HubArgs,
    /// How to print the summary.
    #[arg(long, value_enum, default_value_t = SummaryFormat::Table)]
    pub format: SummaryFormat,
}

/// Arguments of `zoo eval`.
#[derive(Debug, Args)]
pub struct EvalArgs {
    /// A name, a model directory, or `owner/name[@revision]`.
    pub model: String,
    /// A dataset: a path or a name (left out: the one that the model was trained on).
    #[arg(long, value_name = "DATA")]
    pub data: Option<String>,
    /// Also writes a page on all that was found, with its pictures and the predictions.
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
    /// Replaces the report that is there.
    #[arg(long, requires = "report")]
    pub overwrite: bool,
    /// Labels images also in another way, and takes the mean of the logits.
    #[arg(long, value_enum, value_name = "HOW", default_value_t = Augmented::None)]
    pub tta: Augmented,
    /// Fits the temperature of a classifier to held-out images, and keeps it in the model's directory for
    /// `zoo infer --calibrated`.
    #[arg(long)]
    pub calibrate: bool,
    /// How the data are read.
    #[command(flatten)]
    pub reading: ReadingArgs,
    /// Where to compute.
    #[command(flatten)]
    pub device: DeviceArgs,
    /// How to reach the Hub.
    #[command(flatten)]
    pub hub: HubArgs,
    /// How to print the summary.
    #[arg(long, value_enum, default_value_t = SummaryFormat::Table)]
    pub format: SummaryFormat,
}

/// Arguments of `zoo compare`.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// What to compare.
    #[arg(value_enum)]
    pub task: compare::Task,
    /// Runs of every model, under seeds 0, 1, …
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub seeds: u64,
    /// One problem or dataset only (left out: all).
    #[arg(long, value_name = "DATA")]
    pub data: Option<String>,
    /// Some of the models only (left out: all); the same command without it adds the others later.
    #[arg(long, value_name = "MODEL,…", value_delimiter = ',')]
    pub models: Vec<String>,
    /// Where to write, and where to go on (left out: `comparisons/TASK`).
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Steps to forecast, for `forecast` only (left out: 96,192,336,720).
    #[arg(long, value_name = "H,…", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub horizons: Vec<u32>,
    /// Passes over the training examples, where networks are trained in such (left out: the recipe's).
    #[arg(long, value_name = "N")]
    pub epochs: Option<usize>,
    /// Which numbers a step is computed in, where networks are trained in such (left out: the recipe's, `auto`).
    #[arg(long, value_enum, value_name = "P")]
    pub precision: Option<PrecisionChoice>,
    /// Overrides one key of the recipe of all models.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Where to compute.
    #[command(flatten)]
    pub device: DeviceArgs,
    /// How to reach the Hub.
    #[command(flatten)]
    pub hub: HubArgs,
}

/// Arguments of `zoo generate`.
#[derive(Debug, Args)]
pub struct GenerateArgs {
    /// A model directory, or `owner/name[@revision]`, of an image generator.
    pub model: String,
    /// Originals: images, folders (walked), or `-` for a list of paths on stdin (left out: some test images).
    #[arg(value_name = "PATH", conflicts_with = "data")]
    pub paths: Vec<PathBuf>,
    /// The dataset of the test images: a path or a name (left out: the one that the model was trained on).
    #[arg(long, value_name = "DATA")]
    pub data: Option<String>,
    /// The sheet, a PNG file.
    #[arg(long, value_name = "FILE", default_value = "sheet.png")]
    pub out: PathBuf,
    /// Replaces the file that is there.
    #[arg(long)]
    pub overwrite: bool,
    /// How many samples to draw.
    #[arg(long, default_value_t = 16, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1024))]
    pub samples: u32,
    /// Fixes the samples.
    #[arg(long, default_value_t = 0, value_name = "S")]
    pub seed: u64,
    /// Where to compute.
    #[command(flatten)]
    pub device: DeviceArgs,
    /// How to reach the Hub.
    #[command(flatten)]
    pub hub: HubArgs,
    /// How to print the summary.
    #[arg(long, value_enum, default_value_t = SummaryFormat::Table)]
    pub format: SummaryFormat,
}

/// Arguments of `zoo infer`.
#[derive(Debug, Args)]
pub struct InferArgs {
    /// A name, a model directory, or `owner/name[@revision]`.
    pub model: String,
    /// Images, folders (walked), or `-` for a list of paths on stdin.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// How many labels for each image.
    #[arg(long, default_value_t = 1, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    pub top_k: u32,
    /// How to print.
    #[arg(long, value_enum, default_value_t = RowFormat::Table)]
    pub format: RowFormat,
    /// Labels also the mirror image, and takes the mean of the logits.
    #[arg(long, value_enum, value_name = "HOW", default_value_t = Augmented::None)]
    pub tta: Augmented,
    /// Calls an image `unknown` whose highest probability is below this.
    #[arg(long, value_name = "P", default_value_t = 0.0, value_parser = probability)]
    pub threshold: f64,
    /// Uses the temperature that `zoo eval --calibrate` has kept with the model.
    #[arg(long)]
    pub calibrated: bool,
    /// Also writes what the last layer reads of each image, for search and clustering.
    #[arg(long, value_name = "F.safetensors")]
    pub save_features: Option<PathBuf>,
    /// Replaces the file that is there.
    #[arg(long, requires = "save_features")]
    pub overwrite: bool,
    /// Images a forward pass, at most.
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub batch_size: u32,
    /// Where to compute.
    #[command(flatten)]
    pub device: DeviceArgs,
    /// How to reach the Hub.
    #[command(flatten)]
    pub hub: HubArgs,
}

/// What becomes of missing values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MissingArg {
    /// They are an error.
    Refuse,
    /// They become the value before them.
    Forward,
    /// They are interpolated.
    Linear,
}

impl From<MissingArg> for Missing {
    fn from(arg: MissingArg) -> Self {
        match arg {
            MissingArg::Refuse => Self::Refuse,
            MissingArg::Forward => Self::Forward,
            MissingArg::Linear => Self::Linear,
        }
    }
}

/// Arguments of `zoo forecast`.
#[derive(Debug, Args)]
pub struct ForecastArgs {
    /// A name, a model directory, or `owner/name[@revision]`.
    pub model: String,
    /// A CSV file with the model's columns and dates, `-` for stdin, or `sample`.
    #[arg(value_name = "SERIES")]
    pub series: String,
    /// Where to write the forecast as CSV (left out: stdout).
    #[arg(long, value_name = "F.csv")]
    pub out: Option<PathBuf>,
    /// Where to draw past, forecast and, where it is known, truth.
    #[arg(long, value_name = "F.svg")]
    pub plot: Option<PathBuf>,
    /// Replaces the files that are there.
    #[arg(long)]
    pub overwrite: bool,
    /// Only this column; can be given more than once (left out: all).
    #[arg(long, value_name = "NAME")]
    pub column: Vec<String>,
    /// Forecasts as if the last N rows were not known yet.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub back: usize,
    /// What becomes of missing values (left out: as in training).
    #[arg(long, value_enum)]
    pub missing: Option<MissingArg>,
    /// How the series is read.
    #[command(flatten)]
    pub reading: ReadingArgs,
    /// Where to compute.
    #[command(flatten)]
    pub device: DeviceArgs,
    /// How to reach the Hub.
    #[command(flatten)]
    pub hub: HubArgs,
}

/// How to reach the Hugging Face Hub.
#[derive(Debug, Args)]
pub struct HubArgs {
    /// The server (left out: HF_ENDPOINT, else the Hugging Face Hub).
    #[arg(long, value_name = "URL", help_heading = "Hub")]
    pub endpoint: Option<String>,
    /// The access token (left out: HF_TOKEN, else the file that `hf auth login` writes).
    #[arg(long, value_name = "TOKEN", help_heading = "Hub")]
    pub token: Option<String>,
    /// The cache, shared with Python's huggingface_hub (left out: HF_HUB_CACHE, else HF_HOME/hub).
    #[arg(long, value_name = "DIR", help_heading = "Hub")]
    pub cache: Option<PathBuf>,
    /// Never use the network.
    #[arg(long, help_heading = "Hub")]
    pub offline: bool,
}

/// Arguments of `zoo download`.
#[derive(Debug, Args)]
pub struct DownloadArgs {
    /// `owner/name[@revision]`.
    #[arg(value_name = "REPO")]
    pub repo: String,
    /// Also writes a plain copy there.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Replaces files that `--out` holds.
    #[arg(long, requires = "out")]
    pub overwrite: bool,
    /// Where from.
    #[command(flatten)]
    pub hub: HubArgs,
}

/// Arguments of `zoo upload`.
#[derive(Debug, Args)]
pub struct UploadArgs {
    /// A model directory, a name, or `owner/name[@revision]` to copy.
    #[arg(value_name = "MODEL")]
    pub model: String,
    /// `owner/name`; it is created if it does not exist.
    #[arg(value_name = "REPO")]
    pub repo: String,
    /// Nobody else may see it.
    #[arg(long)]
    pub private: bool,
    /// The branch; it is created if it does not exist.
    #[arg(long, value_name = "BRANCH", default_value = "main")]
    pub revision: String,
    /// The title of the commit (left out: `Upload` and the model's name).
    #[arg(long, value_name = "TEXT")]
    pub message: Option<String>,
    /// The licence on a card that is written here, as the Hub calls it (left out: that of the present card).
    #[arg(long, value_name = "ID")]
    pub license: Option<String>,
    /// Proposes the commit as a pull request.
    #[arg(long)]
    pub create_pr: bool,
    /// Lists what would go, and sends nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Where to.
    #[command(flatten)]
    pub hub: HubArgs,
}

/// Arguments of `zoo verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// A name, a model directory, or `owner/name[@revision]`.
    #[arg(value_name = "MODEL")]
    pub model: String,
    /// How to print.
    #[arg(long, value_enum, default_value_t = SummaryFormat::Table)]
    pub format: SummaryFormat,
    /// Where from.
    #[command(flatten)]
    pub hub: HubArgs,
}

/// How `zoo bench` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BenchFormat {
    /// For people.
    Table,
    /// One JSON object a line.
    Jsonl,
}

/// Arguments of `zoo bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// What to time, as in `cnn-train-f32`, `cnn-forward-BATCH`, `mixture-ROWS-FEATURES-COMPONENTS-PROJECTIONS`,
    /// `mixture-forward-` with the same four sizes,
    /// `lstm-STEPS-HIDDEN-BATCH`, `classifier-train` or `classifier-plain-train` (left out: all).
    #[arg(value_name = "WORK")]
    pub works: Vec<String>,
    /// Seconds that each work is repeated for; five times at least.
    #[arg(long, default_value_t = 4.0, value_name = "S", value_parser = seconds)]
    pub seconds: f64,
    /// Instead writes a figure of the cost against batch size and width, as SVG.
    #[arg(long, value_name = "FILE", conflicts_with = "works")]
    pub plot: Option<PathBuf>,
    /// Replaces the file that is there.
    #[arg(long, requires = "plot")]
    pub overwrite: bool,
    /// Where to compute.
    #[command(flatten)]
    pub device: DeviceArgs,
    /// How to print.
    #[arg(long, value_enum, default_value_t = BenchFormat::Table)]
    pub format: BenchFormat,
}

/// Arguments of `zoo completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// Arguments of `zoo man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Where to write them; made if it is not there.
    #[arg(long, value_name = "DIR", default_value = "man")]
    pub out: PathBuf,
    /// Replaces the pages that are there.
    #[arg(long)]
    pub overwrite: bool,
}

fn threads(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(n) if n <= 1024 => Ok(n),
        _ => Err("give a number from 0 to 1024".to_string()),
    }
}

fn probability(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(p) if (0.0..=1.0).contains(&p) => Ok(p),
        _ => Err("give a probability from 0 to 1".to_string()),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(s) if (0.0..=3600.0).contains(&s) => Ok(s),
        _ => Err("give seconds from 0 to 3600".to_string()),
    }
}
