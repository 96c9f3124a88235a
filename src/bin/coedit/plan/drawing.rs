//! An SVG drawing: colours, lines and text.

use std::fmt::Write;

/// A list of SVG shapes. Each shape has its colour for light backgrounds, and a class that changes it on dark ones.
#[derive(Default)]
pub(super) struct Drawing {
    pub(super) shapes: String,
}

/// The width of the picture in pixels.
pub(super) const WIDTH: f64 = 960.0;
/// The space that texts leave free at the edges.
const MARGIN: f64 = 6.0;
/// The height of a row of a legend.
pub(super) const LEGEND_ROW: f64 = 18.0;

/// A CSS class and its colour on a light background.
#[derive(Clone, Copy)]
pub(super) struct Ink(pub(super) &'static str, pub(super) &'static str);

pub(super) const TEXT: Ink = Ink("text", "#1f2933");
const LABEL: Ink = Ink("label", "#1f2933");
pub(super) const SOFT: Ink = Ink("soft", "#5b6675");
pub(super) const GRID: Ink = Ink("grid", "#dfe3e8");
pub(super) const BLUE: Ink = Ink("blue", "#2467a8");
pub(super) const GREEN: Ink = Ink("green", "#0b7a55");
pub(super) const VIOLET: Ink = Ink("violet", "#7a3fb5");
pub(super) const AMBER: Ink = Ink("amber", "#a85a00");
pub(super) const RED: Ink = Ink("red", "#c8261d");

/// The colour of each class on a dark background.
pub(super) const DARK: [(&str, &str); 9] = [
    ("label", "#e6e9ee"),
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

/// An entry of a legend.
pub(super) struct LegendLine(pub(super) Ink, pub(super) Stroke, pub(super) String);

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
    /// Draws a text. If it would be cut off at an edge of the picture, it is moved inwards.
    pub(super) fn text(&mut self, (x, y): (f64, f64), style: TextStyle, text: &str) {
        self.text_with("", (x, y), style, text);
    }

    /// Draws a text with an edge in the colour of the paper, so that it can be read on lines.
    pub(super) fn label(&mut self, (x, y): (f64, f64), anchor: TextAnchor, text: &str) {
        let edge = r##" stroke="#ffffff" stroke-width="4" stroke-linejoin="round" paint-order="stroke""##;
        self.text_with(edge, (x, y), anchor.small(LABEL), text);
    }

    fn text_with(&mut self, attributes: &str, (x, y): (f64, f64), style: TextStyle, text: &str) {
        let TextStyle { anchor, size, ink: Ink(class, colour) } = style;
        let width = width(text) * f64::from(size) / 12.0;
        let (anchor, before, after) = match anchor {
            TextAnchor::Left => ("start", 0.0, width),
            TextAnchor::Middle => ("middle", width / 2.0, width / 2.0),
            TextAnchor::Right => ("end", width, 0.0),
        };
        let x = x.min(WIDTH - MARGIN - after).max(MARGIN + before);
        self.add(&format!(
            r#"<text class="{class}" x="{x:.1}" y="{y:.1}" fill="{colour}" font-size="{size}" text-anchor="{anchor}"{attributes}>{}</text>"#,
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

    /// Fills an SVG path with a faint colour. `opacity` is at most 1.
    pub(super) fn area(&mut self, ink: Ink, opacity: f64, path: &str) {
        let Ink(class, colour) = ink;
        self.add(&format!(r#"<path class="{class}" d="{path}" fill="{colour}" fill-opacity="{opacity}"/>"#));
    }

    pub(super) fn dot(&mut self, ink: Ink, (x, y): (f64, f64), radius: f64) {
        let Ink(class, colour) = ink;
        self.add(&format!(
            r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="{radius:.1}" fill="{colour}"/>"#
        ));
    }

    /// Draws a legend in rows. The last row stands at `y`.
    pub(super) fn legend(&mut self, (left, y): (f64, f64), rows: &[Vec<LegendLine>]) {
        let heights = (0_u8..).map(|row| y - LEGEND_ROW * f64::from(row));
        for (row, y) in rows.iter().rev().zip(heights) {
            let mut x = left;
            for LegendLine(ink, stroke, name) in row {
                self.line(*ink, *stroke, &format!("M{x:.1} {:.1}h24", y - 4.0));
                self.text((x + 30.0, y), TextAnchor::Left.small(TEXT), name);
                x += legend_width(name);
            }
        }
    }

    fn add(&mut self, shape: &str) {
        self.shapes.push_str(shape);
        self.shapes.push('\n');
    }
}

/// Estimates the width of a text of 12 pixels, for a wide font.
#[expect(clippy::cast_precision_loss, reason = "texts are short")]
pub(super) fn width(text: &str) -> f64 {
    text.chars().count() as f64 * 6.6
}

fn legend_width(name: &str) -> f64 {
    52.0 + width(name)
}

/// Splits a legend into rows that are at most `width` pixels wide.
pub(super) fn legend_rows(lines: Vec<LegendLine>, width: f64) -> Vec<Vec<LegendLine>> {
    let (mut rows, mut x): (Vec<Vec<LegendLine>>, f64) = (Vec::new(), 0.0);
    for line in lines {
        x += legend_width(&line.2);
        match rows.last_mut() {
            Some(row) if x <= width => row.push(line),
            _ => {
                x = legend_width(&line.2);
                rows.push(vec![line]);
            }
        }
    }
    rows
}

/// Splits a text into lines that are at most `pixels` wide. A word that is wider is split too.
pub(super) fn wrapped(text: &str, pixels: f64) -> Vec<String> {
    let (mut lines, mut line) = (Vec::new(), String::new());
    // A percent sign stays with its number.
    let text = text.replace(" %", "\u{a0}%");
    for word in text.split(' ') {
        if !line.is_empty() && width(&line) + width(word) + width(" ") > pixels {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        for character in word.chars() {
            if width(&line) + width(" ") > pixels {
                lines.push(std::mem::take(&mut line));
            }
            line.push(character);
        }
    }
    lines.push(line);
    lines
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
