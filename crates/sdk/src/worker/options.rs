//! The command line of a worker: few flags, in the words of Arkindex's workers. Reads arguments that it is given, and nothing else.

use std::{ffi::OsString, path::PathBuf};

use runyard_domain::activity::BATCH_MAX;

/// What `--help` says.
pub const USAGE: &str = "\
options:
  --dev                    read-only: fetch and process, write nothing
  --config FILE            read-only: the configuration, as a JSON object
  --element ID...          only these elements
  --elements-list FILE     only these elements: JSON, [{\"id\": \"...\"}, ...]
  --set DATASET:SET...     the elements of these sets of datasets, or the sets themselves; DATASET is an id
  --batch N                claim so many elements at once, 1 to 1000
  --help                   this text
Without elements or sets, a job works through its worker run. Outside of a job everything is read-only.
";

/// What a worker works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Elements.
    Elements,
    /// Sets of datasets: `--element`, `--elements-list` and `--batch` mean nothing.
    Sets,
}

/// How a worker is to work. By default: through its worker run, as the job says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Fetch and process, and write nothing.
    pub dev: bool,
    /// A JSON object: the configuration of a worker that is read-only.
    pub config: Option<PathBuf>,
    /// Only these elements.
    pub elements: Vec<String>,
    /// A file of the elements, as JSON. Not together with `elements`.
    pub elements_list: Option<PathBuf>,
    /// Ids of datasets, with names of their sets.
    pub sets: Vec<(String, String)>,
    /// Elements that are claimed at once; absent: as the job says.
    pub batch: Option<i64>,
}

/// What a command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// To work.
    Work(Options),
    /// For help.
    Help,
}

impl Options {
    /// Reads the arguments that follow the program's name.
    ///
    /// # Errors
    /// What is wrong, in a sentence.
    pub fn parse(kind: Kind, args: impl IntoIterator<Item = OsString>) -> Result<Asked, String> {
        let mut options = Self::default();
        let mut args = args.into_iter().peekable();
        while let Some(arg) = args.next() {
            let arg = text(arg)?;
            let (flag, inline) = match arg.split_once('=') {
                Some((flag, value)) => (flag.to_owned(), Some(value.to_owned())),
                None => (arg, None),
            };
            if flag == "--help" || flag == "-h" {
                return Ok(Asked::Help);
            }
            if flag == "--dev" && inline.is_none() {
                options.dev = true;
                continue;
            }
            let many = ["--element", "--set"].contains(&flag.as_str());
            let mut values: Vec<String> = inline.into_iter().collect();
            while (values.is_empty() || many)
                && let Some(value) = args.next_if(|next| !next.as_encoded_bytes().starts_with(b"-"))
            {
                values.push(text(value)?);
            }
            options.take(kind, &flag, values)?;
        }
        Ok(Asked::Work(options))
    }

    fn take(&mut self, kind: Kind, flag: &str, values: Vec<String>) -> Result<(), String> {
        let known = match flag {
            "--element" | "--elements-list" | "--batch" => kind == Kind::Elements,
            "--set" | "--config" => true,
            _ => false,
        };
        if !known {
            return Err(format!("unknown argument `{flag}`"));
        }
        let Some(first) = values.first().filter(|value| !value.is_empty()) else {
            return Err(format!("`{flag}` needs a value"));
        };
        match flag {
            "--config" => self.config = Some(first.into()),
            "--element" => self.elements.extend(values),
            "--elements-list" => self.elements_list = Some(first.into()),
            "--batch" => {
                let number = first.parse().ok().filter(|number| (1..=BATCH_MAX as i64).contains(number));
                let wrong = || format!("`--batch {first}` is no number from 1 to {BATCH_MAX}");
                self.batch = Some(number.ok_or_else(wrong)?);
            }
            _ => {
                for value in values {
                    let parts = value.split_once(':').filter(|(dataset, set)| {
                        !dataset.is_empty() && !set.is_empty() && !set.contains(':')
                    });
                    let (dataset, set) = parts.ok_or_else(|| {
                        format!(
                            "`--set {value}` is not DATASET:SET, the id of a dataset and the name of a set"
                        )
                    })?;
                    self.sets.push((dataset.to_owned(), set.to_owned()));
                }
            }
        }
        Ok(())
    }
}

fn text(arg: OsString) -> Result<String, String> {
    arg.into_string().map_err(|arg| format!("`{}` is not UTF-8", arg.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: Kind, line: &str) -> Result<Asked, String> {
        Options::parse(kind, line.split_whitespace().map(OsString::from))
    }

    fn options(line: &str) -> Options {
        match read(Kind::Elements, line).unwrap() {
            Asked::Work(options) => options,
            Asked::Help => panic!("help for `{line}`"),
        }
    }

    #[test]
    fn every_flag_is_read_with_one_value_or_several() {
        assert_eq!(options(""), Options::default());
        let all = options("--dev --element a b --element=c --set d:train d:dev --batch 5 --config c.json");
        assert!(all.dev);
        assert_eq!(all.elements, ["a", "b", "c"]);
        assert_eq!(all.sets, [("d".into(), "train".into()), ("d".into(), "dev".into())]);
        assert_eq!((all.batch, all.config), (Some(5), Some("c.json".into())));
        assert_eq!(options("--elements-list l.json").elements_list, Some("l.json".into()));
        assert_eq!(read(Kind::Sets, "--dev --help"), Ok(Asked::Help));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, words) in [
            ("--elements", "unknown argument `--elements`"),
            ("stray", "unknown argument `stray`"),
            ("--element --dev", "`--element` needs a value"),
            ("--config=", "`--config` needs a value"),
            ("--set train", "`--set train` is not DATASET:SET"),
            ("--set a:b:c", "`--set a:b:c` is not DATASET:SET"),
            ("--batch 0", "`--batch 0` is no number from 1 to 1000"),
            ("--batch many", "`--batch many` is no number"),
        ] {
            let said = read(Kind::Elements, line).unwrap_err();
            assert!(said.contains(words), "{line}: {said}");
        }
        let said = read(Kind::Sets, "--element a").unwrap_err();
        assert_eq!(said, "unknown argument `--element`");
    }
}
