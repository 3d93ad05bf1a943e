//! The model card of a fresh run.

use models::ModelDir;

use super::record::TrainingRecord;

/// The text of `README.md`.
pub fn render(model: &ModelDir, record: &TrainingRecord) -> String {
    let mut text = format!("# {}\n\n", model.model);
    text += &format!(
        "Trained with `zoo` {} on `{}` (seed {}, {} epochs).\n\n",
        record.version, record.data.name, record.seed, record.recipe.epochs
    );
    if let Some(notice) = &record.data.notice {
        text += &format!("**Note:** {notice}.\n\n");
    }
    if let Some(result) = &record.result {
        text += &format!("| on {} test examples | |\n|---|---|\n", result.examples);
        for (name, value) in &result.test {
            text += &format!("| {name} | {value:.4} |\n");
        }
        text.push('\n');
    }
    text += "Input: `preprocessor_config.json`. Network: `config.json`. Weights: `model.safetensors`, with PyTorch's \
             names and shapes. How it was made: `training.json`, `metrics.csv`, `curves.svg`.\n";
    text
}
