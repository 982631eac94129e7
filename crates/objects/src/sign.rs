//! Addresses that carry their own right: what may be done with which object until when, under an HMAC of this
//! server's key. Never trusts a word of an address before the HMAC over all of them was compared.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use reqwest::header::{CONTENT_LENGTH, HeaderMap};
use runyard_domain::{ChecksumKind, Millis};
use sha2::Sha256;

use crate::{Checksum, Error, FolderSigning, GetAs, Signed, check_key};

/// Where a server serves signed addresses.
const ROUTE: &str = "/objects/";
/// What no client needs to write otherwise.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The same, for a path.
pub(crate) const PLAIN_PATH: &AsciiSet = &PLAIN.remove(b'/');

/// What a signed address allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignedRequest {
    /// To read.
    Get(SignedGet),
    /// To write.
    Put(SignedPut),
}

/// To read an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedGet {
    /// The object.
    pub key: String,
    /// What the answer says of it.
    pub get: GetAs,
}

/// To write an object, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedPut {
    /// The object.
    pub key: String,
    /// How many bytes.
    pub size: Size,
    /// Exactly which; `None`: any.
    pub checksum: Option<Checksum>,
    /// Only a part of it.
    pub part: Option<SignedPart>,
}

/// How many bytes may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// So many.
    Exactly(u64),
    /// So many or fewer.
    AtMost(u64),
}

impl Size {
    /// The most that may come.
    pub const fn limit(self) -> u64 {
        match self {
            Self::Exactly(size) | Self::AtMost(size) => size,
        }
    }
}

/// Which part of which upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedPart {
    /// The upload.
    pub upload: String,
    /// From 1.
    pub number: i64,
}

impl SignedRequest {
    fn method(&self) -> &'static str {
        match self {
            Self::Get(_) => "GET",
            Self::Put(_) => "PUT",
        }
    }

    /// Path and query without the signature: the one way to write this request, so what is signed.
    fn written(&self, expires_at: Millis) -> String {
        let (key, mut pairs) = match self {
            Self::Get(SignedGet { key, get }) => {
                (key, vec![("name", get.name.clone()), ("type", get.content_type.clone())])
            }
            Self::Put(put) => {
                let part = put.part.as_ref();
                let (size, checksum) = (size_field(put.size), put.checksum);
                let pairs = vec![
                    (size, Some(put.size.limit().to_string())),
                    (checksum.map_or("", |sum| sum.kind().word()), checksum.map(|sum| sum.hex())),
                    ("upload", part.map(|part| part.upload.clone())),
                    ("part", part.map(|part| part.number.to_string())),
                ];
                (&put.key, pairs)
            }
        };
        pairs.insert(0, ("expires", Some(expires_at.0.to_string())));
        let pairs: Vec<String> = pairs
            .into_iter()
            .filter_map(|(name, value)| Some(format!("{name}={}", utf8_percent_encode(&value?, PLAIN))))
            .collect();
        format!("{ROUTE}{}?{}", utf8_percent_encode(key, PLAIN_PATH), pairs.join("&"))
    }
}

/// The headers that a PUT must carry.
pub(crate) fn put_headers(put: &SignedPut) -> Vec<(String, String)> {
    let length = match put.size {
        Size::Exactly(size) => Some(("content-length".to_owned(), size.to_string())),
        Size::AtMost(_) => None,
    };
    let checksum = put.checksum.map(|sum| sum.header()).map(|(name, value)| (name.to_owned(), value));
    length.into_iter().chain(checksum).collect()
}

const fn size_field(size: Size) -> &'static str {
    match size {
        Size::Exactly(_) => "size",
        Size::AtMost(_) => "max_size",
    }
}

/// Signs the request.
pub(crate) fn address(
    signing: &FolderSigning,
    request: &SignedRequest,
    expires_at: Millis,
) -> Result<Signed, Error> {
    let Some(url) = signing.url.get() else {
        return Err(Error::Unavailable("the server does not listen yet: try again in a moment".to_owned()));
    };
    let written = request.written(expires_at);
    let signature = mac(&signing.key, request.method(), &written).finalize().into_bytes();
    let headers = match request {
        SignedRequest::Get(_) => Vec::new(),
        SignedRequest::Put(put) => put_headers(put),
    };
    Ok(Signed {
        url: format!(
            "{}{written}&signature={}",
            url.trim_end_matches('/'),
            URL_SAFE_NO_PAD.encode(signature)
        ),
        method: request.method(),
        headers,
        expires_at,
    })
}

/// See [`crate::Objects::verify_signed`].
pub(crate) fn verify(
    key: &[u8; 32],
    method: &str,
    path_and_query: &str,
    headers: &HeaderMap,
    now: Millis,
) -> Result<SignedRequest, Error> {
    // Who may read may also ask for the head.
    let method = if method == "HEAD" { "GET" } else { method };
    let claimed = Claimed::read(method, path_and_query).ok_or_else(altered)?;
    // Written again as only we would: a client may have escaped a letter more or less, no more than that.
    let written = claimed.request.written(claimed.expires_at);
    mac(key, method, &written).verify_slice(&claimed.signature).map_err(|_| altered())?;
    if claimed.expires_at <= now {
        let ago = now.since(claimed.expires_at) / 1000;
        return Err(Error::Denied(format!("this address expired {ago} s ago: ask for a new one")));
    }
    if let SignedRequest::Put(put) = &claimed.request {
        check_headers(put, headers)?;
    }
    Ok(claimed.request)
}

/// The headers are part of the contract with any S3 store, so they are here too: a client that works with one
/// backend works with the other.
fn check_headers(put: &SignedPut, headers: &HeaderMap) -> Result<(), Error> {
    let given = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some((name, wanted)) = put.checksum.map(|sum| sum.header())
        && given(name) != Some(&wanted)
    {
        return Err(Error::Denied(format!(
            "this address is for the header `{name}: {wanted}`: send it exactly so"
        )));
    }
    match (given(CONTENT_LENGTH.as_str()).map(str::parse::<u64>), put.size) {
        (Some(Ok(length)), size) if length > size.limit() => Err(Error::TooLarge { limit: size.limit() }),
        (Some(Ok(length)), Size::Exactly(said)) if length < said => {
            Err(Error::TooSmall { said, got: length })
        }
        // Without a length it is sent in chunks: the bytes are counted as they come.
        (Some(Ok(_)) | None, _) => Ok(()),
        (Some(Err(_)), _) => Err(Error::Denied("the header Content-Length is no number".to_owned())),
    }
}

struct Claimed {
    request: SignedRequest,
    expires_at: Millis,
    signature: Vec<u8>,
}

impl Claimed {
    fn read(method: &str, path_and_query: &str) -> Option<Self> {
        let (path, query) = path_and_query.split_once('?')?;
        let key = decoded(path.strip_prefix(ROUTE)?)?;
        check_key(&key).ok()?;
        let mut fields = Fields(Vec::new());
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=')?;
            fields.0.push((name, decoded(value)?));
        }
        let expires_at = Millis(fields.take("expires")?.parse().ok()?);
        let signature = URL_SAFE_NO_PAD.decode(fields.take("signature")?).ok()?;
        let request = match method {
            "GET" => {
                let get = GetAs { name: fields.take("name"), content_type: fields.take("type") };
                SignedRequest::Get(SignedGet { key, get })
            }
            "PUT" => {
                let size = match (fields.take("size"), fields.take("max_size")) {
                    (Some(size), None) => Size::Exactly(size.parse().ok()?),
                    (None, Some(most)) => Size::AtMost(most.parse().ok()?),
                    _ => return None,
                };
                let checksum = fields.checksum().ok()?;
                let part = match (fields.take("upload"), fields.take("part")) {
                    (None, None) => None,
                    (upload, number) => Some(SignedPart { upload: upload?, number: number?.parse().ok()? }),
                };
                SignedRequest::Put(SignedPut { key, size, checksum, part })
            }
            _ => return None,
        };
        fields.0.is_empty().then_some(Self { request, expires_at, signature })
    }
}

struct Fields<'a>(Vec<(&'a str, String)>);

impl Fields<'_> {
    fn take(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(own, _)| *own == name)?;
        Some(self.0.swap_remove(at).1)
    }

    /// The digest that is bound, if one is.
    fn checksum(&mut self) -> Result<Option<Checksum>, Error> {
        for kind in ChecksumKind::ALL {
            if let Some(text) = self.take(kind.word()) {
                return Checksum::from_hex(kind, &text).map(Some).ok_or_else(altered);
            }
        }
        Ok(None)
    }
}

fn mac(key: &[u8; 32], method: &str, written: &str) -> Hmac<Sha256> {
    let mut mac = <Hmac<Sha256>>::new_from_slice(key).expect("an HMAC takes a key of any length");
    // The key signs other things too: none of them begins like this.
    mac.update(b"object address ");
    mac.update(method.as_bytes());
    mac.update(b" ");
    mac.update(written.as_bytes());
    mac
}

fn altered() -> Error {
    Error::Denied(
        "this address was not signed by this server for this method, or was altered: ask for a new one, and use it as it is"
            .to_owned(),
    )
}

fn decoded(text: &str) -> Option<String> {
    Some(percent_decode_str(text).decode_utf8().ok()?.into_owned())
}

/// The header `Content-Disposition` that saves under this name, whatever letters it has.
pub fn attachment(name: &str) -> String {
    let plain =
        |letter: char| if letter.is_ascii_alphanumeric() || "-_. ".contains(letter) { letter } else { '_' };
    let fallback: String = name.chars().map(plain).collect();
    format!("attachment; filename=\"{fallback}\"; filename*=UTF-8''{}", utf8_percent_encode(name, PLAIN))
}

#[cfg(test)]
mod tests;
