//! Values as crosvm's parser of `key=value` lists reads them.

use std::path::Path;

/// A value, in double quotes where it would end early.
pub(super) fn quoted(value: &str) -> String {
    let ends = |c: char| matches!(c, ',' | '[' | ']' | '"' | '\'');
    if !value.is_empty() && !value.contains(ends) {
        return value.to_owned();
    }
    let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}

pub(super) fn path(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_do_not_end_early() {
        assert_eq!(quoted("/var/a b=c.img"), "/var/a b=c.img");
        assert_eq!(quoted("a,b"), "\"a,b\"");
        assert_eq!(quoted(r#"a"\[b"#), r#""a\"\\[b""#);
        assert_eq!(quoted(""), "\"\"");
    }
}
