//! The upper panel: connections over time against the limit, and who fell back.

use coedit::Timestamp;
use coedit::capacity::Stretch;

use super::draw::{AMBER, BLUE, Drawing, Held, Panel, Pen, RED, TEXT, round_numbers, step};

/// What was open from one moment to another.
pub(super) struct Course {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    /// The name of the axis.
    pub(super) time: &'static str,
    pub(super) stretches: Vec<Stretch>,
    pub(super) limit: u32,
}

impl Course {
    pub(super) fn draw(&self, drawing: &mut Drawing, (top, bottom): (f64, f64), (left, right): (f64, f64)) {
        let most = self.stretches.iter().map(|stretch| stretch.most).max().unwrap_or_default();
        // A limit far above all that was would press the course flat.
        let drawn = self.limit <= most.saturating_mul(3).max(5);
        let height = f64::from(if drawn { most.max(self.limit) } else { most }.max(1)) * 1.1;
        let across = (number(self.from), number(self.to));
        let panel = Panel { left, right, top, bottom, across, up: (0.0, height) };
        panel.heights(drawing, &round_numbers(height, 5.0));
        panel.places(drawing, &times(self.from, self.to), self.time);
        drawing.upward((left - 70.0, f64::midpoint(top, bottom)), "connections");

        let line = self.line(&panel);
        drawing.area(BLUE, &format!("{line}V{bottom:.1}H{left:.1}Z"));
        drawing.line(BLUE, Pen::Full(1.2), &line);
        drawing.line(RED, Pen::Full(1.6), &self.fallbacks(&panel));
        if drawn {
            let y = panel.y(f64::from(self.limit));
            drawing.line(AMBER, Pen::Dashed(1.8), &format!("M{left:.1} {y:.1}H{right:.1}"));
        }
        let limit = if drawn {
            format!("limit of {}", self.limit)
        } else {
            format!("limit of {} (above the picture)", self.limit)
        };
        let legend = [
            (BLUE, Pen::Full(3.0), "open, were none refused".to_owned()),
            (AMBER, Pen::Dashed(1.8), limit),
            (RED, Pen::Full(3.0), "somebody fell back to view-only".to_owned()),
        ];
        drawing.legend((left, top - 12.0), &legend);
        if self.stretches.is_empty() {
            drawing.text(
                (f64::midpoint(left, right), f64::midpoint(top, bottom)),
                Held::Middle,
                12,
                TEXT,
                "nobody came",
            );
        }
    }

    /// Each stretch is as high as its highest moment.
    fn line(&self, panel: &Panel) -> String {
        let mut path = String::new();
        for (position, stretch) in self.stretches.iter().enumerate() {
            let (x, y) = (panel.x(number(stretch.from)), panel.y(f64::from(stretch.most)));
            if position == 0 {
                step(&mut path, 'M', &[panel.left, y]);
            } else {
                step(&mut path, 'H', &[x]);
                step(&mut path, 'V', &[y]);
            }
        }
        if !path.is_empty() {
            step(&mut path, 'H', &[panel.right]);
        }
        path
    }

    /// A stroke from the limit up past what was wanted, wherever somebody fell back.
    fn fallbacks(&self, panel: &Panel) -> String {
        let mut path = String::new();
        for stretch in self.stretches.iter().filter(|stretch| stretch.falls_back(self.limit)) {
            step(&mut path, 'M', &[panel.x(number(stretch.from)), panel.y(f64::from(self.limit))]);
            step(&mut path, 'V', &[panel.y(f64::from(stretch.most)) - 8.0]);
        }
        path
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds in 285,000 years are exact")]
fn number(at: Timestamp) -> f64 {
    at.as_millis() as f64
}

/// At most nine round moments in a span, as labels.
fn times(from: Timestamp, to: Timestamp) -> Vec<(f64, String)> {
    let span = to.as_millis().saturating_sub(from.as_millis());
    let millis = STEPS.iter().map(|minutes| minutes * 60_000).find(|millis| span / millis <= 8);
    let millis = millis.unwrap_or(span / 8 + 1);
    let first = from.as_millis().div_ceil(millis);
    let label = |at: Timestamp| {
        let text = at.to_string();
        let (days, hours) = (millis % 86_400_000 == 0, text.get(11..16).unwrap_or_default());
        let day = text.get(..10).unwrap_or_default();
        if days {
            day.to_owned()
        } else if span < 86_400_000 {
            hours.to_owned()
        } else {
            format!("{} {hours}", day.get(5..).unwrap_or_default())
        }
    };
    let moments = (first..).map(|times| Timestamp::from_millis(times * millis));
    let within = moments.take(9).filter(|at| (from..=to).contains(at));
    within.map(|at| (number(at), label(at))).collect()
}

/// Minutes between two labels.
const STEPS: [u64; 22] = [
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    180,
    360,
    720,
    1_440,
    2_880,
    10_080,
    43_200,
    131_040,
    262_080,
    525_600,
    1_051_200,
    2_628_000,
    5_256_000,
    525_600_000,
];
