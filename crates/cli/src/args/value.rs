//! Values of options that are more than a text.

use std::{
    ffi::OsStr,
    net::{SocketAddr, ToSocketAddrs},
};

use clap::{
    ValueEnum,
    builder::{PossibleValue, TypedValueParser},
};
use runyard_domain::{
    checkpoint::{KeepBest, Mode},
    job::RetryOn,
    metric,
    quantity::Quantity,
    resources::Gpu,
    run::Status,
};

use crate::output::Format;

/// A word of `--container-engine`.
pub(super) fn engine(text: &str) -> Result<String, String> {
    let known = matches!(text, "auto" | "off")
        || ["unix:///", "tcp://", "http://"].iter().any(|way| text.starts_with(way));
    if known {
        Ok(text.to_owned())
    } else {
        Err("is `auto`, `off`, or an address on this machine: unix:///PATH or tcp://HOST:PORT".to_owned())
    }
}

/// `UID:GID`.
pub(super) fn user(text: &str) -> Result<String, String> {
    let numbers = text
        .split_once(':')
        .filter(|(user, group)| user.parse::<u32>().is_ok() && group.parse::<u32>().is_ok());
    numbers.map(|_| text.to_owned()).ok_or_else(|| "is two numbers, UID:GID, such as 1000:1000".to_owned())
}

/// A Kubernetes quantity, kept as it was written.
pub(super) fn quantity(text: &str) -> Result<String, String> {
    text.parse::<Quantity>().map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// A Kubernetes quantity of cores, in thousandths.
pub(super) fn cpu_milli(text: &str) -> Result<i64, String> {
    match text.parse::<Quantity>().map_err(|error| error.to_string())?.milli() {
        0 => Err("must be more than 0".to_owned()),
        milli => Ok(milli),
    }
}

/// A Kubernetes quantity of bytes.
pub(super) fn bytes(text: &str) -> Result<i64, String> {
    match text.parse::<Quantity>().map_err(|error| error.to_string())?.ceil() {
        0 => Err("must be more than 0".to_owned()),
        bytes => Ok(bytes),
    }
}

/// A Kubernetes quantity of bytes of output: not so little that nothing of a job would be seen.
pub(super) fn log_bytes(text: &str) -> Result<i64, String> {
    match bytes(text)? {
        ..0x10_0000 => Err("must be at least 1Mi".to_owned()),
        bytes => Ok(bytes),
    }
}

/// An age, from none at all, in milliseconds.
pub(super) fn age_ms(text: &str) -> Result<i64, String> {
    Ok(crate::time::parse(text)?.as_millis() as i64)
}

/// `2`, or `TYPE:2`.
pub(crate) fn gpu_of(text: &str) -> Result<Gpu, String> {
    let (kind, count) = text.rsplit_once(':').unwrap_or(("any", text));
    let wrong = || format!("`{text}` is no number of GPUs: write COUNT, or TYPE:COUNT such as A100:2");
    let count: i64 = count.trim().parse().map_err(|_| wrong())?;
    let kind = kind.trim();
    if (1..=1024).contains(&count) && !kind.is_empty() {
        Ok(Gpu { count, kind: kind.to_owned() })
    } else {
        Err(wrong())
    }
}

/// `KEY=VALUE`.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("`{text}` is no KEY=VALUE")),
    }
}

/// What follows `--output`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// How answers are shown.
    Format(Format),
    /// An output of a processing job: its name, and where it goes.
    Channel(String, Option<String>),
}

/// Reads what follows `--output`: one of the formats, else a channel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answers;

impl TypedValueParser for Answers {
    type Value = Answer;

    fn parse_ref(
        &self,
        _: &clap::Command,
        _: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<Answer, clap::Error> {
        let text = value.to_str().ok_or_else(|| clap::Error::new(clap::error::ErrorKind::InvalidUtf8))?;
        if let Ok(format) = Format::from_str(text, false) {
            return Ok(Answer::Format(format));
        }
        Ok(match text.split_once('=') {
            Some((name, to)) => {
                Answer::Channel(name.to_owned(), Some(to.to_owned()).filter(|to| !to.is_empty()))
            }
            None => Answer::Channel(text.to_owned(), None),
        })
    }

    /// What is shown in the help and completed by shells.
    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(Format::value_variants().iter().filter_map(ValueEnum::to_possible_value)))
    }
}

/// `SET=PART` of a split.
pub(super) fn share(text: &str) -> Result<(String, f64), String> {
    let wrong = || format!("`{text}` is no SET=PART such as train=0.8");
    let (set, part) = text.rsplit_once('=').filter(|(set, _)| !set.is_empty()).ok_or_else(wrong)?;
    let part: f64 = part.parse().map_err(|_| wrong())?;
    if part.is_finite() && part > 0.0 { Ok((set.to_owned(), part)) } else { Err(wrong()) }
}

/// A word of `--retry-on`.
pub(super) fn retry_on(text: &str) -> Result<RetryOn, String> {
    match text {
        "failed" => Ok(RetryOn::Failed),
        "oom" => Ok(RetryOn::Oom),
        "lost" => Ok(RetryOn::Lost),
        _ => Err(format!("`{text}` is none of failed, oom, lost")),
    }
}

/// `TAG:min`, `TAG:max:3`.
pub(super) fn keep_best(text: &str) -> Result<KeepBest, String> {
    let wrong = || format!("`{text}` is no TAG:min or TAG:max, with :N behind it to keep N");
    let (rest, count) = match text.rsplit_once(':').map(|(rest, count)| (rest, count.parse())) {
        Some((_, Ok(..1))) => return Err(wrong()),
        Some((rest, Ok(count))) => (rest, count),
        _ => (text, 1),
    };
    let (tag, mode) = match rest.rsplit_once(':') {
        Some((tag, "min")) => (tag, Mode::Min),
        Some((tag, "max")) => (tag, Mode::Max),
        _ => return Err(wrong()),
    };
    metric::check_tag(tag).map_err(|error| error.to_string())?;
    Ok(KeepBest { tag: tag.to_owned(), mode, count })
}

/// A status, with or without `run_` or `job_` before it.
pub(super) fn status(text: &str) -> Result<Status, String> {
    [text.to_owned(), format!("job_{text}"), format!("run_{text}")]
        .iter()
        .find_map(|word| word.parse().ok())
        .ok_or_else(|| text.parse::<Status>().expect_err("it was tried").to_string())
}

/// An address to listen on: `127.0.0.1:7878`, `[::1]:7878`, `localhost:7878`, `:7878` (loopback).
pub(super) fn listen(text: &str) -> Result<SocketAddr, String> {
    let full = if text.starts_with(':') { format!("127.0.0.1{text}") } else { text.to_owned() };
    full.to_socket_addrs().ok().and_then(|mut found| found.next()).ok_or_else(|| {
        format!("`{text}` is no address to listen on: write ADDRESS:PORT such as 127.0.0.1:7878")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_and_a_user_of_containers_are_read_or_refused_with_what_they_look_like() {
        for text in ["auto", "off", "unix:///run/podman/podman.sock", "tcp://127.0.0.1:2375"] {
            assert_eq!(engine(text).as_deref(), Ok(text));
        }
        for text in ["docker", "ssh://host", "/var/run/docker.sock", ""] {
            assert!(engine(text).unwrap_err().contains("unix:///PATH"), "{text}");
        }
        assert_eq!(user("1000:100").as_deref(), Ok("1000:100"));
        for text in ["1000", "me:me", ":", "-1:0"] {
            assert!(user(text).unwrap_err().contains("UID:GID"), "{text}");
        }
    }

    #[test]
    fn gpus_are_counted_by_type() {
        assert_eq!(gpu_of("2"), Ok(Gpu { count: 2, kind: "any".into() }));
        assert_eq!(gpu_of("NVIDIA A100:4"), Ok(Gpu { count: 4, kind: "NVIDIA A100".into() }));
        for text in ["A100", "0", "A100:0", ":1", "-1", "A100:x", "2000"] {
            assert!(gpu_of(text).unwrap_err().contains("TYPE:COUNT"), "{text}");
        }
    }

    #[test]
    fn the_best_are_kept_by_a_tag_that_may_have_colons() {
        let best = |tag: &str, mode, count| Ok(KeepBest { tag: tag.into(), mode, count });
        assert_eq!(keep_best("val/loss:min"), best("val/loss", Mode::Min, 1));
        assert_eq!(keep_best("val:acc:max:3"), best("val:acc", Mode::Max, 3));
        for text in ["val/loss", "val/loss:low", "val/loss:min:0", "val/loss:3", "min", ""] {
            assert!(keep_best(text).unwrap_err().contains("TAG:min"), "{text}");
        }
        assert!(keep_best(":min").unwrap_err().contains("the tag is empty"));
    }

    #[test]
    fn some_output_of_a_job_is_always_kept() {
        assert_eq!(log_bytes("1Gi"), Ok(1 << 30));
        assert_eq!(log_bytes("1Mi"), Ok(1 << 20));
        assert!(log_bytes("1000Ki").unwrap_err().contains("1Mi"));
        assert!(log_bytes("1GB").is_err());
    }

    #[test]
    fn a_status_may_be_shortened() {
        assert_eq!(status("running"), Ok(Status::JobRunning));
        assert_eq!(status("job_failed"), Ok(Status::JobFailed));
        assert_eq!(status("stop_requested"), Ok(Status::RunStopRequested));
        assert!(status("x").unwrap_err().contains("the statuses are"));
    }

    #[test]
    fn an_address_to_listen_on_is_read() {
        assert_eq!(listen(":80").unwrap().to_string(), "127.0.0.1:80");
        assert_eq!(listen("[::1]:0").unwrap().to_string(), "[::1]:0");
        for text in ["7878", "127.0.0.1", "127.0.0.1:99999", ""] {
            assert!(listen(text).unwrap_err().contains("127.0.0.1:7878"), "{text}");
        }
    }
}
