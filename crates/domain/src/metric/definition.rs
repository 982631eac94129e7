//! Metrics that are read from what a program prints: a name, and a regular expression with one group that holds a number.
//!
//! What a line says is decided here and only here; who reads the lines, and when, is not known.

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use super::{Value, check_tag};
use crate::FieldErrors;

/// Most definitions of a run.
pub const MAX_DEFINITIONS: usize = 100;
/// Characters of the longest expression.
const MAX_REGEX: usize = 1000;
/// Bytes that an expression may take once it is compiled.
const MAX_COMPILED: usize = 1 << 20;
/// How the names of what a runner measures by itself begin.
const OWN: &str = "system/";
/// Characters of the longest description.
const MAX_DESCRIPTION: usize = 1000;

/// A metric that is read from the output.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// The tag under which it is kept.
    pub name: String,
    /// Searched in each line; its one group holds the number.
    pub regex: String,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A definition, ready to read lines.
#[derive(Debug, Clone)]
pub struct Reader {
    name: String,
    regex: Regex,
}

impl Reader {
    /// Compiles a definition.
    ///
    /// # Errors
    /// What is wrong with the expression, in a sentence that says what to write.
    pub fn new(definition: &Definition) -> Result<Self, String> {
        let text = &definition.regex;
        if text.is_empty() || text.chars().count() > MAX_REGEX {
            return Err(format!("must have 1 to {MAX_REGEX} characters"));
        }
        let regex = RegexBuilder::new(text)
            .size_limit(MAX_COMPILED)
            .build()
            .map_err(|error| format!("`{text}` is not a regular expression: {}", sentence(&error)))?;
        match regex.captures_len() - 1 {
            1 => Ok(Self { name: definition.name.clone(), regex }),
            0 => Err(format!("`{text}` has no group: put the number in one, such as `loss=([0-9.]+)`")),
            groups => Err(format!(
                "`{text}` has {groups} groups: it needs one, which holds the number; write `(?:...)` for the others"
            )),
        }
    }

    /// The tag of what it reads.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number that the line has, if it has one.
    pub fn read(&self, line: &str) -> Option<Value> {
        let found = self.regex.captures(line)?.get(1)?.as_str().trim();
        match found.parse::<i64>() {
            Ok(whole) => Some(Value::Int(whole)),
            // Also `nan`, `inf` and `-inf`, as Python prints them.
            Err(_) => found.parse::<f64>().ok().map(Value::Float),
        }
    }
}

/// Every wrong definition, by its path below `path`.
pub fn check(path: &str, definitions: &[Definition], errors: &mut FieldErrors) {
    if definitions.len() > MAX_DEFINITIONS {
        errors.add(path, format!("has {} entries: at most {MAX_DEFINITIONS} are read", definitions.len()));
        return;
    }
    for (index, definition) in definitions.iter().enumerate() {
        let at = |field: &str| format!("{path}.{index}.{field}");
        if let Err(error) = check_tag(&definition.name) {
            errors.add(at("name"), error.to_string());
        } else if definition.name.starts_with(OWN) {
            errors.add(
                at("name"),
                format!("`{OWN}` begins what the runner measures itself: name it otherwise"),
            );
        } else if definitions[..index].iter().any(|other| other.name == definition.name) {
            errors.add(at("name"), format!("`{}` is defined twice: give each its own name", definition.name));
        }
        if let Err(wrong) = Reader::new(definition) {
            errors.add(at("regex"), wrong);
        }
        if definition.description.as_ref().is_some_and(|text| text.chars().count() > MAX_DESCRIPTION) {
            errors.add(at("description"), format!("has more than {MAX_DESCRIPTION} characters"));
        }
    }
}

/// The last line of what the library says: the others draw the place with a caret.
fn sentence(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(limit) => format!("compiled it is larger than {limit} bytes"),
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or_default().trim();
            last.strip_prefix("error: ").unwrap_or(last).to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defined(name: &str, regex: &str) -> Definition {
        Definition { name: name.into(), regex: regex.into(), description: None }
    }

    fn read(regex: &str, line: &str) -> Option<Value> {
        Reader::new(&defined("m", regex)).unwrap().read(line)
    }

    #[test]
    fn the_number_is_what_the_group_holds_anywhere_in_the_line() {
        assert_eq!(read(r"loss=([0-9.eE+-]+)", "epoch 3 loss=0.25 acc=1"), Some(Value::Float(0.25)));
        assert_eq!(read(r".*step: (\d+).*", "step: 12, more"), Some(Value::Int(12)));
        assert_eq!(read(r"loss=(\S+)", "loss=1e-3"), Some(Value::Float(1e-3)));
        assert_eq!(read(r"loss=(\S+)", "loss=-inf"), Some(Value::Float(f64::NEG_INFINITY)));
        assert!(matches!(read(r"loss=(\S+)", "loss=nan"), Some(Value::Float(nan)) if nan.is_nan()));
    }

    #[test]
    fn a_line_without_a_number_gives_nothing() {
        assert_eq!(read(r"loss=(\S+)", "no such thing"), None);
        assert_eq!(read(r"loss=(\S+)", "loss=low"), None);
        assert_eq!(read(r"a(?:=(\d+))?", "a"), None);
    }

    #[test]
    fn every_wrong_definition_is_named_by_its_path() {
        let all = [
            defined("loss", "loss=(["),
            defined("loss", "loss=[0-9]+"),
            defined("", r"(\d)(\d)"),
            defined("ahead", r"(?=x)(\d)"),
            defined("big", r"(\d{1000}{1000})"),
            defined("system/loss", r"(\d)"),
        ];
        let mut errors = FieldErrors::default();
        check("m", &all, &mut errors);
        let said = |path: &str| errors.0[path].join("; ");
        assert!(said("m.0.regex").contains("`loss=([` is not a regular expression: unclosed"), "{errors}");
        assert!(said("m.1.regex").contains("has no group: put the number in one"), "{errors}");
        assert!(said("m.1.name").contains("`loss` is defined twice"), "{errors}");
        assert!(said("m.2.name").contains("the tag is empty"), "{errors}");
        assert!(said("m.2.regex").contains("has 2 groups"), "{errors}");
        assert!(said("m.3.regex").contains("look-around"), "{errors}");
        assert!(said("m.4.regex").contains("larger than"), "{errors}");
        assert!(said("m.5.name").contains("`system/` begins"), "{errors}");

        let mut errors = FieldErrors::default();
        check("m", &vec![defined("a", "(a)"); 101], &mut errors);
        assert!(errors.to_string().contains("101 entries: at most 100"), "{errors}");
    }
}
