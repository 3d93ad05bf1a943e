//! A series that lies on a device, and windows made there: only their starts are sent.

use candle_core::{Device, Result, Tensor};

/// The rows of a scaled series on a device.
#[derive(Debug, Clone)]
pub(super) struct ResidentRows {
    /// `[rows, columns]`
    rows: Tensor,
    /// 0 to the length of a window: `[1, length]`, u32.
    offsets: Tensor,
}

impl ResidentRows {
    /// `values` row after row, for windows of `length` rows.
    pub(super) fn new(
        values: &[f32],
        columns: usize,
        length: usize,
        device: &Device,
    ) -> Result<Self> {
        let rows = values.len() / columns.max(1);
        Ok(Self {
            rows: Tensor::from_slice(values, (rows, columns), device)?,
            offsets: Tensor::arange(0, length as u32, device)?.unsqueeze(0)?,
        })
    }

    /// The windows that begin at these rows, `[windows, length, columns]`.
    pub(super) fn windows(&self, starts: &[usize]) -> Result<Tensor> {
        let (count, length) = (starts.len(), self.offsets.dim(1)?);
        let starts: Vec<u32> = starts.iter().map(|&start| start as u32).collect();
        let starts = Tensor::from_vec(starts, (count, 1), self.rows.device())?;
        let rows = starts.broadcast_add(&self.offsets)?.flatten_all()?;
        let windows = self.rows.index_select(&rows, 0)?;
        windows.reshape((count, length, self.rows.dim(1)?))
    }
}
