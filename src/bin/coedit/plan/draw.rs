//! What the two panels of the picture share: scales, axes, text.

use std::fmt::Write;

/// An SVG in the making. Each shape has its colour for light backgrounds and a class that changes it in the dark.
#[derive(Default)]
pub(super) struct Drawing {
    pub(super) shapes: String,
}

/// What something is drawn in: its class and its colour on a light background.
#[derive(Clone, Copy)]
pub(super) struct Ink(pub(super) &'static str, pub(super) &'static str);

pub(super) const TEXT: Ink = Ink("text", "#1f2933");
pub(super) const SOFT: Ink = Ink("soft", "#5b6675");
pub(super) const GRID: Ink = Ink("grid", "#dfe3e8");
pub(super) const BLUE: Ink = Ink("blue", "#2467a8");
pub(super) const GREEN: Ink = Ink("green", "#0b7a55");
pub(super) const VIOLET: Ink = Ink("violet", "#7a3fb5");
pub(super) const AMBER: Ink = Ink("amber", "#a85a00");
pub(super) const RED: Ink = Ink("red", "#c8261d");

/// The same inks on a dark background.
pub(super) const DARK: [(&str, &str); 8] = [
    ("text", "#e6e9ee"),
    ("soft", "#a3adba"),
    ("grid", "#2d353f"),
    ("blue", "#6fb1f2"),
    ("green", "#45cf9b"),
    ("violet", "#c59bf5"),
    ("amber", "#f0ad4a"),
    ("red", "#ff7369"),
];

/// How a line is drawn.
#[derive(Clone, Copy)]
pub(super) enum Pen {
    Full(f64),
    Dashed(f64),
}

/// Where a text is held.
#[derive(Clone, Copy)]
pub(super) enum Held {
    Left,
    Middle,
    Right,
}

impl Drawing {
    pub(super) fn text(&mut self, (x, y): (f64, f64), held: Held, size: u32, ink: Ink, text: &str) {
        let anchor = match held {
            Held::Left => "start",
            Held::Middle => "middle",
            Held::Right => "end",
        };
        let Ink(class, colour) = ink;
        self.add(&format!(
            r#"<text class="{class}" x="{x:.1}" y="{y:.1}" fill="{colour}" font-size="{size}" text-anchor="{anchor}">{}</text>"#,
            escaped(text)
        ));
    }

    /// Text that is read from below, centred at a point.
    pub(super) fn upward(&mut self, (x, y): (f64, f64), text: &str) {
        let Ink(class, colour) = SOFT;
        self.add(&format!(
            r#"<text class="{class}" transform="translate({x:.1} {y:.1}) rotate(-90)" fill="{colour}" font-size="12" text-anchor="middle">{}</text>"#,
            escaped(text)
        ));
    }

    /// A path of the form that SVG has for it, as a line.
    pub(super) fn line(&mut self, ink: Ink, pen: Pen, path: &str) {
        let Ink(class, colour) = ink;
        let (width, dashes) = match pen {
            Pen::Full(width) => (width, ""),
            Pen::Dashed(width) => (width, r#" stroke-dasharray="6 4""#),
        };
        self.add(&format!(
            r#"<path class="{class} line" d="{path}" fill="none" stroke="{colour}" stroke-width="{width:.1}"{dashes}/>"#
        ));
    }

    /// The same as an area, faint.
    pub(super) fn area(&mut self, ink: Ink, path: &str) {
        let Ink(class, colour) = ink;
        self.add(&format!(r#"<path class="{class}" d="{path}" fill="{colour}" fill-opacity="0.15"/>"#));
    }

    pub(super) fn dot(&mut self, ink: Ink, (x, y): (f64, f64), radius: f64) {
        let Ink(class, colour) = ink;
        self.add(&format!(
            r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="{radius:.1}" fill="{colour}"/>"#
        ));
    }

    /// The key of a panel: what each line is, in a row from `left`.
    pub(super) fn legend(&mut self, (left, y): (f64, f64), lines: &[(Ink, Pen, String)]) {
        let mut x = left;
        for (ink, pen, name) in lines {
            self.line(*ink, *pen, &format!("M{x:.1} {:.1}h24", y - 4.0));
            self.text((x + 30.0, y), Held::Left, 12, TEXT, name);
            x += 52.0 + width(name);
        }
    }

    fn add(&mut self, shape: &str) {
        self.shapes.push_str(shape);
        self.shapes.push('\n');
    }
}

/// A rectangle of the picture and the numbers that its sides stand for.
#[derive(Clone, Copy)]
pub(super) struct Panel {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
    /// At the left and at the right.
    pub(super) across: (f64, f64),
    /// At the bottom and at the top.
    pub(super) up: (f64, f64),
}

impl Panel {
    /// Where a number across is, never outside.
    pub(super) fn x(&self, number: f64) -> f64 {
        between(number, self.across, (self.left, self.right))
    }

    pub(super) fn y(&self, number: f64) -> f64 {
        between(number, self.up, (self.bottom, self.top))
    }

    /// The frame at the bottom and a line at each height, labelled.
    pub(super) fn heights(&self, drawing: &mut Drawing, labels: &[(f64, String)]) {
        for (number, label) in labels {
            let y = self.y(*number);
            drawing.line(GRID, Pen::Full(1.0), &format!("M{:.1} {y:.1}H{:.1}", self.left, self.right));
            drawing.text((self.left - 8.0, y + 4.0), Held::Right, 12, SOFT, label);
        }
        let bottom = self.bottom;
        drawing.line(SOFT, Pen::Full(1.0), &format!("M{:.1} {bottom:.1}H{:.1}", self.left, self.right));
    }

    /// A stroke and a label below at each place.
    pub(super) fn places(&self, drawing: &mut Drawing, labels: &[(f64, String)], title: &str) {
        for (number, label) in labels {
            let x = self.x(*number);
            drawing.line(SOFT, Pen::Full(1.0), &format!("M{x:.1} {:.1}v5", self.bottom));
            drawing.text((x, self.bottom + 19.0), Held::Middle, 12, SOFT, label);
        }
        drawing.text(
            (f64::midpoint(self.left, self.right), self.bottom + 38.0),
            Held::Middle,
            12,
            SOFT,
            title,
        );
    }
}

fn between(number: f64, (from, to): (f64, f64), (low, high): (f64, f64)) -> f64 {
    let part = if to > from { ((number - from) / (to - from)).clamp(0.0, 1.0) } else { 0.0 };
    low + part * (high - low)
}

/// About `count` round numbers from 0 to `to`, as labels.
pub(super) fn round_numbers(to: f64, count: f64) -> Vec<(f64, String)> {
    let rough = (to / count).max(1.0);
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|times| times * power).find(|step| *step >= rough);
    let step = step.unwrap_or(rough);
    let numbers = (0..).map(|times| f64::from(times) * step);
    numbers.take_while(|number| *number <= to).map(|number| (number, format!("{number:.0}"))).collect()
}

/// About how wide a text of 12 pixels is.
#[expect(clippy::cast_precision_loss, reason = "texts are short")]
pub(super) fn width(text: &str) -> f64 {
    text.chars().count() as f64 * 6.4
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            // XML has no way to write most of them.
            _ if character.is_control() => escaped.push(' '),
            _ => escaped.push(character),
        }
    }
    escaped
}

/// Appends a command of a path.
pub(super) fn step(path: &mut String, command: char, numbers: &[f64]) {
    path.push(command);
    for (position, number) in numbers.iter().enumerate() {
        let space = if position == 0 { "" } else { " " };
        // A string takes all that is written to it.
        let _ = write!(path, "{space}{number:.1}");
    }
}
