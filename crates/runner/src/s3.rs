//! S3 stores as channels: the runner reads and writes them itself, with the account that the run's variables and secrets name.
//! Never tells anybody what is in those.

use std::time::Duration;

use runyard_objects::{Credentials, Error, Location, Objects};
use tokio::time::Instant;

use crate::job::Job;

/// The region that signatures are made for when nobody says one.
const REGION: &str = "us-east-1";
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long a store may be away while nothing moves.
const AWAY_MAX: Duration = Duration::from_mins(30);
/// How long trouble may last after the deadline of a stop.
const LAST_PATIENCE: Duration = Duration::from_secs(10);
/// Trouble that lasts longer is said in the output.
const SAY_AFTER: Duration = Duration::from_secs(15);

/// The bucket, with the account of the run.
///
/// # Errors
/// A sentence that names the variables that are missing, or wrong.
pub(crate) fn open(job: &Job, bucket: &str) -> Result<Objects, String> {
    let variable = |name: &str| {
        let found = job.spec.secret_env.0.get(name).or_else(|| job.spec.env.get(name));
        found.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    };
    let (Some(access_key), Some(secret_key)) =
        (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"))
    else {
        return Err(format!(
            "the bucket `{bucket}` needs an account: give the run AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, best as secrets \
             (`--secret AWS_SECRET_ACCESS_KEY=NAME`)"
        ));
    };
    let region = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
    let endpoint = variable("AWS_ENDPOINT_URL_S3").or_else(|| variable("AWS_ENDPOINT_URL"));
    let session_token = variable("AWS_SESSION_TOKEN");
    let location = Location::S3 {
        bucket: bucket.to_owned(),
        prefix: String::new(),
        path_style: endpoint.is_some() || bucket.contains('.'),
        endpoint: endpoint.map(|endpoint| endpoint.trim_end_matches('/').to_owned()),
        region: region.clone().unwrap_or_else(|| REGION.to_owned()),
        credentials: Credentials { access_key, secret_key, session_token, region },
    };
    Objects::open(&location).map_err(|error| error.to_string())
}

/// Calls until there is an answer that means something. A store that is away is waited for, but not for ever, and hardly once
/// the deadline of a stop has passed.
pub(crate) async fn insist<T>(
    job: &Job,
    title: &str,
    call: impl AsyncFn() -> Result<T, Error>,
) -> Result<T, String> {
    let (since, mut pause, mut said) = (Instant::now(), PAUSE_MIN, false);
    loop {
        let error = match call().await {
            Ok(answer) => return Ok(answer),
            Err(error) if !error.is_temporary() => return Err(error.to_string()),
            Err(error) => error,
        };
        let over = job.orders.now().deadline.is_some_and(|deadline| Instant::now() >= deadline);
        if since.elapsed() >= AWAY_MAX || over && since.elapsed() >= LAST_PATIENCE {
            return Err(format!("{error} (it was tried for {} s)", since.elapsed().as_secs()));
        }
        if since.elapsed() >= SAY_AFTER && !said {
            said = true;
            job.output.note(&format!("{title} waits and is tried again: {error}"));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}
