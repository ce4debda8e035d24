//! The JSON schema of a definition file, from the table of options.

use serde_json::{Map, Value as Json, json};

use crate::options::form::Form;
use crate::options::shape::{self, Shape};
use crate::options::{Default, Opt, Type};

/// JSON schema 2020-12 of `microvm.json` and, by the same shape, `microvm.toml`.
pub fn schema() -> Json {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Definition of microVMs",
        "type": "object",
        "properties": {
            "$schema": { "type": "string" },
            "vm": {
                "type": "object",
                "description": format!("VMs by name: {}", Form::VmName.accepted()),
                "propertyNames": { "pattern": "^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$" },
                "additionalProperties": of(shape::vm()),
            },
        },
        "required": ["vm"],
        "additionalProperties": false,
    })
}

fn of(shape: &Shape) -> Json {
    let mut schema = match shape.opt.map(|opt| opt.kind) {
        None | Some(Type::Table) => members(shape),
        Some(Type::List(Type::Table)) => json!({ "type": "array", "items": each(shape) }),
        Some(Type::Map {
            values: Type::Table,
            ..
        }) => {
            json!({ "type": "object", "additionalProperties": each(shape) })
        }
        Some(kind) => kind.schema(),
    };
    if let Some(opt) = shape.opt {
        schema = annotated(opt, schema);
    }
    schema
}

fn each(shape: &Shape) -> Json {
    shape.each().map_or_else(|| json!({ "type": "object" }), of)
}

fn members(shape: &Shape) -> Json {
    let properties: Map<String, Json> = shape
        .members()
        .map(|(name, member)| (name.to_owned(), of(member)))
        .collect();
    let required: Vec<&str> = shape
        .members()
        .filter(|(_, member)| has_required(member))
        .map(|(name, _)| name)
        .collect();
    let mut schema = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

/// Whether it is required, or groups something that is (`host.port`).
fn has_required(shape: &Shape) -> bool {
    match shape.opt {
        Some(opt) => opt.default == Default::Required,
        None => shape.members().any(|(_, member)| has_required(member)),
    }
}

fn annotated(opt: &Opt, schema: Json) -> Json {
    let mut schema = match opt.nullable {
        true if opt.takes_false_for_null() => {
            json!({ "anyOf": [schema, { "enum": [null, false] }] })
        }
        true => json!({ "anyOf": [schema, { "type": "null" }] }),
        false => schema,
    };
    schema["description"] = opt.meaning.into();
    if let Some(default) = opt.default.to_json() {
        schema["default"] = default;
    }
    schema
}
