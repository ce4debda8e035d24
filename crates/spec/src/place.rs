//! Offsets into lines and columns.

use crate::tree::Offset;

/// Where the lines of a text begin.
#[derive(Clone, Debug)]
pub struct Lines {
    text: String,
    starts: Vec<Offset>,
}

impl Lines {
    pub fn of(text: &str) -> Self {
        let after_breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            text: text.to_owned(),
            starts: std::iter::once(0).chain(after_breaks).collect(),
        }
    }

    /// Line and column, both from 1, the column in characters.
    pub fn place(&self, at: Offset) -> (usize, usize) {
        let at = at.min(self.text.len());
        let line = self.starts.partition_point(|start| *start <= at);
        let start = self.starts[line - 1];
        let before = self.text.get(start..at).unwrap_or_default();
        (line, before.chars().count() + 1)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0, (1, 1))]
    #[case(1, (1, 2))]
    #[case(2, (2, 1))]
    #[case(4, (2, 2))]
    #[case(99, (2, 3))]
    fn lines(#[case] at: usize, #[case] place: (usize, usize)) {
        assert_eq!(Lines::of("a\néb").place(at), place);
    }
}
