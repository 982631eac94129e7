//! The images of elements that are made: those that are named by address are made where the project does not have them.

use std::collections::HashMap;

use runyard_domain::{FieldErrors, ImageId, element::NewImage, id::Series};
use runyard_store::{self as store, Tx, corpus::Corpus, image::Image};

use super::Checked;
use crate::{Result, image};

/// The images of a request.
pub(super) struct Images {
    /// Of each element that names one.
    pub(super) of: Vec<Option<ImageId>>,
    known: HashMap<ImageId, Image>,
}

impl Images {
    /// Width and height of an image, where both are known.
    pub(super) fn size(&mut self, tx: &mut Tx, id: ImageId) -> Result<Option<(i64, i64)>> {
        if !self.known.contains_key(&id) {
            self.known.extend(store::image::by_ids(tx, &[id])?);
        }
        Ok(self.known.get(&id).and_then(Image::size))
    }
}

/// Finds or makes the images that elements name.
pub(super) fn resolve(
    tx: &mut Tx,
    corpus: &Corpus,
    checked: &Checked,
    ids: &mut Series,
    errors: &mut FieldErrors,
) -> Result<Images> {
    let named: Vec<(usize, &NewImage)> = checked
        .batch
        .elements
        .iter()
        .enumerate()
        .filter_map(|(index, new)| Some((index, new.image.as_ref()?)))
        .collect();
    let mut images = Images { of: vec![None; checked.ids.len()], known: HashMap::new() };
    if named.is_empty() {
        return Ok(images);
    }
    let urls: Vec<String> = named.iter().filter_map(|(_, image)| image.url.clone()).collect();
    let mut rows: Vec<Image> = named
        .iter()
        .filter(|(_, image)| image.url.is_some())
        .map(|(_, new)| {
            let id = new.id.unwrap_or_else(|| ImageId(ids.take()));
            image::row(new, corpus.project_id, id, checked.now)
        })
        .collect();
    // In the order of addresses, so that two who name the same ones wait for each other, and not both.
    rows.sort_by(|one, other| one.url.cmp(&other.url).then(other.width.cmp(&one.width)));
    rows.dedup_by(|one, other| one.url == other.url);
    store::image::put_all(tx, &rows)?;
    let by_url = store::image::by_urls(tx, corpus.project_id, &urls)?;
    let wanted: Vec<ImageId> =
        named.iter().filter(|(_, image)| image.url.is_none()).filter_map(|(_, image)| image.id).collect();
    images.known = store::image::by_ids(tx, &wanted)?;
    images.known.retain(|_, image| image.project_id == corpus.project_id);
    for (index, image) in named {
        images.of[index] = match (&image.url, image.id) {
            (Some(url), _) => by_url.get(url).map(|image| image.id),
            (None, Some(id)) if images.known.contains_key(&id) => Some(id),
            (None, id) => {
                let id = id.map(|id| id.to_string()).unwrap_or_default();
                errors.add(
                    format!("elements.{index}.image.id"),
                    format!("there is no image `{id}` in this project: give its `url`"),
                );
                None
            }
        };
    }
    images.known.extend(by_url.into_values().map(|image| (image.id, image)));
    Ok(images)
}
