//! Channels: the named inputs and outputs of a run, and the addresses that say where they come from or go to. Reads
//! addresses; never says whether there is anything behind one.

use std::{collections::BTreeMap, fmt};

use crate::{FieldErrors, checkpoint::check_path, model::Reference};

#[cfg(test)]
mod tests;

/// Most inputs of a run, and most outputs.
pub const MAX_CHANNELS: usize = 100;
/// Bytes of the longest name of a channel.
pub const MAX_NAME: usize = 64;
/// Bytes of the longest address.
pub const MAX_URI: usize = 2048;
/// What the artifact of an output that Runyard keeps is called, before the channel's name.
pub const ARTIFACT: &str = "output/";

/// Which way a channel goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// Brought before the program starts.
    Input,
    /// Kept after the program has ended.
    Output,
}

impl Direction {
    /// The word on the wire and in the database.
    pub fn word(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
        }
    }

    /// The direction with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Input, Self::Output].into_iter().find(|direction| direction.word() == word)
    }
}

/// What a channel leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// An uploaded source.
    Upload,
    /// An S3 store.
    S3,
    /// A bucket of this server.
    Oss,
    /// An artifact of a run.
    Artifact,
    /// A version of a model.
    Model,
    /// A checkpoint.
    Checkpoint,
    /// A dataset.
    Dataset,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Upload, Self::S3, Self::Oss, Self::Artifact, Self::Model, Self::Checkpoint, Self::Dataset];

    /// The word on the wire and in the database.
    pub fn word(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::S3 => "s3",
            Self::Oss => "oss",
            Self::Artifact => "artifact",
            Self::Model => "model",
            Self::Checkpoint => "checkpoint",
            Self::Dataset => "dataset",
        }
    }

    /// The kind with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// A place in a bucket. A key that is empty or ends with `/` means everything below it, any other key one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The bucket.
    pub bucket: String,
    /// The key, or what keys begin with.
    pub key: String,
}

impl Place {
    /// Whether everything below the key is meant, and not one object.
    pub fn is_prefix(&self) -> bool {
        self.key.is_empty() || self.key.ends_with('/')
    }

    /// The name that one object has in its channel.
    pub fn name(&self) -> &str {
        self.key.rsplit('/').next().unwrap_or_default()
    }
}

/// Which checkpoint of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The newest complete one.
    Latest,
    /// The best one, by the run's own rule `keep_best`.
    Best,
    /// The newest complete one at this step.
    At(i64),
}

/// Where an input comes from, or an output goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Uri {
    /// A packed folder that was uploaded as a source; of it, all or one file.
    Upload {
        /// Hex SHA-256 of the source.
        digest: String,
        /// The one file that is meant.
        file: Option<String>,
    },
    /// An S3 store.
    S3(Place),
    /// This server's own buckets.
    Oss(Place),
    /// What another run wrote to an output.
    Run {
        /// Id or name of the run.
        run: String,
        /// The output.
        output: String,
        /// A file below it, or, with `/` at the end, a folder; `None`: all of it.
        path: Option<String>,
    },
    /// A version of a model.
    Model(Reference),
    /// A checkpoint of a run.
    Checkpoint {
        /// Id or name of the run.
        run: String,
        /// Which one.
        step: Step,
    },
    /// A dataset with an archive.
    Dataset {
        /// Id or name; a name may have a `/`, so that what follows the last one may be a set or not.
        name: String,
    },
}

/// Why a text is no address of a channel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no address of a channel: {reason}")]
pub struct UriError {
    text: String,
    reason: String,
}

impl Uri {
    /// Reads an address.
    ///
    /// # Errors
    /// What is wrong with it, and the form that it should have.
    pub fn parse(text: &str) -> Result<Self, UriError> {
        let wrong = |reason: String| {
            let shown: String = text.chars().take(200).flat_map(char::escape_debug).collect();
            UriError { text: shown, reason }
        };
        if text.len() > MAX_URI {
            return Err(wrong(format!("it has {} bytes, and {MAX_URI} are the most", text.len())));
        }
        if text.chars().any(char::is_control) {
            return Err(wrong("it must not have control characters".to_owned()));
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(|| wrong(FORMS.to_owned()))?;
        match scheme {
            "upload" => upload(rest),
            "s3" => place("s3", rest, is_bucket).map(Self::S3),
            // What follows a dot is an address of Alibaba's own, which means nothing here.
            "oss" => place("oss", rest, is_bucket).map(|Place { bucket, key }| {
                let bucket = bucket.split('.').next().unwrap_or_default().to_owned();
                Self::Oss(Place { bucket, key })
            }),
            "run" => run(rest),
            "model" => Reference::parse(rest).map(Self::Model).map_err(|error| error.to_string()),
            "checkpoint" => checkpoint(rest),
            "dataset" => dataset(rest),
            _ => Err(format!("`{}://` is not known here; {FORMS}", scheme.escape_debug())),
        }
        .map_err(wrong)
    }

    /// What it is the address of, in one word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Upload { .. } => "upload",
            Self::S3(_) => "s3",
            Self::Oss(_) => "oss",
            Self::Run { .. } => "run",
            Self::Model(_) => "model",
            Self::Checkpoint { .. } => "checkpoint",
            Self::Dataset { .. } => "dataset",
        }
    }

    /// Reads where an output goes: a prefix in a bucket, to which a `/` is added where there is none.
    ///
    /// # Errors
    /// An address that is none, or that nothing can be written to.
    pub fn parse_output(text: &str) -> Result<Self, UriError> {
        let with_slash = |place: Place| {
            if place.is_prefix() { place } else { Place { key: place.key + "/", ..place } }
        };
        match Self::parse(text)? {
            Self::S3(place) => Ok(Self::S3(with_slash(place))),
            Self::Oss(place) => Ok(Self::Oss(with_slash(place))),
            other => Err(UriError {
                text: text.to_owned(),
                reason: format!(
                    "nothing can be written to a {}; an output goes to s3://BUCKET/PREFIX/ or oss://BUCKET/PREFIX/, or is \
                     kept by Runyard when no address is given",
                    other.kind()
                ),
            }),
        }
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Upload { digest, file: None } => write!(f, "upload://{digest}"),
            Self::Upload { digest, file: Some(file) } => write!(f, "upload://{digest}/{file}"),
            Self::S3(Place { bucket, key }) => write!(f, "s3://{bucket}/{key}"),
            Self::Oss(Place { bucket, key }) => write!(f, "oss://{bucket}/{key}"),
            Self::Run { run, output, path: None } => write!(f, "run://{run}/output/{output}"),
            Self::Run { run, output, path: Some(path) } => write!(f, "run://{run}/output/{output}/{path}"),
            Self::Model(Reference::Newest(name)) => write!(f, "model://{name}"),
            Self::Model(Reference::Tagged(name, tag)) => write!(f, "model://{name}@{tag}"),
            Self::Model(Reference::Id(id)) => write!(f, "model://{id}"),
            Self::Checkpoint { run, step: Step::Latest } => write!(f, "checkpoint://{run}@latest"),
            Self::Checkpoint { run, step: Step::Best } => write!(f, "checkpoint://{run}@best"),
            Self::Checkpoint { run, step: Step::At(step) } => write!(f, "checkpoint://{run}@{step}"),
            Self::Dataset { name } => write!(f, "dataset://{name}"),
        }
    }
}

const FORMS: &str = "write s3://BUCKET/KEY, oss://BUCKET/KEY, run://RUN/output/NAME, model://NAME@TAG, checkpoint://RUN@STEP, \
                     dataset://NAME or upload://SHA256 (a KEY that ends with `/` means all objects below it)";

fn upload(rest: &str) -> Result<Uri, String> {
    let (digest, file) = match rest.split_once('/') {
        Some((digest, "")) => (digest, None),
        Some((digest, file)) => (digest, Some(file)),
        None => (rest, None),
    };
    if digest.len() != 64 || !digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Err("write upload://SHA256 with the 64 lowercase hex digits of an uploaded source".to_owned());
    }
    if let Some(file) = file {
        check_path(file).map_err(|error| error.to_string())?;
    }
    Ok(Uri::Upload { digest: digest.to_owned(), file: file.map(str::to_owned) })
}

fn place(scheme: &str, rest: &str, is_bucket: impl Fn(&str) -> bool) -> Result<Place, String> {
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    if !is_bucket(bucket) {
        let bucket = bucket.escape_debug();
        return Err(format!(
            "`{bucket}` is no name of a bucket (3 to 63 letters, digits, `-`, `_` and `.`): write {scheme}://BUCKET/KEY"
        ));
    }
    let folder = key.strip_suffix('/').unwrap_or(key);
    if !folder.is_empty() {
        check_path(folder).map_err(|error| error.to_string())?;
    } else if !key.is_empty() {
        return Err("there is nothing between two `/`".to_owned());
    }
    Ok(Place { bucket: bucket.to_owned(), key: key.to_owned() })
}

fn is_bucket(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (3..=63).contains(&name.len())
        && name.bytes().all(allowed)
        && !name.contains("..")
        && !name.starts_with('.')
}

fn run(rest: &str) -> Result<Uri, String> {
    let form = || {
        "write run://RUN/output/NAME, with the id or the name of a run, or run://RUN/output/NAME/FILE"
            .to_owned()
    };
    let (run, output) = rest.split_once("/output/").ok_or_else(form)?;
    let (output, path) = output.split_once('/').map_or((output, None), |(output, path)| (output, Some(path)));
    if run.is_empty() || output.is_empty() {
        return Err(form());
    }
    check_channel(output)?;
    let path = path.filter(|path| !path.is_empty());
    if let Some(path) = path {
        check_path(path.strip_suffix('/').unwrap_or(path)).map_err(|error| error.to_string())?;
    }
    Ok(Uri::Run { run: run.to_owned(), output: output.to_owned(), path: path.map(str::to_owned) })
}

fn checkpoint(rest: &str) -> Result<Uri, String> {
    let form = || "write checkpoint://RUN@STEP, where STEP is a number, `latest` or `best`".to_owned();
    let (run, step) = rest.rsplit_once('@').ok_or_else(form)?;
    let step = match step {
        "latest" => Step::Latest,
        "best" => Step::Best,
        number => Step::At(number.parse().ok().filter(|step| *step >= 0).ok_or_else(form)?),
    };
    if run.is_empty() {
        return Err(form());
    }
    Ok(Uri::Checkpoint { run: run.to_owned(), step })
}

fn dataset(rest: &str) -> Result<Uri, String> {
    if rest.is_empty() || rest.starts_with('/') || rest.ends_with('/') {
        return Err(
            "write dataset://NAME or dataset://NAME/SET, with the name or the id of a dataset".to_owned()
        );
    }
    Ok(Uri::Dataset { name: rest.to_owned() })
}

/// The one name of a channel, which is also that of a folder.
fn check_channel(name: &str) -> Result<(), String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if begins && name.len() <= MAX_NAME && name.bytes().all(allowed) {
        return Ok(());
    }
    let shown: String = name.chars().take(80).flat_map(char::escape_debug).collect();
    Err(format!(
        "`{shown}` is no name of a channel: it has 1 to {MAX_NAME} letters, digits, `_`, `.` and `-`, and begins with a letter, \
         a digit or `_`"
    ))
}

/// What the variable of a channel or a parameter ends with: `TRAIN_SET` of `train-set`.
pub fn variable(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c.to_ascii_uppercase() } else { '_' };
    name.chars().map(plain).collect()
}

/// Whether these can be the inputs of a run, at `path`.
pub fn check_inputs(path: &str, inputs: &BTreeMap<String, String>, errors: &mut FieldErrors) {
    check_names(path, inputs.keys(), errors);
    for (name, uri) in inputs {
        if let Err(error) = Uri::parse(uri) {
            errors.add(format!("{path}.{}", shown(name)), error.to_string());
        }
    }
}

/// Whether these can be the outputs of a run, at `path`; `None` is an output that Runyard keeps.
pub fn check_outputs(path: &str, outputs: &BTreeMap<String, Option<String>>, errors: &mut FieldErrors) {
    check_names(path, outputs.keys(), errors);
    let mut places: BTreeMap<String, &str> = BTreeMap::new();
    for (name, uri) in outputs {
        let Some(uri) = uri else { continue };
        match Uri::parse_output(uri) {
            Err(error) => errors.add(format!("{path}.{}", shown(name)), error.to_string()),
            Ok(uri) => {
                if let Some(other) = places.insert(uri.to_string(), name) {
                    errors.add(
                        format!("{path}.{}", shown(name)),
                        format!("goes to {uri} like `{other}`: files of one name would be lost; name another place"),
                    );
                }
            }
        }
    }
}

fn check_names<'a>(path: &str, names: impl ExactSizeIterator<Item = &'a String>, errors: &mut FieldErrors) {
    if names.len() > MAX_CHANNELS {
        errors.add(path, format!("has {} channels, and {MAX_CHANNELS} are the most", names.len()));
    }
    let mut variables: BTreeMap<String, &str> = BTreeMap::new();
    for name in names {
        let at = format!("{path}.{}", shown(name));
        if let Err(error) = check_channel(name) {
            errors.add(at, error);
        } else if let Some(other) = variables.insert(variable(name), name) {
            errors.add(
                at,
                format!("would have the same variable as `{other}` (..._{}): rename one", variable(name)),
            );
        }
    }
}

/// A name as a path of fields can show it.
fn shown(name: &str) -> String {
    name.chars().take(80).flat_map(char::escape_debug).collect()
}
