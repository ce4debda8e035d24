//! Values that alioth's parser would cut in two, handed over beside the option that has them.

use std::path::Path;

/// What `--object` carries. Names begin with `id_`, which alone the parser looks up.
#[derive(Default)]
pub(super) struct Objects(Vec<String>);

impl Objects {
    /// What stands for a path within an option: itself where nothing in it separates anything.
    pub fn path(&mut self, path: &Path) -> String {
        self.value(path.display().to_string())
    }

    pub fn value(&mut self, value: String) -> String {
        if !value.contains([',', '=']) && !value.starts_with("id_") {
            return value;
        }
        let id = format!("id_{}", self.0.len());
        self.0.push(format!("{id},{value}"));
        id
    }

    pub fn into_vec(self) -> Vec<String> {
        self.0
    }
}
