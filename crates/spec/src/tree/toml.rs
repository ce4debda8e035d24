//! TOML into a [`Node`].

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::{Entry, Node, SyntaxError, Value};

/// Reads a document.
pub fn parse(text: &str) -> Result<Node, SyntaxError> {
    let table = DeTable::parse(text).map_err(|error| wrong(text, &error))?;
    Ok(Node {
        at: 0,
        value: table_of(table.into_inner()),
    })
}

fn wrong(text: &str, error: &toml::de::Error) -> SyntaxError {
    let span = error.span().unwrap_or(text.len()..text.len());
    let message = match (error.message(), text.get(span.clone())) {
        ("duplicate key", Some(key)) => format!("The key `{key}` is there twice"),
        (message, _) => message.lines().collect::<Vec<_>>().join(", "),
    };
    SyntaxError {
        at: span.start,
        message,
    }
}

fn table_of(table: DeTable<'_>) -> Value {
    let entries = table.into_iter().map(|(key, value)| Entry {
        key_at: key.span().start,
        key: key.into_inner().into_owned(),
        node: node_of(value),
    });
    Value::Table(entries.collect())
}

fn node_of(spanned: Spanned<DeValue<'_>>) -> Node {
    let at = spanned.span().start;
    let value = match spanned.into_inner() {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(number) => integer(&number),
        DeValue::Float(number) => Value::Other(number.as_str().to_owned()),
        DeValue::Boolean(value) => Value::Bool(value),
        DeValue::Datetime(date) => Value::Date(date.to_string()),
        DeValue::Array(items) => Value::List(items.into_iter().map(node_of).collect()),
        DeValue::Table(table) => table_of(table),
    };
    Node { at, value }
}

fn integer(number: &DeInteger<'_>) -> Value {
    match i64::from_str_radix(number.as_str(), number.radix()) {
        Ok(value) => Value::Int(value),
        Err(_) => Value::Other(number.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_keys_and_values() {
        let text = "[vm.web]\nmem = 0x20\n[[vm.web.shares]]\ntag = 'a'\n";
        let root = parse(text).unwrap();
        let web = root.get("vm").and_then(|vm| vm.entry("web")).unwrap();
        assert_eq!(&text[web.key_at..][..3], "web");
        assert_eq!(&text[web.node.at..][..8], "[vm.web]");
        let mem = web.node.entry("mem").unwrap();
        assert_eq!(
            (&text[mem.key_at..][..3], &mem.node.value),
            ("mem", &Value::Int(32))
        );
        let share = &web.node.get("shares").unwrap().items()[0];
        assert_eq!(&text[share.at..][..4], "[[vm");
    }

    #[test]
    fn wrong_syntax_has_a_place() {
        let error = parse("[vm.web]\nmem = \n").unwrap_err();
        assert_eq!(error.at, 15);
    }
}
