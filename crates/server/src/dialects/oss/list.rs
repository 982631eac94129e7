//! Lists of objects, in both versions of the protocol.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use runyard_engine::oss::{
    Bucket, Object,
    list::{self, After, Entry, PAGE_MAX, Wanted},
};

use super::{
    Answer,
    asked::{Asked, cut},
    headers::{quoted, xml_time},
    refusal::{invalid, refused},
    written,
    xml::Writer,
};
use crate::{app::App, error::Problem};

pub(super) async fn list(app: &App, asked: &Asked, bucket: String) -> Answer {
    let second = match asked.value("list-type") {
        None => false,
        Some("2") => true,
        Some(other) => return Err(invalid(format!("`list-type` is `{}`: it is 2, or left out", cut(other)))),
    };
    let limit = asked.number("max-keys", 0, PAGE_MAX as i64)?.unwrap_or(100);
    let text = |name: &str| asked.value(name).unwrap_or_default().to_owned();
    let after = match (second, asked.value("continuation-token")) {
        (true, Some(token)) => After::Entry(entry(token)?),
        (true, None) => After::Key(text("start-after")),
        (false, _) => After::Entry(text("marker")),
    };
    let wanted = Wanted {
        bucket: bucket.clone(),
        prefix: text("prefix"),
        delimiter: text("delimiter"),
        after,
        limit: limit.cast_unsigned() as usize,
    };
    let page = list::list(&app.engine, &asked.actor, wanted).await.map_err(refused)?;
    let encoded = asked.encoded()?;
    let mut xml = Writer::new("ListBucketResult");
    xml.text("Name", bucket);
    xml.key("Prefix", &text("prefix"), encoded);
    xml.text("MaxKeys", limit);
    xml.key("Delimiter", &text("delimiter"), encoded);
    if encoded {
        xml.text("EncodingType", "url");
    }
    xml.text("IsTruncated", page.truncated);
    let last = page.entries.last().filter(|_| page.truncated).map(Entry::name);
    if second {
        xml.key("StartAfter", &text("start-after"), encoded);
        xml.text("ContinuationToken", text("continuation-token"));
        xml.text("KeyCount", page.entries.len());
        if let Some(last) = last {
            xml.text("NextContinuationToken", URL_SAFE_NO_PAD.encode(last));
        }
    } else {
        xml.key("Marker", &text("marker"), encoded);
        if let Some(last) = last {
            xml.key("NextMarker", last, encoded);
        }
    }
    let owned = !second || asked.value("fetch-owner") == Some("true");
    for entry in &page.entries {
        match entry {
            Entry::Object(object) => contents(&mut xml, object, owned.then_some(&page.bucket), encoded),
            Entry::Prefix(prefix) => {
                xml.begin("CommonPrefixes");
                xml.key("Prefix", prefix, encoded);
                xml.close();
            }
        }
    }
    Ok(written(xml.end()))
}

fn contents(xml: &mut Writer, object: &Object, owner: Option<&Bucket>, encoded: bool) {
    xml.begin("Contents");
    xml.key("Key", &object.key, encoded);
    xml.text("LastModified", xml_time(object.modified_at));
    xml.text("ETag", quoted(&object.etag));
    xml.text("Type", &object.of_type);
    xml.text("Size", object.size);
    xml.text("StorageClass", object.headers.get("x-oss-storage-class").map_or("Standard", String::as_str));
    if let Some(bucket) = owner {
        super::bucket::owner(xml, bucket);
    }
    xml.close();
}

/// The entry behind which a list goes on.
fn entry(token: &str) -> Result<String, Problem> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(|| {
        let message = "is none of ours: use the `NextContinuationToken` of the page before";
        invalid(format!("the continuation token `{}` {message}", cut(token)))
    })
}

/// The first `limit` of a list that has one more when there are more.
pub(super) fn page<T>(found: &[T], limit: i64) -> (&[T], bool) {
    let limit = usize::try_from(limit).unwrap_or(0);
    (&found[..found.len().min(limit)], found.len() > limit)
}
