//! Images: where they are and how large. One row for each address in a project.

use std::collections::HashMap;

use runyard_domain::{ImageId, Millis, ProjectId};

use crate::{
    db::{Conditions, Error, Row, Tx, Value},
    params,
};

/// An image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Id.
    pub id: ImageId,
    /// Its project.
    pub project_id: ProjectId,
    /// Where it is.
    pub url: String,
    /// Pixels, where that is known.
    pub width: Option<i64>,
    /// Pixels, where that is known.
    pub height: Option<i64>,
    /// Where else it is.
    pub s3_url: Option<String>,
    /// Widest that its server sends it, where that is known.
    pub max_width: Option<i64>,
    /// Highest that its server sends it, where that is known.
    pub max_height: Option<i64>,
    /// When it was first named.
    pub created_at: Millis,
}

impl Image {
    /// Width and height, where both are known.
    pub fn size(&self) -> Option<(i64, i64)> {
        Some((self.width?, self.height?))
    }
}

/// Which images. An empty list is no condition.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Any of these ids.
    pub ids: Vec<ImageId>,
    /// In any of these projects.
    pub project_ids: Vec<ProjectId>,
    /// Any of these addresses.
    pub urls: Vec<String>,
    /// Ids that follow this one.
    pub id_after: Option<ImageId>,
    /// At most this many.
    pub limit: i64,
}

const COLUMNS: &str = "id, project_id, url, width, height, s3_url, max_width, max_height, created_at";

/// Writes images whose addresses the project does not know yet; of the others only a size that was not known is written.
/// No address may be there twice.
pub fn put_all(tx: &mut Tx, images: &[Image]) -> Result<(), Error> {
    let columns =
        ["id", "project_id", "url", "width", "height", "s3_url", "max_width", "max_height", "created_at"];
    let row = |image: &Image| {
        [
            image.id.into(),
            image.project_id.into(),
            Value::from(&image.url),
            image.width.into(),
            image.height.into(),
            image.s3_url.clone().into(),
            image.max_width.into(),
            image.max_height.into(),
            image.created_at.into(),
        ]
    };
    let rows: Vec<_> = images.iter().map(row).collect();
    let conflict =
        "ON CONFLICT (project_id, url) DO UPDATE SET width = excluded.width, height = excluded.height
                     WHERE images.width IS NULL AND excluded.width IS NOT NULL";
    tx.insert_rows("images", &columns, &rows, conflict)?;
    Ok(())
}

/// Those of a project with these addresses, by address.
pub fn by_urls(tx: &mut Tx, project: ProjectId, urls: &[String]) -> Result<HashMap<String, Image>, Error> {
    let values: Vec<Value> = urls.iter().map(Value::from).collect();
    let sql =
        |places: &str| format!("SELECT {COLUMNS} FROM images WHERE project_id = $1 AND url IN ({places})");
    let rows = tx.query_in(params![project], &values, sql)?;
    rows.iter().map(|row| from_row(row).map(|image| (image.url.clone(), image))).collect()
}

/// Those with these ids, by id.
pub fn by_ids(tx: &mut Tx, ids: &[ImageId]) -> Result<HashMap<ImageId, Image>, Error> {
    let values: Vec<Value> = ids.iter().map(|id| Value::from(*id)).collect();
    let rows =
        tx.query_in(&[], &values, |places| format!("SELECT {COLUMNS} FROM images WHERE id IN ({places})"))?;
    rows.iter().map(|row| from_row(row).map(|image| (image.id, image))).collect()
}

/// Images that match, the oldest first.
pub fn list(tx: &mut Tx, filter: &Filter) -> Result<Vec<Image>, Error> {
    let dialect = tx.dialect();
    let mut conditions = Conditions::default();
    conditions.any_of(dialect, "id", filter.ids.iter().copied());
    conditions.any_of(dialect, "project_id", filter.project_ids.iter().copied());
    conditions.any_of(dialect, "url", &filter.urls);
    if let Some(after) = filter.id_after {
        let place = conditions.bind(after);
        conditions.and(format!("id > {place}"));
    }
    let limit = conditions.bind(filter.limit);
    let sql = format!("SELECT {COLUMNS} FROM images{} ORDER BY id LIMIT {limit}", conditions.clause());
    tx.query(&sql, conditions.values())?.iter().map(from_row).collect()
}

/// Deletes those of these images that no element is on any more.
pub fn delete_unused(tx: &mut Tx, ids: &[ImageId]) -> Result<u64, Error> {
    let values: Vec<Value> = ids.iter().map(|id| Value::from(*id)).collect();
    tx.execute_in(&[], &values, |places| {
        format!(
            "DELETE FROM images WHERE id IN ({places})
                AND NOT EXISTS (SELECT 1 FROM elements e WHERE e.image_id = images.id)"
        )
    })
}

/// Deletes all images of a project.
pub fn delete_project(tx: &mut Tx, project: ProjectId) -> Result<(), Error> {
    tx.execute("DELETE FROM images WHERE project_id = $1", params![project])?;
    Ok(())
}

fn from_row(row: &Row) -> Result<Image, Error> {
    Ok(Image {
        id: row.get(0)?,
        project_id: row.get(1)?,
        url: row.get(2)?,
        width: row.get(3)?,
        height: row.get(4)?,
        s3_url: row.get(5)?,
        max_width: row.get(6)?,
        max_height: row.get(7)?,
        created_at: row.get(8)?,
    })
}
