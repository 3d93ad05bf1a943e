//! What lies in a dataset of images, without anything being made of it.

use super::{
    DataError, OpenOptions, SkippedFile, duplicates,
    inventory::{Inventory, count, shown},
    open::{self, SAMPLE},
    parts::Parts,
    place::Place,
    readers, sample,
};

/// A class with fewer training images has very few.
const FEW: usize = 10;

/// Classes with few images that are named.
const SHOWN_CLASSES: usize = 5;

/// What lies in a dataset.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspection {
    /// What was found.
    pub inventory: Inventory,
    /// Files that failed.
    pub failed: Vec<SkippedFile>,
    /// What the user must be told.
    pub notices: Vec<String>,
}

/// Says what lies in the dataset `spec`, which is what [`open_images`](super::open_images) takes. `quick` decodes no
/// images of folders, and looks for no duplicates.
///
/// # Errors
/// When it cannot be had, is of no known format, or cannot be read as it is.
pub fn inspect_images(
    spec: &str,
    options: &OpenOptions<'_>,
    quick: bool,
) -> Result<Inspection, DataError> {
    let (mut inventory, parts) = match spec {
        SAMPLE => of_sample()?,
        _ => of_place(spec, options, quick)?,
    };
    if !quick {
        inventory.duplicates = Some(duplicates::count(&parts));
    }
    let (failed, notices) = (parts.skipped, parts.notices);
    inventory.notes.extend(few_examples(&inventory));
    Ok(Inspection {
        inventory,
        failed,
        notices,
    })
}

fn of_sample() -> Result<(Inventory, Parts), DataError> {
    let data = sample::load()?;
    let parts = Parts {
        train: Some(data.train),
        test: Some(data.test),
        label_names: data.label_names,
        ..Parts::default()
    };
    Ok((data.inventory, parts))
}

fn of_place(
    spec: &str,
    options: &OpenOptions<'_>,
    quick: bool,
) -> Result<(Inventory, Parts), DataError> {
    let place = Place::find(spec, options.remote).map_err(|error| error.into_data_error(spec))?;
    let survey = readers::survey(&place.store, &place.path)?;
    let survey = survey.ok_or_else(|| place.unknown_format())?;
    let mut inventory = survey.inventory;
    let to = open::input(&inventory, options);
    if quick {
        inventory.input = Some([to.height, to.width, to.channels]);
        let names = place.classes.unwrap_or_default();
        for (class, name) in inventory.classes.iter_mut().zip(names) {
            class.name = (*name).into();
        }
        inventory.leave_out_failed(&place.path, &survey.failed);
        let parts = Parts {
            skipped: survey.failed,
            notices: place.notice.into_iter().collect(),
            ..Parts::default()
        };
        return Ok((inventory, parts));
    }
    let (path, classes) = (place.path.as_path(), place.classes);
    let mut parts = open::load(survey.load, &to, path, classes, &mut inventory)?;
    parts.notices.extend(place.notice);
    Ok((inventory, parts))
}

/// That classes have very few training images, where some do.
fn few_examples(inventory: &Inventory) -> Option<String> {
    let classes = inventory.classes.iter();
    let few: Vec<_> = classes.filter(|class| class.parts.train < FEW).collect();
    if few.is_empty() || inventory.parts.train == 0 {
        return None;
    }
    let named = few.iter().take(SHOWN_CLASSES);
    let named = named.map(|class| format!("{} {}", shown(&class.name), class.parts.train));
    let more = match few.len() > SHOWN_CLASSES {
        true => ", …",
        false => "",
    };
    let have = if few.len() == 1 { "has" } else { "have" };
    Some(format!(
        "{} {have} fewer than {FEW} training images ({}{more})",
        count(few.len(), "class"),
        named.collect::<Vec<_>>().join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::inventory::{ClassInventory, PartCounts};

    #[test]
    fn the_sample_is_inspected() {
        let found = inspect_images("sample", &OpenOptions::default(), false).unwrap();
        assert_eq!(found.inventory.classes.len(), 10);
        assert_eq!(found.inventory.parts.total(), 8000);
        let duplicates = found.inventory.duplicates.unwrap();
        assert_eq!(duplicates.compared, [32, 32, 3]);
        assert_eq!((duplicates.within_parts, duplicates.between_parts), (0, 0));
        let quick = inspect_images("sample", &OpenOptions::default(), true).unwrap();
        assert_eq!(quick.inventory.duplicates, None);
    }

    #[test]
    fn images_of_a_folder_are_counted_and_compared() {
        let folder = tempfile::tempdir().unwrap();
        for (part, class, count) in [
            ("train", "a", 12),
            ("train", "b", 3),
            ("test", "a", 2),
            ("test", "b", 2),
        ] {
            let place = folder.path().join(part).join(class);
            std::fs::create_dir_all(&place).unwrap();
            for i in 0..count {
                // The first of each class is the same in both parts.
                let own = if i == 0 { 0 } else { i * 7 + part.len() as u32 };
                let seed = own + u32::from(class.as_bytes()[0]) * 100;
                let pixel = |x: u32, y: u32| {
                    let mixed = (x / 4 * 31 + y / 4 * 17 + seed).wrapping_mul(0x9e37_79b9);
                    image::Luma([(mixed >> 24) as u8])
                };
                let image = image::GrayImage::from_fn(40, 40, pixel);
                image.save(place.join(format!("{i}.png"))).unwrap();
            }
        }
        let spec = folder.path().to_str().unwrap();
        let found = inspect_images(spec, &OpenOptions::default(), false).unwrap();
        assert_eq!(found.failed, []);
        let duplicates = found.inventory.duplicates.unwrap();
        assert_eq!((duplicates.within_parts, duplicates.between_parts), (0, 2));
        let said = "1 class has fewer than 10 training images (b 3)";
        assert_eq!(found.inventory.notes.last().unwrap(), said);
        let quick = inspect_images(spec, &OpenOptions::default(), true).unwrap();
        assert_eq!(quick.inventory.classes, found.inventory.classes);
        assert_eq!(quick.inventory.duplicates, None);
    }

    #[test]
    fn no_training_part_is_no_lack_of_examples() {
        let class = ClassInventory {
            name: "a".into(),
            parts: PartCounts {
                test: 3,
                ..PartCounts::default()
            },
        };
        let inventory = Inventory {
            parts: class.parts,
            classes: vec![class],
            ..Inventory::default()
        };
        assert_eq!(few_examples(&inventory), None);
    }
}
