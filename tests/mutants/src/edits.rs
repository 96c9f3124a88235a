//! Changes of a source text that may lie inside each other.

use std::ops::Range;

/// A piece of the new text.
#[derive(Clone, Debug)]
pub enum Piece {
    Text(String),
    /// A range of the old text, with the edits inside it.
    Old(Range<usize>),
}

/// Replaces a range of the old text. An empty range inserts.
#[derive(Clone, Debug)]
pub struct Edit {
    pub range: Range<usize>,
    pub pieces: Vec<Piece>,
    /// The numbers of its mutants.
    pub mutants: Vec<u32>,
}

/// The new text, and where the mutants are in it.
#[derive(Debug, Default)]
pub struct Edited {
    pub text: String,
    pub places: Vec<(Range<usize>, Vec<u32>)>,
}

impl Edited {
    /// The mutants of the innermost edit around an offset of the new text.
    pub fn at(&self, offset: usize) -> Option<&[u32]> {
        let around = self.places.iter().filter(|(range, _)| range.contains(&offset));
        around.min_by_key(|(range, _)| range.len()).map(|(_, mutants)| mutants.as_slice())
    }
}

/// Carries out all edits.
pub fn apply(old: &str, mut edits: Vec<Edit>) -> Edited {
    edits.sort_by_key(|edit| (edit.range.start, usize::MAX - edit.range.end));
    let mut edited = Edited::default();
    copy(old, &edits, 0..old.len(), &mut edited);
    edited
}

fn copy(old: &str, edits: &[Edit], range: Range<usize>, edited: &mut Edited) {
    let mut position = range.start;
    for (index, edit) in edits.iter().enumerate() {
        if edit.range.start >= range.end {
            break;
        }
        if edit.range.start < position || edit.range.end > range.end {
            continue;
        }
        edited.text.push_str(&old[position..edit.range.start]);
        let start = edited.text.len();
        for piece in &edit.pieces {
            match piece {
                Piece::Text(text) => edited.text.push_str(text),
                Piece::Old(inner) => copy(old, &edits[index + 1..], inner.clone(), edited),
            }
        }
        edited.places.push((start..edited.text.len(), edit.mutants.clone()));
        position = edit.range.end;
    }
    edited.text.push_str(&old[position..range.end]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(range: Range<usize>, pieces: Vec<Piece>, mutant: u32) -> Edit {
        Edit { range, pieces, mutants: vec![mutant] }
    }

    fn text(text: &str) -> Piece {
        Piece::Text(text.to_owned())
    }

    #[test]
    fn edits_lie_inside_each_other() {
        let inner = edit(4..5, vec![text("<"), Piece::Old(4..5), text(">")], 1);
        let outer = edit(2..7, vec![text("["), Piece::Old(2..7), text("]")], 0);
        let insertion = edit(2..2, vec![text("!")], 2);
        let edited = apply("01234567", vec![inner, outer, insertion]);
        assert_eq!(edited.text, "01[!23<4>56]7");
        assert_eq!(edited.at(7), Some(&[1][..]));
        assert_eq!(edited.at(10), Some(&[0][..]));
        assert_eq!(edited.at(0), None);
    }

    #[test]
    fn a_part_may_be_there_twice() {
        let twice =
            edit(0..3, vec![Piece::Old(0..1), text("-"), Piece::Old(2..3), text("|"), Piece::Old(0..3)], 0);
        let inner = edit(2..3, vec![text("c")], 1);
        assert_eq!(apply("a+b", vec![twice, inner]).text, "a-c|a+c");
    }
}
