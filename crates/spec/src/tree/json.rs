//! JSON (RFC 8259, nothing more) into a [`Node`].

use jsonc_parser::ast::{Object, Value as Ast};
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use super::{Entry, Node, SyntaxError, Value};

const STRICT: ParseOptions = ParseOptions {
    allow_comments: false,
    allow_loose_object_property_names: false,
    allow_trailing_commas: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// Reads a document; a key that is there twice is an error, as it is in TOML.
pub fn parse(text: &str) -> Result<Node, SyntaxError> {
    let parsed = parse_to_ast(text, &CollectOptions::default(), &STRICT);
    let parsed = parsed.map_err(|error| SyntaxError {
        at: error.range().start,
        message: error.kind().to_string(),
    })?;
    let value = parsed.value.ok_or_else(|| SyntaxError {
        at: 0,
        message: "Expected an object, and the text is empty".to_owned(),
    })?;
    node_of(value)
}

fn node_of(ast: Ast<'_>) -> Result<Node, SyntaxError> {
    let at = ast.range().start;
    let value = match ast {
        Ast::StringLit(text) => Value::Text(text.value.into_owned()),
        Ast::NumberLit(number) => match number.value.parse() {
            Ok(value) => Value::Int(value),
            Err(_) => Value::Other(number.value.to_owned()),
        },
        Ast::BooleanLit(boolean) => Value::Bool(boolean.value),
        Ast::NullKeyword(_) => Value::Null,
        Ast::Array(array) => {
            let items: Result<_, _> = array.elements.into_iter().map(node_of).collect();
            Value::List(items?)
        }
        Ast::Object(object) => Value::Table(entries_of(object)?),
    };
    Ok(Node { at, value })
}

fn entries_of(object: Object<'_>) -> Result<Vec<Entry>, SyntaxError> {
    let mut seen = std::collections::HashSet::new();
    let mut entries = Vec::with_capacity(object.properties.len());
    for property in object.properties {
        let key_at = property.name.range().start;
        let key = property.name.as_str().to_owned();
        if !seen.insert(key.clone()) {
            return Err(SyntaxError {
                at: key_at,
                message: format!("The key `{key}` is there twice"),
            });
        }
        let node = node_of(property.value)?;
        entries.push(Entry { key, key_at, node });
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("{\"a\": 1, \"a\": 2}", 9)]
    #[case("{\"a\": 1,}", 7)]
    #[case("// c\n{}", 0)]
    #[case("", 0)]
    #[case("{\"a\": 0x1}", 6)]
    fn refused(#[case] text: &str, #[case] at: usize) {
        assert_eq!(parse(text).unwrap_err().at, at);
    }

    #[test]
    fn deep_nesting_is_refused() {
        assert!(parse(&"[".repeat(100_000)).is_err());
    }
}
