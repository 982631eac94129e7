//! The files of checkpoints and artifacts: announced, sent straight to where objects are, completed, read.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Announces files, and asks where to send them. May be repeated, also to get new addresses; then `done` says what
/// need not be sent again.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PostFiles {
    /// 1 to 1,000 files; a checkpoint or artifact has at most 100,000.
    pub files: Vec<NewFile>,
}

/// A file to send.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewFile {
    /// Relative to the folder, with `/`.
    pub path: String,
    /// Bytes: at most 5 TiB.
    #[schema(minimum = 0)]
    pub size: i64,
    /// Hex MD5 of the bytes; needed without parts where `GET /api/v2/objects` says `md5`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub md5: Option<String>,
    /// Hex SHA-256 of the bytes. Of a file with parts it may come later, with `POST .../complete` at the latest: nothing
    /// need wait until all of a large file was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Of a file above 64 MiB: its parts of 32 MiB (of twice that and so on, where there would be more than 10,000),
    /// only the last one smaller.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<NewPart>,
    /// Of a file that the server may find on a disk of its own: where. Then nothing else is needed but path and size, and the
    /// answer says whether it is `done`: the server has copied it. If not, announce it again without this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<LocalFile>,
    /// Its permissions: nine bits, such as 493 (octal 755). They are kept, and given to who downloads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 511)]
    pub mode: Option<i64>,
}

/// Where a job has a file, and what tells it from any other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LocalFile {
    /// Its place below the job's `ml/`, with `/`, without links.
    pub place: String,
    /// Number of its device.
    pub device: u64,
    /// Its inode.
    pub inode: u64,
    /// When it was changed last: seconds since 1970.
    pub modified_s: i64,
    /// Nanoseconds to be added to that.
    #[schema(minimum = 0, maximum = 999_999_999)]
    pub modified_ns: i64,
}

/// A part of a file to send.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPart {
    /// Bytes.
    #[schema(minimum = 1)]
    pub size: i64,
    /// Hex MD5 of these bytes; needed where `GET /api/v2/objects` says `md5`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub md5: Option<String>,
    /// Hex SHA-256 of these bytes; needed where `GET /api/v2/objects` says `sha256`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The `ETag` that was answered when the part was sent. The server keeps it, so that a sender that starts again
    /// learns that this part is `done`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
}

/// Where to send a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Upload {
    /// The file.
    pub path: String,
    /// It is stored: send nothing.
    pub done: bool,
    /// Where to send it, unless it is done or has parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub put: Option<SignedUrl>,
    /// The upload that the parts belong to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload_id: Option<String>,
    /// Where to send the parts, of a file that has them and is not done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
}

/// Where to send a part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Part {
    /// Its number, from 1.
    pub number: i64,
    /// Where it starts in the file.
    pub offset: i64,
    /// Bytes.
    pub size: i64,
    /// The server knows its `ETag`: send nothing.
    pub done: bool,
    /// Where to send it, unless it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub put: Option<SignedUrl>,
}

/// A request that whoever has it may make until it expires. No token belongs to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SignedUrl {
    /// Where to. One that begins with `/` is a path of the server that was asked.
    pub url: String,
    /// `GET` or `PUT`.
    pub method: String,
    /// Headers that must be sent with exactly these values.
    pub headers: Vec<(String, String)>,
    /// Refused from then on: epoch milliseconds.
    pub expires_at: i64,
}

/// Says that everything was sent.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CompleteFiles {
    /// What the server does not know yet of files that went in parts. Other files may be left out.
    #[serde(default)]
    pub files: Vec<SentFile>,
}

/// A file that was sent.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SentFile {
    /// The file.
    pub path: String,
    /// The `ETag` of each part, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub etags: Vec<String>,
    /// Hex SHA-256 of the bytes, if it was not said before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// Gives an upload up.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AbandonFiles {
    /// Why, for people: 1 to 1,000 characters.
    pub reason: String,
}

/// A file of a checkpoint or an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct File {
    /// Relative to the folder, with `/`.
    pub path: String,
    /// Bytes.
    pub size: i64,
    /// Hex SHA-256 of the bytes; empty while the sender has not said it.
    pub sha256: String,
    /// Its permissions, if its sender said them: nine bits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<i64>,
    /// Where to read it for the next hour, ranges included; absent while the upload is incomplete. One that begins with
    /// `/` is a path of the server that was asked. No token belongs to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}
