//! The table as a tree, so that a definition can be walked along it.

use std::sync::OnceLock;

use super::{Opt, all};

/// What may stand at one place of a definition.
#[derive(Debug, Default)]
pub struct Shape {
    /// `None`: a table that only groups options.
    pub opt: Option<&'static Opt>,
    /// Members by name, sorted.
    members: Vec<(&'static str, Shape)>,
    /// Elements of a list, or members whose names are the user's own.
    each: Option<Box<Shape>>,
}

impl Shape {
    pub fn member(&self, name: &str) -> Option<&Self> {
        let at = self.members.binary_search_by_key(&name, |(name, _)| name);
        at.ok().map(|at| &self.members[at].1)
    }

    pub fn members(&self) -> impl Iterator<Item = (&'static str, &Self)> {
        self.members.iter().map(|(name, shape)| (*name, shape))
    }

    pub fn each(&self) -> Option<&Self> {
        self.each.as_deref()
    }

    fn insert(&mut self, opt: &'static Opt) {
        let place = opt.name.split('.').fold(self, Self::descend);
        place.opt = Some(opt);
    }

    fn descend<'a>(&'a mut self, part: &'static str) -> &'a mut Self {
        if part == "*" || part.starts_with('<') {
            return self.each.get_or_insert_default();
        }
        let at = match self.members.binary_search_by_key(&part, |(name, _)| name) {
            Ok(at) => at,
            Err(at) => {
                self.members.insert(at, (part, Self::default()));
                at
            }
        };
        &mut self.members[at].1
    }
}

/// The shape of one VM.
pub fn vm() -> &'static Shape {
    static SHAPE: OnceLock<Shape> = OnceLock::new();
    SHAPE.get_or_init(|| {
        let mut root = Shape::default();
        all().for_each(|opt| root.insert(opt));
        root
    })
}
