//! Images: name one by its address, list, read. Nothing is fetched: what is not known of an image stays unknown.

use runyard_domain::{FieldErrors, ImageId, ProjectId, element::NewImage, token::Scope};
pub use runyard_store::image::{Filter, Image};
use runyard_store::{self as store};

use crate::{Actor, Engine, Error, Result, corpus, project};

/// Images that are named at once.
pub const MAX_IMAGES: usize = 1_000;

/// Names images by their addresses: those that the project knows already stay as they are, but for a size that was not known.
/// Answers them in the order of the request.
pub async fn put(
    engine: &Engine,
    actor: &Actor,
    project: Option<String>,
    images: Vec<NewImage>,
) -> Result<Vec<Image>> {
    check(&images)?;
    let (now, actor, ids) = (engine.now(), actor.clone(), engine.series());
    engine
        .db
        .write(move |tx| {
            let own = match actor.scope {
                Scope::Project(own) | Scope::Run(own, _) => own.to_string(),
                Scope::Admin => project::DEFAULT.to_owned(),
            };
            let project = project::resolve(tx, &actor, project.as_deref().unwrap_or(&own))?;
            let mut ids = ids.clone();
            let mut rows: Vec<Image> = images
                .iter()
                .map(|new| row(new, project.id, new.id.unwrap_or_else(|| ImageId(ids.take())), now))
                .collect();
            let urls: Vec<String> = rows.iter().map(|row| row.url.clone()).collect();
            rows.sort_by(|one, other| one.url.cmp(&other.url));
            rows.dedup_by(|one, other| one.url == other.url);
            store::image::put_all(tx, &rows)?;
            let found = store::image::by_urls(tx, project.id, &urls)?;
            Ok::<_, Error>(urls.iter().filter_map(|url| found.get(url).cloned()).collect())
        })
        .await
}

/// The row of an image that is named by its address.
pub(crate) fn row(new: &NewImage, project_id: ProjectId, id: ImageId, now: runyard_domain::Millis) -> Image {
    Image {
        id,
        project_id,
        url: new.url.clone().unwrap_or_default(),
        width: new.width,
        height: new.height,
        s3_url: new.s3_url.clone(),
        max_width: None,
        max_height: None,
        created_at: now,
    }
}

/// The image with this id.
pub async fn get(engine: &Engine, actor: &Actor, id: ImageId) -> Result<Image> {
    let actor = actor.clone();
    engine
        .db
        .read(move |tx| {
            let found = store::image::by_ids(tx, &[id])?.remove(&id);
            found
                .filter(|image| corpus::reads(&actor, image.project_id))
                .ok_or_else(|| Error::not_found("image", id))
        })
        .await
}

/// Images that match; limited to what the actor may read.
pub async fn list(engine: &Engine, actor: &Actor, mut filter: Filter) -> Result<Vec<Image>> {
    if let Scope::Project(own) | Scope::Run(own, _) = actor.scope {
        if !filter.project_ids.is_empty() && !filter.project_ids.contains(&own) {
            return Ok(Vec::new());
        }
        filter.project_ids = vec![own];
    }
    engine.db.read(move |tx| Ok::<_, Error>(store::image::list(tx, &filter)?)).await
}

fn check(images: &[NewImage]) -> Result<()> {
    if images.is_empty() || images.len() > MAX_IMAGES {
        let message = format!("has {} images: name 1 to {MAX_IMAGES} at once", images.len());
        return Err(Error::field("images", message));
    }
    let mut errors = FieldErrors::default();
    for (index, image) in images.iter().enumerate() {
        let path = format!("images.{index}");
        image.check(&path, &mut errors);
        if image.url.is_none() && image.id.is_some() {
            errors.add(format!("{path}.url"), "is needed: where is the image?");
        }
    }
    Ok(errors.finish(())?)
}
