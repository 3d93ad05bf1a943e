//! Several panels in one picture.

use super::canvas::{Canvas, Rect};

/// Something that can be drawn into a rectangle of a figure.
pub trait Panel: sealed::Draw {}

pub(super) mod sealed {
    use super::{Canvas, Rect};

    /// Drawing stays inside this module tree: the canvas is no public type.
    pub trait Draw {
        /// Draws the whole panel, its title and labels included, inside `frame`.
        #[expect(
            private_interfaces,
            reason = "a sealed trait: nobody outside can call it"
        )]
        fn draw(&self, canvas: &mut Canvas, frame: Rect);
    }
}

/// A grid of panels under one title.
pub struct Figure {
    title: String,
    columns: usize,
    panel: (f64, f64),
    panels: Vec<Box<dyn Panel>>,
}

impl Figure {
    /// An empty figure of `columns` columns (at least one), panels of 340 by 280 pixels.
    pub fn new(title: impl Into<String>, columns: usize) -> Self {
        Self {
            title: title.into(),
            columns: columns.max(1),
            panel: (340.0, 280.0),
            panels: Vec::new(),
        }
    }

    /// The size of each panel in pixels, at least 160 by 140.
    #[must_use]
    pub fn panel_size(mut self, width: f64, height: f64) -> Self {
        self.panel = (width.max(160.0), height.max(140.0));
        self
    }

    /// Adds a panel after the others, row by row.
    #[must_use]
    pub fn panel(mut self, panel: impl Panel + 'static) -> Self {
        self.panels.push(Box::new(panel));
        self
    }

    /// The figure as an SVG document.
    pub fn svg(&self) -> String {
        self.drawn().svg()
    }

    /// The figure as a PNG file, twice as many pixels each way as the SVG has.
    pub fn png(&self) -> Vec<u8> {
        self.drawn().png()
    }

    fn drawn(&self) -> Canvas {
        const EDGE: f64 = 12.0;
        let head = if self.title.is_empty() { 0.0 } else { 30.0 };
        let columns = self.columns.min(self.panels.len().max(1));
        let rows = self.panels.len().div_ceil(columns);
        let (w, h) = self.panel;
        let width = columns as f64 * w + 2.0 * EDGE;
        let mut canvas = Canvas::new(width, rows as f64 * h + head + 2.0 * EDGE);
        if head > 0.0 {
            let at = (width / 2.0, EDGE + 17.0);
            canvas.title(at, 16.0, width - 2.0 * EDGE, &self.title);
        }
        for (i, panel) in self.panels.iter().enumerate() {
            let frame = Rect {
                x: EDGE + (i % columns) as f64 * w,
                y: EDGE + head + (i / columns) as f64 * h,
                width: w,
                height: h,
            };
            panel.draw(&mut canvas, frame);
        }
        canvas
    }
}
