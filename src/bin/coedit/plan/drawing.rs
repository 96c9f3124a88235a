//! An SVG drawing: colours, lines and text.

use std::fmt::Write;

/// A list of SVG shapes. Each shape has its colour for light backgrounds, and a class that changes it on dark ones.
#[derive(Default)]
pub(super) struct Drawing {
    pub(super) shapes: String,
}

/// A CSS class and its colour on a light background.
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

/// The colour of each class on a dark background.
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

/// The style of a line, with its width.
#[derive(Clone, Copy)]
pub(super) enum Stroke {
    Solid(f64),
    Dashed(f64),
}

/// The style of a text.
#[derive(Clone, Copy)]
pub(super) struct TextStyle {
    pub(super) anchor: TextAnchor,
    pub(super) size: u32,
    pub(super) ink: Ink,
}

/// The part of a text that stands at its position.
#[derive(Clone, Copy)]
pub(super) enum TextAnchor {
    Left,
    Middle,
    Right,
}

impl TextAnchor {
    /// A text of the usual size.
    pub(super) const fn small(self, ink: Ink) -> TextStyle {
        TextStyle { anchor: self, size: 12, ink }
    }
}

impl Drawing {
    pub(super) fn text(&mut self, (x, y): (f64, f64), style: TextStyle, text: &str) {
        let TextStyle { anchor, size, ink: Ink(class, colour) } = style;
        let anchor = match anchor {
            TextAnchor::Left => "start",
            TextAnchor::Middle => "middle",
            TextAnchor::Right => "end",
        };
        self.add(&format!(
            r#"<text class="{class}" x="{x:.1}" y="{y:.1}" fill="{colour}" font-size="{size}" text-anchor="{anchor}">{}</text>"#,
            escaped(text)
        ));
    }

    /// Draws a text that runs from the bottom to the top, centred at a point.
    pub(super) fn vertical_text(&mut self, (x, y): (f64, f64), text: &str) {
        let Ink(class, colour) = SOFT;
        self.add(&format!(
            r#"<text class="{class}" transform="translate({x:.1} {y:.1}) rotate(-90)" fill="{colour}" font-size="12" text-anchor="middle">{}</text>"#,
            escaped(text)
        ));
    }

    /// Draws an SVG path as a line.
    pub(super) fn line(&mut self, ink: Ink, stroke: Stroke, path: &str) {
        let Ink(class, colour) = ink;
        let (width, dashes) = match stroke {
            Stroke::Solid(width) => (width, ""),
            Stroke::Dashed(width) => (width, r#" stroke-dasharray="6 4""#),
        };
        self.add(&format!(
            r#"<path class="{class} line" d="{path}" fill="none" stroke="{colour}" stroke-width="{width:.1}"{dashes}/>"#
        ));
    }

    /// Fills an SVG path with a faint colour.
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

    /// Draws the legend of a panel: the name of each line, in a row that begins at `left`.
    pub(super) fn legend(&mut self, (left, y): (f64, f64), lines: &[(Ink, Stroke, String)]) {
        let mut x = left;
        for (ink, stroke, name) in lines {
            self.line(*ink, *stroke, &format!("M{x:.1} {:.1}h24", y - 4.0));
            self.text((x + 30.0, y), TextAnchor::Left.small(TEXT), name);
            x += 52.0 + width(name);
        }
    }

    fn add(&mut self, shape: &str) {
        self.shapes.push_str(shape);
        self.shapes.push('\n');
    }
}

/// Estimates the width of a text of 12 pixels.
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
            // XML allows almost no control characters.
            _ if character.is_control() => escaped.push(' '),
            _ => escaped.push(character),
        }
    }
    escaped
}

/// Appends a command to an SVG path.
pub(super) fn push_command(path: &mut String, command: char, numbers: &[f64]) {
    path.push(command);
    for (position, number) in numbers.iter().enumerate() {
        let space = if position == 0 { "" } else { " " };
        // Writing to a string never fails.
        let _ = write!(path, "{space}{number:.1}");
    }
}
