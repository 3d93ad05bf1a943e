//! Axes: from data to pixels, and where the ticks stand.

use super::dates;

/// How an axis maps numbers to lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scale {
    /// Equal differences are equal lengths.
    #[default]
    Linear,
    /// Equal ratios are equal lengths; numbers that are not positive are gaps.
    Log,
    /// Linear, the numbers being seconds since 1970-01-01 00:00:00 and shown as dates.
    Dates,
}

/// One axis over a range of data, mapped onto pixels.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

/// A tick: where it stands in the data, and its label (empty: a minor tick).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    pub(super) value: f64,
    pub(super) label: String,
}

impl Axis {
    /// The axis that shows all of `values`, with a little room where `pad` asks for it, from pixel `from` to `to`.
    pub(super) fn fit(
        scale: Scale,
        values: impl Iterator<Item = f64>,
        pad: f64,
        (from, to): (f64, f64),
    ) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for v in values.filter(|v| v.is_finite() && (scale != Scale::Log || *v > 0.0)) {
            let v = if scale == Scale::Log { v.log10() } else { v };
            low = low.min(v);
            high = high.max(v);
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        let span = high - low;
        let smallest = if scale == Scale::Log {
            0.2
        } else {
            1e-9 * low.abs().max(high.abs()).max(1e-300)
        };
        if span <= smallest {
            let room = match scale {
                Scale::Linear if low != 0.0 => 0.1 * low.abs(),
                Scale::Dates => 1.0,
                _ => 0.5,
            };
            (low, high) = (low - room, high + room);
        } else {
            (low, high) = (low - pad * span, high + pad * span);
        }
        Self {
            scale,
            low,
            high,
            from,
            to,
        }
    }

    /// The pixel of `value`, where the value can be shown.
    pub(super) fn pixel(&self, value: f64) -> Option<f64> {
        let v = match self.scale {
            Scale::Linear | Scale::Dates => value,
            Scale::Log if value > 0.0 => value.log10(),
            Scale::Log => return None,
        };
        let pixel = self.from + (v - self.low) / (self.high - self.low) * (self.to - self.from);
        pixel.is_finite().then_some(pixel)
    }

    /// At most about `most` labelled ticks inside the range, in rising order.
    pub(super) fn ticks(&self, most: usize) -> Vec<Tick> {
        match self.scale {
            Scale::Linear => linear_ticks(self.low, self.high, most),
            Scale::Log => log_ticks(self.low, self.high, most),
            Scale::Dates => dates::ticks(self.low, self.high, most),
        }
    }
}

/// Steps of 1, 2 or 5 times a power of ten.
fn linear_ticks(low: f64, high: f64, most: usize) -> Vec<Tick> {
    let rough = (high - low) / most.max(1) as f64;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|m| m * power)
        .find(|s| *s >= rough * (1.0 - 1e-9))
        .unwrap_or(10.0 * power);
    let (first, last) = ((low / step - 1e-9).ceil(), (high / step + 1e-9).floor());
    (0..=(last - first).clamp(0.0, 50.0) as usize)
        .map(|i| {
            let value = (first + i as f64) * step;
            Tick {
                value,
                label: label(value, step),
            }
        })
        .collect()
}

/// `value` with the digits that a step of `step` needs; powers of ten where plain digits would be long.
fn label(value: f64, step: f64) -> String {
    let largest = value.abs().max(step);
    if value.abs() < step * 1e-6 {
        return "0".to_string();
    }
    if !(1e-3..1e6).contains(&largest) {
        let exponent = value.abs().log10().floor() as i32;
        let digits = (f64::from(exponent) - step.log10().floor()).clamp(0.0, 6.0) as usize;
        let mantissa = value / 10f64.powi(exponent);
        return minus(&format!("{mantissa:.digits$}e{exponent}"));
    }
    let digits = (-step.log10().floor()).clamp(0.0, 9.0) as usize;
    minus(&format!("{value:.digits$}"))
}

/// The typographic minus sign, as wide as a digit.
fn minus(text: &str) -> String {
    text.replace('-', "\u{2212}")
}

/// Decades (with unlabelled 2…9 between them when there is room), or 1-2-5 steps within less than two decades.
fn log_ticks(low: f64, high: f64, most: usize) -> Vec<Tick> {
    let (first, last) = ((low - 1e-9).ceil() as i32, (high + 1e-9).floor() as i32);
    let mut ticks = Vec::new();
    if last - first < 1 {
        for decade in (low.floor() as i32)..=(high.ceil() as i32) {
            for m in [1.0, 2.0, 3.0, 5.0, 7.0] {
                let value = m * 10f64.powi(decade);
                if (low..=high).contains(&value.log10()) {
                    ticks.push(Tick {
                        value,
                        label: label(value, value),
                    });
                }
            }
        }
        return ticks;
    }
    let skip = ((last - first) / most.max(1) as i32 + 1).max(1);
    for decade in (first - 1)..=last {
        if decade >= first {
            ticks.push(Tick {
                value: 10f64.powi(decade),
                label: if decade.rem_euclid(skip) == 0 {
                    power_of_ten(decade)
                } else {
                    String::new()
                },
            });
        }
        if last - first <= 3 {
            for m in 2..10 {
                let value = f64::from(m) * 10f64.powi(decade);
                if (low..=high).contains(&value.log10()) {
                    ticks.push(Tick {
                        value,
                        label: String::new(),
                    });
                }
            }
        }
    }
    ticks
}

fn power_of_ten(exponent: i32) -> String {
    match exponent {
        0 => return "1".to_string(),
        1 => return "10".to_string(),
        2 => return "100".to_string(),
        _ => {}
    }
    let mut text = String::from("10");
    for c in exponent.to_string().chars() {
        text.push(match c {
            '-' => '\u{207b}',
            '1' => '\u{b9}',
            '2' => '\u{b2}',
            '3' => '\u{b3}',
            c => char::from_u32(0x2070 + c.to_digit(10).unwrap_or(0)).unwrap_or(c),
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(ticks: &[Tick]) -> Vec<&str> {
        ticks
            .iter()
            .map(|t| t.label.as_str())
            .filter(|l| !l.is_empty())
            .collect()
    }

    #[test]
    fn linear_labels_are_round() {
        let axis = Axis::fit(Scale::Linear, [0.0, 1.0].into_iter(), 0.0, (0.0, 100.0));
        assert_eq!(
            labels(&axis.ticks(5)),
            ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]
        );
        assert_eq!(axis.pixel(0.25), Some(25.0));
    }

    #[test]
    fn log_labels_are_decades() {
        let axis = Axis::fit(
            Scale::Log,
            [1e-4, 1.0, 0.0, -3.0].into_iter(),
            0.0,
            (100.0, 0.0),
        );
        assert_eq!(
            labels(&axis.ticks(6)),
            [
                "10\u{207b}\u{2074}",
                "10\u{207b}\u{b3}",
                "10\u{207b}\u{b2}",
                "10\u{207b}\u{b9}",
                "1"
            ]
        );
        assert_eq!(axis.pixel(0.0), None);
        assert!(axis.pixel(1e-2).is_some_and(|p| (p - 50.0).abs() < 1e-9));
    }

    #[test]
    fn constant_and_empty_data_have_a_range() {
        for values in [vec![], vec![0.0], vec![5.0, 5.0], vec![f64::NAN]] {
            for scale in [Scale::Linear, Scale::Log] {
                let axis = Axis::fit(scale, values.iter().copied(), 0.05, (0.0, 10.0));
                assert!(!labels(&axis.ticks(5)).is_empty(), "{values:?} {scale:?}");
            }
        }
    }
}
