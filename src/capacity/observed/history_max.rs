//! The highest value that a count ever had, for the count of every limit at once.

/// A count for each limit from 0 up. A change adds to the counts of all limits below a number. A sample remembers for each
/// count whether it is the highest so far.
///
/// This is a segment tree in which nothing is done before it is needed. A node holds the changes and samples that its limits
/// have in common and that its children do not know yet. So a change costs the logarithm of the highest number, and a sample
/// costs one step.
#[derive(Clone, Debug)]
pub(super) struct HistoryMax<T> {
    /// The root is at 1. The children of a node are at twice its position, and next to it. The last half are the limits.
    nodes: Vec<Pending<T>>,
}

/// What happened to a count since its children were told.
#[derive(Clone, Copy, Debug)]
struct Pending<T> {
    /// The sum of the changes.
    change: i32,
    /// The highest sample, relative to the count before the changes, and its label.
    highest: Option<(i32, T)>,
}

impl<T: Copy + Ord> Pending<T> {
    const NOTHING: Self = Pending { change: 0, highest: None };

    /// Returns what happened if `later` happened after this.
    fn then(self, later: Self) -> Self {
        let highest = later.highest.map(|(value, label)| (self.change + value, label));
        Pending { change: self.change + later.change, highest: self.highest.max(highest) }
    }
}

impl<T: Copy + Ord> HistoryMax<T> {
    pub(super) fn new() -> Self {
        HistoryMax { nodes: vec![Pending::NOTHING; 2] }
    }

    /// Adds `change` to the counts of all limits below `number`.
    pub(super) fn add(&mut self, number: u32, change: i32) {
        let number = number as usize;
        while self.limits() < number {
            self.grow();
        }
        let change = Pending { change, highest: None };
        // The limits of the node, from `first` on.
        let (mut node, mut first, mut limits) = (1, 0, self.limits());
        while first + limits > number && limits > 1 {
            self.tell_children(node);
            limits /= 2;
            node *= 2;
            if first + limits <= number {
                self.nodes[node] = self.nodes[node].then(change);
                node += 1;
                first += limits;
            }
        }
        if first + limits <= number {
            self.nodes[node] = self.nodes[node].then(change);
        }
    }

    /// Compares every count with its highest sample. Of equal samples, the one with the highest label stays.
    pub(super) fn sample(&mut self, label: T) {
        self.nodes[1] = self.nodes[1].then(Pending { change: 0, highest: Some((0, label)) });
    }

    /// Returns the highest sample of the count of a limit, if it is above zero, and its label.
    pub(super) fn highest(&self, limit: u32) -> Option<(u32, T)> {
        let mut position = self.limits() + limit as usize;
        let mut all = *self.nodes.get(position)?;
        while position > 1 {
            position /= 2;
            all = all.then(self.nodes[position]);
        }
        let (value, label) = all.highest?;
        u32::try_from(value).ok().filter(|value| *value > 0).map(|value| (value, label))
    }

    fn limits(&self) -> usize {
        self.nodes.len() / 2
    }

    fn tell_children(&mut self, node: usize) {
        let news = std::mem::replace(&mut self.nodes[node], Pending::NOTHING);
        for child in [2 * node, 2 * node + 1] {
            self.nodes[child] = self.nodes[child].then(news);
        }
    }

    /// Doubles the limits. The tree becomes the left child of a new root. The counts of the new limits were always zero.
    fn grow(&mut self) {
        let mut nodes = vec![Pending::NOTHING; 2 * self.nodes.len()];
        for (position, node) in self.nodes.iter().enumerate().skip(1) {
            // A node of the level that begins at `level` moves to the level below, which has twice as many.
            let level = 1 << position.ilog2();
            nodes[position + level] = *node;
        }
        self.nodes = nodes;
    }
}
