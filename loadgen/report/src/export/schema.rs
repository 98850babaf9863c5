//! Published schemas held against what is printed; for tests.

use serde_json::Value;

/// Holds a value against a schema: the part of JSON Schema that ours use.
#[track_caller]
pub fn check(value: &Value, schema: &Value, root: &Value, at: &str) {
    let reference = schema["$ref"].as_str();
    let schema = reference.map_or(schema, |r| &root["$defs"][r.rsplit('/').next().unwrap()]);
    let named = |name: &str| match value {
        Value::Object(_) => name == "object",
        Value::Array(_) => name == "array",
        Value::String(_) => name == "string",
        Value::Bool(_) => name == "boolean",
        Value::Null => name == "null",
        Value::Number(n) => name == "number" || (name == "integer" && n.is_u64()),
    };
    match &schema["type"] {
        Value::String(name) => assert!(named(name), "{at}: {value} is no {name}"),
        Value::Array(names) => {
            assert!(names.iter().any(|n| named(n.as_str().unwrap())), "{at}: {value}");
        }
        _ => {
            let allowed = schema["enum"].as_array().cloned().unwrap_or_default();
            assert!(schema["const"] == *value || allowed.contains(value), "{at}: {value}");
        }
    }
    for (key, part) in value.as_object().into_iter().flatten() {
        let inner = schema["properties"].get(key).unwrap_or(&schema["additionalProperties"]);
        assert!(inner.is_object(), "{at}.{key} is not in the schema");
        check(part, inner, root, &format!("{at}.{key}"));
    }
    for key in schema["required"].as_array().into_iter().flatten() {
        assert!(value.get(key.as_str().unwrap()).is_some(), "{at}: {key} is missing");
    }
    for (n, part) in value.as_array().into_iter().flatten().enumerate() {
        check(part, &schema["items"], root, &format!("{at}[{n}]"));
    }
}
