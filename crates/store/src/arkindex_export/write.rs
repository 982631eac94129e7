//! Writes pages of an export. What is there already stays as it is, so that an import may be repeated.

use std::collections::{HashMap, HashSet};

use runyard_domain::{ElementId, ImageId, id::Series, worker_run::Selection};

use super::{Page, Place};
use crate::{
    activity::SelectFrom,
    corpus, dataset,
    db::{Error, Rule, Tx, Value},
    element::{
        self, Element,
        result::{class, entity, metadata, transcription},
    },
    image, worker_run,
};

impl Page {
    /// Writes the page, in the transaction of the caller. `ids`: of what has none in the export, such as classes.
    pub fn write(&self, tx: &mut Tx, place: Place, ids: &mut Series) -> Result<(), Error> {
        match self {
            Self::WorkerRuns(all) => {
                for run in all {
                    if worker_run::get(tx, run.id)?.is_none() {
                        worker_run::insert(tx, run)?;
                    }
                }
                Ok(())
            }
            Self::Images(all) => {
                let urls: Vec<String> = all.iter().map(|image| image.url.clone()).collect();
                let known = image::by_urls(tx, place.project, &urls)?;
                let taken = image::by_ids(tx, &all.iter().map(|image| image.id).collect::<Vec<_>>())?;
                let new: Vec<_> = all
                    .iter()
                    .filter(|image| !known.contains_key(&image.url) && !taken.contains_key(&image.id))
                    .cloned()
                    .collect();
                image::put_all(tx, &new)
            }
            Self::Elements(all) => elements(tx, place, all, ids),
            Self::Links(all) => {
                let row = |(parent, child, ord): &(ElementId, ElementId, i64)| {
                    [Value::from(*child), Value::from(*parent), Value::from(*ord)]
                };
                let rows: Vec<_> = all.iter().map(row).collect();
                let columns = ["child_id", "parent_id", "ord"];
                tx.insert_rows("element_parents", &columns, &rows, "ON CONFLICT DO NOTHING").map(drop)
            }
            Self::Transcriptions(all) => {
                let known = known(tx, "transcriptions", all.iter().map(|one| one.id))?;
                let new: Vec<_> =
                    all.iter().filter(|one| !known.contains(&one.id.to_string())).cloned().collect();
                transcription::insert_all(tx, &new)
            }
            Self::Classifications(all) => {
                let mut names: Vec<&str> = all.iter().map(|(_, name)| name.as_str()).collect();
                names.sort_unstable();
                names.dedup();
                let classes = class::put_all(tx, place.corpus, &names, ids)?;
                let of = |(one, name): &(class::Classification, String)| {
                    let class_id = classes.get(name.as_str()).copied().unwrap_or(one.class_id);
                    class::Classification { class_id, ..one.clone() }
                };
                let rows: Vec<_> = all.iter().map(of).collect();
                class::insert_all(tx, &rows, class::Again::IsLeftOut).map(drop)
            }
            Self::EntityTypes(all) => {
                for one in all {
                    if entity::type_by_name(tx, place.corpus, &one.name)?.is_none()
                        && entity::types_by_ids(tx, &[one.id])?.is_empty()
                    {
                        entity::insert_type(tx, one)?;
                    }
                }
                Ok(())
            }
            Self::Entities(all) => entities(tx, place, all, ids),
            Self::Metadata(all) => {
                let known = known(tx, "metadata", all.iter().map(|one| one.id))?;
                let new: Vec<_> =
                    all.iter().filter(|one| !known.contains(&one.id.to_string())).cloned().collect();
                metadata::insert_all(tx, &new)
            }
            Self::Datasets(all) => {
                for (one, sets) in all {
                    if dataset::get(tx, one.id)?.is_none() && !dataset::insert(tx, one, sets)? {
                        let message = format!("there is another dataset `{}` in this corpus", one.name);
                        return Err(Error::Constraint { rule: Rule::Unique, message });
                    }
                }
                Ok(())
            }
            Self::Members(all) => {
                let mut sets: HashMap<_, Vec<ElementId>> = HashMap::new();
                for (dataset, set, element) in all {
                    sets.entry((*dataset, set.as_str())).or_default().push(*element);
                }
                for ((id, set), elements) in sets {
                    let selection = Selection { elements, ..Selection::default() };
                    dataset::add(tx, id, set, SelectFrom { corpus: place.corpus, selection: &selection })?;
                }
                Ok(())
            }
        }
    }
}

fn elements(
    tx: &mut Tx,
    place: Place,
    all: &[(Element, Option<String>)],
    ids: &mut Series,
) -> Result<(), Error> {
    let there = element::by_ids(tx, &all.iter().map(|(one, _)| one.id).collect::<Vec<_>>())?;
    let urls: Vec<String> = all.iter().filter_map(|(_, url)| url.clone()).collect();
    let images = image::by_urls(tx, place.project, &urls)?;
    let image = |one: &Element, url: &Option<String>| -> Option<ImageId> {
        url.as_ref().and_then(|url| images.get(url)).map(|image| image.id).or(one.image_id)
    };
    let new: Vec<Element> = all
        .iter()
        .filter(|(one, _)| !there.contains_key(&one.id))
        .map(|(one, url)| Element { image_id: image(one, url), ..one.clone() })
        .collect();
    for slug in new.iter().map(|one| one.of_type.as_str()).collect::<HashSet<_>>() {
        let of_type = corpus::ElementType {
            id: runyard_domain::ElementTypeId(ids.take()),
            corpus_id: place.corpus,
            slug: slug.to_owned(),
            display_name: slug.to_owned(),
            folder: false,
        };
        corpus::insert_type(tx, &of_type)?;
    }
    element::insert_all(tx, &new)
}

fn entities(
    tx: &mut Tx,
    place: Place,
    all: &[(entity::Entity, entity::TranscriptionEntity, String)],
    ids: &mut Series,
) -> Result<(), Error> {
    let mut names: Vec<&str> = all.iter().map(|(_, _, of_type)| of_type.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let types = entity::put_types(tx, place.corpus, &names, ids)?;
    let known = known(tx, "entities", all.iter().map(|(one, ..)| one.id))?;
    let new: Vec<_> = all.iter().filter(|(one, ..)| !known.contains(&one.id.to_string())).collect();
    let rows: Vec<_> = new
        .iter()
        .map(|(one, _, of_type)| {
            let type_id = types.get(of_type.as_str()).copied().unwrap_or(one.type_id);
            entity::Entity { type_id, ..one.clone() }
        })
        .collect();
    entity::insert_all(tx, &rows)?;
    let places: Vec<_> = new.iter().map(|(_, place, _)| place.clone()).collect();
    entity::place_all(tx, &places)
}

/// Which of these ids a table has.
fn known<T: Into<Value>>(
    tx: &mut Tx,
    table: &str,
    ids: impl Iterator<Item = T>,
) -> Result<HashSet<String>, Error> {
    let values: Vec<Value> = ids.map(Into::into).collect();
    let rows =
        tx.query_in(&[], &values, |places| format!("SELECT id FROM {table} WHERE id IN ({places})"))?;
    rows.iter().map(|row| row.get(0)).collect()
}
