//! JSON schemas as the OpenAPI document uses them: values are checked against them and made from them. A word of a schema that
//! is not known here ends the test, so that nothing is passed over.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test cannot set up ends it")]

use serde_json::{Map, Value, json};

/// Numbers that are the same in every run (SplitMix64).
#[derive(Clone, Debug)]
pub struct Dice(pub u64);

impl Dice {
    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below another one.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    /// True once in so many times.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of several.
    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}

/// What tells something about values and does not bound them.
const REMARKS: [&str; 6] = ["description", "default", "examples", "example", "contentMediaType", "contentSchema"];

/// The one pattern of the document: names of views.
const VIEW_PATTERN: &str = "^[A-Za-z0-9._-]{1,64}$";

/// Follows a reference.
pub fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => resolve(
            document,
            document.pointer(reference.strip_prefix('#').unwrap()).unwrap_or_else(|| panic!("{reference}")),
        ),
        None => value,
    }
}

/// What is wrong with a value; nothing where it is as the schema says.
pub fn fault(document: &Value, schema: &Value, value: &Value, place: &str) -> Option<String> {
    let schema = resolve(document, schema);
    let wrong = |what: &str| Some(format!("{place}: {what}: {value}"));
    for (word, bound) in schema.as_object().unwrap_or_else(|| panic!("no schema: {schema}")) {
        let found = match word.as_str() {
            "type" if !has_type(bound, value) => wrong(&format!("is no {bound}")),
            "enum" if !bound.as_array().unwrap().contains(value) => wrong("is none of the words"),
            "const" if bound != value => wrong("is another word"),
            "minimum" if value.as_f64() < bound.as_f64() => wrong("is too small"),
            "maximum" if value.as_f64() > bound.as_f64() => wrong("is too large"),
            "minItems" if length(value) < bound.as_u64() => wrong("has too few items"),
            "maxItems" if length(value) > bound.as_u64() => wrong("has too many items"),
            "pattern" if !matches_pattern(bound, value) => wrong("does not match"),
            "required" => required(bound, value).and_then(|key| wrong(&format!("has no {key}"))),
            "properties" => (bound.as_object().unwrap().iter())
                .filter_map(|(key, schema)| fault(document, schema, value.get(key)?, &format!("{place}.{key}")))
                .next(),
            "additionalProperties" => {
                assert_eq!(*bound, json!(false), "{word} of another kind");
                let known = schema["properties"].as_object().unwrap();
                let surplus = value.as_object().and_then(|fields| fields.keys().find(|key| !known.contains_key(*key)));
                surplus.and_then(|key| wrong(&format!("{key} is unknown")))
            }
            "items" => (value.as_array().into_iter().flatten().enumerate())
                .find_map(|(index, item)| fault(document, bound, item, &format!("{place}[{index}]"))),
            "allOf" => bound.as_array().unwrap().iter().find_map(|schema| fault(document, schema, value, place)),
            "oneOf" => {
                let faults: Vec<_> =
                    bound.as_array().unwrap().iter().map(|schema| fault(document, schema, value, place)).collect();
                let fits = faults.iter().filter(|fault| fault.is_none()).count();
                if fits == 1 { None } else { wrong(&format!("fits {fits} schemas: {faults:?}")) }
            }
            "not" if fault(document, bound, value, place).is_none() => wrong("is excluded"),
            "type" | "enum" | "const" | "minimum" | "maximum" | "minItems" | "maxItems" | "pattern" | "not" => None,
            word if REMARKS.contains(&word) => None,
            word => panic!("the schema has a word that is not known here: {word}"),
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

/// True for a value of a type, or of one of several.
fn has_type(names: &Value, value: &Value) -> bool {
    let is = |name: &Value| match name.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        name => panic!("no type: {name}"),
    };
    names.as_array().map_or_else(|| is(names), |names| names.iter().any(is))
}

/// Items of a list; of anything else as many as are asked for.
fn length(value: &Value) -> Option<u64> {
    value.as_array().map(|items| items.len() as u64)
}

/// The first of some keys that is missing.
fn required(keys: &Value, value: &Value) -> Option<String> {
    let fields = value.as_object()?;
    keys.as_array()
        .unwrap()
        .iter()
        .map(|key| key.as_str().unwrap())
        .find(|key| !fields.contains_key(*key))
        .map(str::to_owned)
}

/// True for the name of a view.
fn matches_pattern(pattern: &Value, value: &Value) -> bool {
    assert_eq!(*pattern, VIEW_PATTERN, "a pattern that is not known here");
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    value.as_str().is_none_or(|name| (1..=64).contains(&name.len()) && name.bytes().all(is_good))
}

/// A value as a schema says; `text` makes strings, by the key that they stand under.
pub fn make(
    document: &Value,
    schema: &Value,
    key: &str,
    dice: &mut Dice,
    text: &dyn Fn(&str, &mut Dice) -> String,
) -> Value {
    let schema = resolve(document, schema);
    if let Some(words) = schema["enum"].as_array() {
        return dice.pick(words).clone();
    }
    if !schema["const"].is_null() {
        return schema["const"].clone();
    }
    if let Some(choices) = schema["oneOf"].as_array() {
        return make(document, dice.pick(choices), key, dice, text);
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => dice.pick(kinds).clone(),
        kind => kind.clone(),
    };
    match kind.as_str().unwrap_or_else(|| panic!("nothing can be made of {schema}")) {
        "string" => json!(text(key, dice)),
        "boolean" => json!(dice.once_in(2)),
        "null" => Value::Null,
        "integer" | "number" => {
            let (least, most) =
                (schema["minimum"].as_u64().unwrap_or(0), schema["maximum"].as_u64().unwrap_or(1 << 40));
            json!(*dice.pick(&[least, most, least + 1, (least + most) / 2, least + 300 % (most - least)]))
        }
        "array" => {
            let least = usize::try_from(schema["minItems"].as_u64().unwrap_or(0)).unwrap();
            let count = least + dice.below(3);
            Value::Array((0..count).map(|_| make(document, &schema["items"], key, dice, text)).collect())
        }
        "object" => {
            let mut fields = Map::new();
            let required = schema["required"].as_array().cloned().unwrap_or_default();
            for (key, schema) in schema["properties"].as_object().into_iter().flatten() {
                if required.contains(&json!(key)) || dice.once_in(2) {
                    fields.insert(key.clone(), make(document, schema, key, dice, text));
                }
            }
            Value::Object(fields)
        }
        kind => panic!("no type: {kind}"),
    }
}

/// Breaks one thing in a value.
pub fn spoil(value: &mut Value, dice: &mut Dice) {
    match value {
        Value::Object(fields) if !fields.is_empty() && !dice.once_in(6) => {
            let keys: Vec<String> = fields.keys().cloned().collect();
            let key = dice.pick(&keys).clone();
            match dice.below(5) {
                0 => drop(fields.remove(&key)),
                1 => drop(fields.insert(format!("{key}x"), odd_value(dice))),
                _ => spoil(fields.get_mut(&key).unwrap(), dice),
            }
        }
        Value::Array(items) if !items.is_empty() && !dice.once_in(6) => {
            let index = dice.below(items.len());
            match dice.below(5) {
                0 => drop(items.remove(index)),
                1 => items.push(items[index].clone()),
                _ => spoil(&mut items[index], dice),
            }
        }
        value => *value = odd_value(dice),
    }
}

/// A value that hardly anything expects.
fn odd_value(dice: &mut Dice) -> Value {
    let values = [
        json!(null),
        json!(true),
        json!(-1),
        json!(0),
        json!(1.5),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(1e308),
        json!(2_147_483_648u64),
        json!(4_294_967_296u64),
        json!(""),
        json!(" "),
        json!("\u{0}"),
        json!("\u{1f4a9}"),
        json!("x".repeat(70)),
        json!("a.".repeat(200)),
        json!("\\"),
        json!("\\300"),
        json!([]),
        json!([[]]),
        json!({}),
        json!({"a": {"b": [null]}}),
        json!(["x", 1]),
        json!("@"),
        json!("*"),
        json!("\"\" \"\""),
        json!("\\# 4 00"),
    ];
    dice.pick(&values).clone()
}
