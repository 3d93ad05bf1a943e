//! What steps measured, read from the device now and then: a read waits for all that is queued there.

use candle_core::{DType, Device, Result, Tensor};

use super::task::{Loss, Sums};

/// Steps between two reads on a device that works while the program goes on.
const READ_EVERY: usize = 50;

/// The losses and measures of steps that have not been read yet.
#[derive(Debug)]
pub(super) struct Tally {
    /// Unread steps that are enough for a read.
    pub(super) read_every: usize,
    steps: Vec<u64>,
    losses: Vec<Tensor>,
    sums: Vec<Sums>,
}

/// What one step measured.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Measured {
    /// The step.
    pub(super) step: u64,
    /// The loss, a mean over the batch.
    pub(super) loss: f64,
    /// For every measure of the task, its sum over the batch.
    pub(super) sums: Vec<f64>,
}

impl Tally {
    /// An empty one for steps on `device`: on the CPU, where a read waits for nothing, every step is due.
    pub(super) fn new(device: &Device) -> Self {
        Self {
            read_every: if device.is_cpu() { 1 } else { READ_EVERY },
            steps: Vec::new(),
            losses: Vec::new(),
            sums: Vec::new(),
        }
    }

    /// Takes in a step.
    pub(super) fn push(&mut self, step: u64, loss: &Loss) {
        self.steps.push(step);
        self.losses.push(loss.value.detach());
        self.sums.push(loss.sums.clone());
    }

    /// Whether it is time to read.
    pub(super) fn is_due(&self) -> bool {
        self.steps.len() >= self.read_every
    }

    /// Every step since the last time, in their order.
    ///
    /// # Errors
    /// When the device has failed.
    pub(super) fn read(&mut self) -> Result<Vec<Measured>> {
        let losses = scalars(&std::mem::take(&mut self.losses))?;
        let sums = values(&std::mem::take(&mut self.sums))?;
        let steps = std::mem::take(&mut self.steps);
        let measured = steps.into_iter().zip(losses).zip(sums);
        Ok(measured
            .map(|((step, loss), sums)| Measured { step, loss, sums })
            .collect())
    }
}

/// The sums of many batches as numbers, in one transfer.
///
/// # Errors
/// When the device has failed.
pub fn values(batches: &[Sums]) -> Result<Vec<Vec<f64>>> {
    let queued: Vec<Tensor> = batches
        .iter()
        .flat_map(|sums| match sums {
            Sums::Known(_) => &[],
            Sums::Queued(scalars) => scalars.as_slice(),
        })
        .map(|(scalar, _)| scalar.clone())
        .collect();
    let mut read = scalars(&queued)?.into_iter();
    Ok(batches
        .iter()
        .map(|sums| match sums {
            Sums::Known(values) => values.clone(),
            Sums::Queued(scalars) => scalars
                .iter()
                .zip(&mut read)
                .map(|((_, factor), value)| factor * value)
                .collect(),
        })
        .collect())
}

/// The values of scalars of one device, in one transfer.
///
/// # Errors
/// When the device has failed.
pub(super) fn scalars(scalars: &[Tensor]) -> Result<Vec<f64>> {
    if scalars.is_empty() {
        return Ok(Vec::new());
    }
    let flat = scalars
        .iter()
        .map(|scalar| scalar.detach().to_dtype(DType::F32)?.reshape(1))
        .collect::<Result<Vec<_>>>()?;
    let read: Vec<f32> = Tensor::cat(&flat, 0)?.to_vec1()?;
    Ok(read.into_iter().map(f64::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar(value: f32) -> Tensor {
        Tensor::new(value, &Device::Cpu).unwrap()
    }

    #[test]
    fn known_and_queued_sums_come_back_in_their_order() {
        let batches = [
            Sums::Queued(vec![(scalar(0.1), 3.0), (scalar(2.0), 1.0)]),
            Sums::Known(vec![0.1, 7.0]),
            Sums::Queued(vec![(scalar(0.5), 2.0), (scalar(4.0), 0.25)]),
        ];
        let read = values(&batches).unwrap();
        let first = 3.0 * f64::from(0.1f32);
        assert_eq!(read, [[first, 2.0], [0.1, 7.0], [1.0, 1.0]]);
        assert!(values(&[]).unwrap().is_empty());
    }

    #[test]
    fn steps_are_read_when_they_are_due_or_asked_for() {
        let mut tally = Tally::new(&Device::Cpu);
        assert!(!tally.is_due());
        let loss = |value| Loss {
            value: scalar(value),
            sums: Sums::Queued(vec![(scalar(value), 2.0)]),
        };
        tally.push(4, &loss(1.0));
        assert!(tally.is_due());
        tally.read_every = 3;
        assert!(!tally.is_due());
        tally.push(5, &loss(f32::NAN));
        tally.push(6, &loss(2.5));
        assert!(tally.is_due());
        let read = tally.read().unwrap();
        assert_eq!(read.iter().map(|m| m.step).collect::<Vec<_>>(), [4, 5, 6]);
        assert_eq!((read[0].loss, &read[0].sums), (1.0, &vec![2.0]));
        assert!(read[1].loss.is_nan());
        assert_eq!((read[2].loss, &read[2].sums), (2.5, &vec![5.0]));
        assert!(!tally.is_due() && tally.read().unwrap().is_empty());
    }
}
