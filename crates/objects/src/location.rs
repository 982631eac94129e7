//! Where the objects are: a folder, or a bucket of an S3 store. Reads addresses; opens nothing.

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, OnceLock},
};

use reqwest::Url;

use crate::{Error, check_key};

/// Where the objects are.
#[derive(Debug, Clone)]
pub enum Location {
    /// Files below a folder; this server signs and serves their addresses itself.
    Folder {
        /// The folder.
        path: PathBuf,
        /// How addresses are signed.
        signing: FolderSigning,
    },
    /// A bucket of an S3 store; what is large travels between the store and its client without this server.
    S3 {
        /// The bucket.
        bucket: String,
        /// All keys begin with it and a `/`; empty: the bucket is ours alone.
        prefix: String,
        /// `http://...` or `https://...`; `None`: Amazon's, of the region.
        endpoint: Option<String>,
        /// The region that signatures are made for.
        region: String,
        /// Whose signatures.
        credentials: Credentials,
        /// The bucket is part of the path (`true`), or of the host's name.
        path_style: bool,
    },
}

/// How the addresses of a folder's objects are signed.
#[derive(Clone)]
pub struct FolderSigning {
    /// Known to this server only.
    pub key: [u8; 32],
    /// The server's own address; known once it listens.
    pub url: Arc<OnceLock<String>>,
}

/// The account at an S3 store.
#[derive(Clone, Default)]
pub struct Credentials {
    /// `AWS_ACCESS_KEY_ID`.
    pub access_key: String,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret_key: String,
    /// `AWS_SESSION_TOKEN`, which temporary accounts have.
    pub session_token: Option<String>,
    /// `AWS_REGION`, where the address says none.
    pub region: Option<String>,
}

impl Credentials {
    /// The variables of a process that hold the account.
    pub const VARIABLES: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
}

impl fmt::Debug for FolderSigning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FolderSigning").field("url", &self.url.get()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

const FORM: &str =
    "write s3://BUCKET/PREFIX?endpoint=URL&region=NAME&path_style=true, all but the bucket as needed";
/// What S3 stores that have no regions are given.
const REGION: &str = "us-east-1";

impl Location {
    /// Reads `s3://bucket/prefix?endpoint=https://...&region=...&path_style=true`. The style defaults to the path
    /// with an `endpoint`, and to the host's name at Amazon.
    pub fn parse(text: &str, credentials: Credentials) -> Result<Self, Error> {
        let wrong = |reason: &str| {
            Error::Location(format!("`{text}` does not say where objects are: {reason}; {FORM}"))
        };
        let rest = text.strip_prefix("s3://").ok_or_else(|| wrong("it does not begin with s3://"))?;
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        if !is_bucket(bucket) {
            return Err(wrong("a bucket has 3 to 63 letters, digits, `-`, `_` and `.`"));
        }
        let prefix = prefix.trim_matches('/');
        if !prefix.is_empty() {
            check_key(prefix).map_err(|error| wrong(&format!("its prefix is wrong: {error}")))?;
        }
        let (mut endpoint, mut region, mut path_style) = (None, None, None);
        // The values of a query have the same form whatever the scheme.
        let pairs = Url::parse(&format!("http://x/?{query}")).map_err(|error| wrong(&error.to_string()))?;
        for (name, value) in pairs.query_pairs() {
            match (&*name, &*value) {
                ("endpoint", url) => {
                    let read = endpoint_of(url);
                    endpoint = Some(read.ok_or_else(|| wrong("its endpoint is no http(s):// address"))?);
                }
                ("region", "") => {}
                ("region", name) => region = Some(name.to_owned()),
                ("path_style", "true") => path_style = Some(true),
                ("path_style", "false") => path_style = Some(false),
                ("path_style", _) => return Err(wrong("path_style is true or false")),
                (other, _) => return Err(wrong(&format!("`{other}` is no parameter of it"))),
            }
        }
        if credentials.access_key.is_empty() || credentials.secret_key.is_empty() {
            return Err(Error::Location(format!(
                "the objects in `{text}` need an account: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            )));
        }
        Ok(Self::S3 {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            path_style: path_style.unwrap_or(endpoint.is_some() || bucket.contains('.')),
            endpoint,
            region: region.or_else(|| credentials.region.clone()).unwrap_or_else(|| REGION.to_owned()),
            credentials,
        })
    }
}

fn is_bucket(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (3..=63).contains(&name.len())
        && name.bytes().all(allowed)
        && !name.contains("..")
        && !name.starts_with('.')
}

fn endpoint_of(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let plain = ["http", "https"].contains(&url.scheme()) && url.has_host() && url.query().is_none();
    (plain && url.username().is_empty() && url.password().is_none())
        .then(|| text.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> Credentials {
        Credentials { access_key: "me".into(), secret_key: "s3cret".into(), ..Credentials::default() }
    }

    #[test]
    fn an_address_names_bucket_prefix_endpoint_and_region() {
        let text = "s3://models/team/a?endpoint=http%3A%2F%2F127.0.0.1:9000/&region=eu-west-1";
        let Location::S3 { bucket, prefix, endpoint, region, path_style, .. } =
            Location::parse(text, account()).unwrap()
        else {
            panic!("it is S3")
        };
        assert_eq!((bucket.as_str(), prefix.as_str(), region.as_str()), ("models", "team/a", "eu-west-1"));
        assert_eq!(endpoint.as_deref(), Some("http://127.0.0.1:9000"));
        assert!(path_style, "a store of one's own rarely has a name for every bucket");
    }

    #[test]
    fn the_region_comes_from_the_account_when_the_address_has_none() {
        for (account_region, expected) in [(Some("eu-north-1".to_owned()), "eu-north-1"), (None, "us-east-1")]
        {
            let account = Credentials { region: account_region, ..account() };
            let Location::S3 { region, path_style, prefix, endpoint: None, .. } =
                Location::parse("s3://models", account).unwrap()
            else {
                panic!("it is at Amazon")
            };
            assert_eq!((region.as_str(), prefix.as_str(), path_style), (expected, "", false));
        }
    }

    #[test]
    fn what_cannot_be_an_address_is_refused_with_the_form_of_one() {
        for text in [
            "models",
            "s3:/models",
            "s3://",
            "s3://ab",
            "s3://a b c",
            "s3://../x",
            "s3://models/a/../b",
            "s3://models?endpoint=ftp://x",
            "s3://models?endpoint=127.0.0.1:9000",
            "s3://models?endpoint=http://user:word@host",
            "s3://models?regoin=x",
            "s3://models?path_style=maybe",
        ] {
            let error = Location::parse(text, account()).unwrap_err().to_string();
            assert!(error.contains(text) && error.contains("s3://BUCKET/PREFIX"), "{error}");
        }
    }

    #[test]
    fn an_account_is_needed_and_never_shown() {
        let error = Location::parse("s3://models", Credentials::default()).unwrap_err().to_string();
        assert!(error.contains("AWS_ACCESS_KEY_ID"), "{error}");
        let shown = format!("{:?}", Location::parse("s3://models", account()).unwrap());
        assert!(!shown.contains("s3cret"), "{shown}");
    }
}
