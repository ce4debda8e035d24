//! Option paths to places: `shares[0].proto`, `credentialFiles.tls.key`.

use crate::tree::{Node, Offset};

/// The place of the option at `path`, or of the nearest table or list that would hold it.
pub fn locate(vm: &Node, path: &str) -> Offset {
    let (mut node, mut rest) = (vm, path);
    while let Some((next, left)) = step(node, rest) {
        (node, rest) = (next, left);
    }
    node.at
}

/// One part further along the path; names may hold dots, so the longest that fits is taken.
fn step<'a, 'p>(node: &'a Node, path: &'p str) -> Option<(&'a Node, &'p str)> {
    let path = path.strip_prefix('.').unwrap_or(path);
    if let Some(indexed) = path.strip_prefix('[') {
        let (index, left) = indexed.split_once(']')?;
        return Some((node.items().get(index.parse::<usize>().ok()?)?, left));
    }
    let fits = |key: &str| {
        let left = path
            .strip_prefix(key)
            .or_else(|| path.strip_prefix('"')?.strip_prefix(key)?.strip_prefix('"'))?;
        (left.is_empty() || left.starts_with(['.', '['])).then_some(left)
    };
    node.entries()
        .iter()
        .filter_map(|entry| Some((entry, fits(&entry.key)?)))
        .max_by_key(|(entry, _)| entry.key.len())
        .map(|(entry, left)| (&entry.node, left))
}
