//! A panel of the picture: its scales and its axes.

use super::drawing::{Drawing, GRID, SOFT, Stroke, TextAnchor};

/// A rectangle of the picture, in pixels.
#[derive(Clone, Copy)]
pub(super) struct Area {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
}

impl Area {
    pub(super) fn middle(&self) -> (f64, f64) {
        (f64::midpoint(self.left, self.right), f64::midpoint(self.top, self.bottom))
    }

    pub(super) fn width(&self) -> f64 {
        self.right - self.left
    }

    /// Where the last row of the legend begins.
    pub(super) fn legend(&self) -> (f64, f64) {
        (self.left, self.top - 12.0)
    }
}

/// An area of the picture with two linear scales.
#[derive(Clone, Copy)]
pub(super) struct Panel {
    pub(super) area: Area,
    /// The numbers at the left and at the right.
    pub(super) horizontal: (f64, f64),
    /// The numbers at the bottom and at the top.
    pub(super) vertical: (f64, f64),
}

/// The numbers on an axis with their labels, and the title of the axis.
pub(super) struct Axis {
    pub(super) labels: Vec<(f64, String)>,
    pub(super) title: String,
}

impl Panel {
    /// Returns the horizontal position of a number, which is never outside the panel.
    pub(super) fn x(&self, number: f64) -> f64 {
        scaled(number, self.horizontal, (self.area.left, self.area.right))
    }

    /// Returns the vertical position of a number, which is never outside the panel.
    pub(super) fn y(&self, number: f64) -> f64 {
        scaled(number, self.vertical, (self.area.bottom, self.area.top))
    }

    /// Draws both axes, with grid lines for the vertical one.
    pub(super) fn axes(&self, drawing: &mut Drawing, horizontal: &Axis, vertical: &Axis) {
        let Area { left, right, bottom, .. } = self.area;
        for (number, label) in &vertical.labels {
            let y = self.y(*number);
            drawing.line(GRID, Stroke::Solid(1.0), &format!("M{left:.1} {y:.1}H{right:.1}"));
            drawing.text((left - 8.0, y + 4.0), TextAnchor::Right.small(SOFT), label);
        }
        drawing.line(SOFT, Stroke::Solid(1.0), &format!("M{left:.1} {bottom:.1}H{right:.1}"));
        for (number, label) in &horizontal.labels {
            let x = self.x(*number);
            drawing.line(SOFT, Stroke::Solid(1.0), &format!("M{x:.1} {bottom:.1}v5"));
            drawing.text((x, bottom + 19.0), TextAnchor::Middle.small(SOFT), label);
        }
        let (x, y) = self.area.middle();
        drawing.text((x, bottom + 38.0), TextAnchor::Middle.small(SOFT), &horizontal.title);
        drawing.vertical_text((left - 70.0, y), &vertical.title);
    }
}

fn scaled(number: f64, (from, to): (f64, f64), (low, high): (f64, f64)) -> f64 {
    let part = if to > from { ((number - from) / (to - from)).clamp(0.0, 1.0) } else { 0.0 };
    low + part * (high - low)
}

/// Returns about `count` round numbers from 0 to `to`, with their labels.
pub(super) fn round_numbers(to: f64, count: f64) -> Vec<(f64, String)> {
    let rough = (to / count).max(1.0);
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|times| times * power).find(|step| *step >= rough);
    let step = step.unwrap_or(rough);
    let numbers = (0..).map(|times| f64::from(times) * step);
    numbers.take_while(|number| *number <= to).map(|number| (number, format!("{number:.0}"))).collect()
}
