//! Buckets: listed, made, described, deleted.

use axum::{
    http::{HeaderMap, StatusCode},
    response::IntoResponse,
};
use runyard_engine::oss::{Bucket, bucket};

use super::{
    Answer,
    asked::Asked,
    headers::{no_acl, set, xml_time},
    refusal::{method, refused},
    written,
    xml::Writer,
};
use crate::app::App;

/// Where everything is, in the words of OSS.
const LOCATION: &str = "runyard";
/// Buckets of one page.
const PAGE: i64 = 1_000;

/// What is asked of no bucket: which there are.
pub(super) async fn of_service(app: &App, asked: &Asked) -> Answer {
    asked.only(&[])?;
    if asked.method != axum::http::Method::GET {
        return Err(method("without a bucket, only the list of buckets can be asked for"));
    }
    let limit = asked.number("max-keys", 1, PAGE)?.unwrap_or(100);
    let (prefix, marker) = (asked.value("prefix").unwrap_or(""), asked.value("marker").unwrap_or(""));
    let found = bucket::list(&app.engine, &asked.actor, prefix, marker, limit).await.map_err(refused)?;
    let (page, truncated) = super::list::page(&found, limit);
    let mut xml = Writer::new("ListAllMyBucketsResult");
    xml.text("Prefix", prefix);
    xml.text("Marker", marker);
    xml.text("MaxKeys", limit);
    xml.text("IsTruncated", truncated);
    if let Some(last) = page.last().filter(|_| truncated) {
        xml.text("NextMarker", &last.name);
    }
    xml.begin("Owner");
    xml.text("ID", "runyard");
    xml.text("DisplayName", "runyard");
    xml.close();
    xml.begin("Buckets");
    for bucket in page {
        xml.begin("Bucket");
        xml.text("Name", &bucket.name);
        places(&mut xml, asked);
        xml.text("CreationDate", xml_time(bucket.created_at));
        xml.text("StorageClass", "Standard");
        xml.close();
    }
    Ok(written(xml.end()))
}

pub(super) async fn put(app: &App, asked: &Asked, name: String) -> Answer {
    match asked.header("x-oss-acl")? {
        None | Some("private") => {}
        Some(other) => return Err(no_acl(other)),
    }
    // What a client says in the body (a class of storage, a kind of redundancy) has one answer here.
    bucket::ensure(&app.engine, &asked.actor, &name).await.map_err(refused)?;
    let mut headers = HeaderMap::new();
    set(&mut headers, "location", &format!("/{name}"));
    Ok((StatusCode::OK, headers).into_response())
}

pub(super) async fn head(app: &App, asked: &Asked, name: String) -> Answer {
    bucket::get(&app.engine, &asked.actor, &name).await.map_err(refused)?;
    Ok(StatusCode::OK.into_response())
}

pub(super) async fn delete(app: &App, asked: &Asked, name: String) -> Answer {
    bucket::delete(&app.engine, &asked.actor, &name).await.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn info(app: &App, asked: &Asked, name: String) -> Answer {
    let bucket = bucket::get(&app.engine, &asked.actor, &name).await.map_err(refused)?;
    let mut xml = Writer::new("BucketInfo");
    xml.begin("Bucket");
    xml.text("Name", &bucket.name);
    xml.text("CreationDate", xml_time(bucket.created_at));
    places(&mut xml, asked);
    xml.text("StorageClass", "Standard");
    owner(&mut xml, &bucket);
    xml.begin("AccessControlList");
    xml.text("Grant", "private");
    Ok(written(xml.end()))
}

pub(super) async fn location(app: &App, asked: &Asked, name: String) -> Answer {
    bucket::get(&app.engine, &asked.actor, &name).await.map_err(refused)?;
    let mut xml = Writer::new("LocationConstraint");
    xml.inside(LOCATION);
    Ok(written(xml.end()))
}

pub(super) async fn acl(app: &App, asked: &Asked, name: String) -> Answer {
    let bucket = bucket::get(&app.engine, &asked.actor, &name).await.map_err(refused)?;
    let mut xml = Writer::new("AccessControlPolicy");
    owner(&mut xml, &bucket);
    xml.begin("AccessControlList");
    xml.text("Grant", "private");
    Ok(written(xml.end()))
}

/// The project, which has what is in the bucket.
pub(super) fn owner(xml: &mut Writer, bucket: &Bucket) {
    xml.begin("Owner");
    xml.text("ID", bucket.project_id);
    xml.text("DisplayName", bucket.project_id);
    xml.close();
}

fn places(xml: &mut Writer, asked: &Asked) {
    xml.text("Location", LOCATION);
    xml.text("ExtranetEndpoint", &asked.host);
    xml.text("IntranetEndpoint", &asked.host);
}
