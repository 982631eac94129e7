//! Channels as they are declared and as they are given: every wrong one is named before anything is packed or sent.

use std::{collections::BTreeMap, path::PathBuf};

use runyard_domain::{FieldErrors, channel};

/// A channel that is declared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Channel {
    /// Its name: also that of its folder, and the end of its variable.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// Whether an input must be given.
    pub required: bool,
}

impl Channel {
    /// A channel that must be given.
    pub fn required(name: &str) -> Self {
        Self { name: name.to_owned(), description: None, required: true }
    }

    /// A channel that may be given.
    pub fn optional(name: &str) -> Self {
        Self { name: name.to_owned(), description: None, required: false }
    }
}

/// Where an input comes from.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// The server can say what is there.
    Address(String),
    /// On this machine.
    Path(PathBuf),
}

pub(super) type Inputs = BTreeMap<String, Input>;
pub(super) type Outputs = BTreeMap<String, Option<String>>;

/// The inputs of a job.
pub(super) fn inputs(declared: &[Channel], given: &[(&str, &str)], errors: &mut FieldErrors) -> Inputs {
    let mut all = Inputs::new();
    for (name, text) in given {
        let input = match text.split_once("://") {
            Some(("file", path)) => Input::Path(path.into()),
            Some(_) => Input::Address((*text).to_owned()),
            None => Input::Path(text.into()),
        };
        if let Input::Path(path) = &input
            && let Err(cause) = std::fs::metadata(path)
        {
            let wrong = format!("`{}` is neither an address nor a path here: {cause}", path.display());
            errors.add(format!("inputs.{name}"), wrong);
        }
        if all.insert((*name).to_owned(), input).is_some() {
            errors.add(format!("inputs.{name}"), "is given twice: two channels cannot have one name");
        }
    }
    for channel in declared.iter().filter(|channel| channel.required && !all.contains_key(&channel.name)) {
        errors.add(format!("inputs.{}", channel.name), "is required, and was not given");
    }
    // A path becomes an address that is right: any will do to look at the names.
    let addresses = |input: &Input| match input {
        Input::Address(uri) => uri.clone(),
        Input::Path(_) => format!("upload://{}", "0".repeat(64)),
    };
    let looked_at = all.iter().map(|(name, input)| (name.clone(), addresses(input))).collect();
    channel::check_inputs("inputs", &looked_at, errors);
    all
}

/// The outputs of a job: what is given, and what is declared besides. `folder`: below which address those go that name none.
pub(super) fn outputs(
    declared: &[Channel],
    given: &[(&str, Option<&str>)],
    folder: Option<String>,
    errors: &mut FieldErrors,
) -> Outputs {
    let mut all = Outputs::new();
    let default = |name: &str| folder.as_ref().map(|folder| format!("{folder}{name}/"));
    for (name, uri) in given {
        let uri = uri.map(str::to_owned).or_else(|| default(name));
        if all.insert((*name).to_owned(), uri).is_some() {
            errors.add(format!("outputs.{name}"), "is given twice: two channels cannot have one name");
        }
    }
    for channel in declared {
        all.entry(channel.name.clone()).or_insert_with(|| default(&channel.name));
    }
    channel::check_outputs("outputs", &all, errors);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_scheme_is_a_path_here_and_must_be_there() {
        let here = tempfile::tempdir().unwrap();
        let path = here.path().to_str().unwrap();
        let file = format!("file://{path}");
        let mut errors = FieldErrors::default();
        let all = inputs(&[], &[("a", path), ("b", "s3://bucket/x"), ("c", &file)], &mut errors);
        assert_eq!(errors, FieldErrors::default());
        assert_eq!(all["a"], Input::Path(path.into()));
        assert_eq!(all["a"], all["c"]);
        assert_eq!(all["b"], Input::Address("s3://bucket/x".into()));
        inputs(&[], &[("a", "/no/such/file")], &mut errors);
        assert!(
            errors.to_string().contains("inputs.a: `/no/such/file` is neither an address nor"),
            "{errors}"
        );
    }

    #[test]
    fn every_wrong_channel_is_named() {
        let mut errors = FieldErrors::default();
        let given =
            [("a/b", "s3://bucket/x"), ("c", "ftp://x"), ("d", "s3://bucket/x"), ("d", "s3://bucket/y")];
        inputs(&[Channel::required("train"), Channel::optional("more")], &given, &mut errors);
        for part in [
            "inputs.a/b: `a/b` is no name of a channel",
            "inputs.c: ",
            "`ftp://` is not known",
            "inputs.d: is given twice",
            "inputs.train: is required",
        ] {
            assert!(errors.to_string().contains(part), "{part}: {errors}");
        }
        assert!(!errors.to_string().contains("more"), "{errors}");
        let mut errors = FieldErrors::default();
        outputs(&[], &[("o", Some("./here")), ("o", None)], None, &mut errors);
        assert!(errors.to_string().contains("outputs.o: is given twice"), "{errors}");
        let mut errors = FieldErrors::default();
        outputs(&[], &[("o", Some("./here"))], None, &mut errors);
        assert!(errors.to_string().contains("outputs.o: `./here` is no address of a channel"), "{errors}");
    }

    #[test]
    fn a_declared_output_is_made_below_the_output_path_or_kept_here() {
        let mut errors = FieldErrors::default();
        let declared = [Channel::optional("result"), Channel::optional("log")];
        let given = [("log", Some("s3://other/log/"))];
        let all = outputs(&declared, &given, Some("s3://bucket/x/".into()), &mut errors);
        assert_eq!(all["result"].as_deref(), Some("s3://bucket/x/result/"));
        assert_eq!(all["log"].as_deref(), Some("s3://other/log/"));
        assert_eq!(outputs(&declared, &[], None, &mut errors)["result"], None);
        assert_eq!(errors, FieldErrors::default());
    }
}
