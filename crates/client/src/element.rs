//! Elements and their results.

use bytes::Bytes;
use reqwest::{Method, header};
use runyard_wire::{
    element::{AddChildren, AddResults, Element, ElementPatch, ElementsDeleted, ElementsMade, PostElements},
    result::ElementResults,
};

use crate::{Client, Error, query::Query};

/// Which elements to list; what is empty restricts nothing.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Ids.
    pub id: Vec<String>,
    /// Slugs of types.
    pub of_type: Vec<String>,
    /// Exact names.
    pub name: Vec<String>,
    /// Patterns of names.
    pub name_ilike: Vec<String>,
    /// Only those without a parent, or only those with one; of a corpus only.
    pub top_level: Option<bool>,
    /// All levels; of children and parents only.
    pub recursive: Option<bool>,
    /// Ids of worker runs that made them.
    pub worker_run_id: Vec<String>,
    /// What else is answered: `parents`, `has_children`, `classifications`, `metadata`.
    pub with: Vec<String>,
    /// What follows this element in the order of the list.
    pub id_after: Option<String>,
    /// At most so many; the server's default is 100.
    pub limit: Option<i64>,
}

impl Filter {
    fn query(&self) -> Query {
        Query::default()
            .each("id", &self.id)
            .each("type", &self.of_type)
            .each("name", &self.name)
            .each("name_ilike", &self.name_ilike)
            .one("top_level", self.top_level)
            .one("recursive", self.recursive)
            .each("worker_run_id", &self.worker_run_id)
            .each("with", &self.with)
            .one("id_after", self.id_after.as_ref())
            .one("limit", self.limit)
    }
}

/// How elements are made.
#[derive(Debug, Clone, Default)]
pub struct HowMade {
    /// Id of their corpus.
    pub corpus_id: String,
    /// Id of the worker run that makes them.
    pub worker_run_id: Option<String>,
    /// Makes types that the corpus does not have.
    pub create_types: bool,
}

impl HowMade {
    fn query(&self) -> Query {
        Query::default()
            .one("corpus_id", Some(&self.corpus_id))
            .one("worker_run_id", self.worker_run_id.as_ref())
            .one("create_types", self.create_types.then_some(true))
    }
}

/// As many elements as one page may have.
const PAGE: i64 = 1_000;

impl Client {
    /// Makes up to 10,000 elements, all or none.
    pub async fn create_elements(&self, how: &HowMade, new: &PostElements) -> Result<ElementsMade, Error> {
        self.http.create(how.query().on(self.http.api(&["elements"])?), new).await
    }

    /// The same from JSON lines as they are, at most 16 MiB. Each needs an id of its own to be repeatable.
    pub async fn create_elements_of_lines(&self, how: &HowMade, lines: Bytes) -> Result<ElementsMade, Error> {
        let url = how.query().on(self.http.api(&["elements"])?);
        let request = self.http.request(Method::POST, url)?;
        self.http.data(request.header(header::CONTENT_TYPE, "application/x-ndjson").body(lines)).await
    }

    /// Elements of a corpus that match, by id.
    pub async fn elements(&self, corpus: &str, filter: &Filter) -> Result<Vec<Element>, Error> {
        let query = filter.query().one("corpus_id", Some(corpus));
        self.http.get(query.on(self.http.api(&["elements"])?)).await
    }

    /// Every element of a corpus that matches, by id.
    pub async fn all_elements(&self, corpus: &str, filter: &Filter) -> Result<Vec<Element>, Error> {
        let mut all: Vec<Element> = Vec::new();
        loop {
            let id_after = all.last().map(|last| last.id.clone()).or_else(|| filter.id_after.clone());
            let page = Filter { id_after, limit: Some(PAGE), ..filter.clone() };
            let page = self.elements(corpus, &page).await?;
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page);
        }
    }

    /// The element with this id.
    pub async fn element(&self, id: &str) -> Result<Element, Error> {
        self.http.get(self.http.api(&["elements", id])?).await
    }

    /// Changes an element.
    pub async fn patch_element(&self, id: &str, patch: &ElementPatch) -> Result<Element, Error> {
        self.http.send_json(Method::PATCH, self.http.api(&["elements", id])?, patch).await
    }

    /// Deletes an element with everything below it that has no parent elsewhere.
    pub async fn delete_element(&self, id: &str) -> Result<ElementsDeleted, Error> {
        let url = self.http.api(&["elements", id])?;
        self.http.data(self.http.request(Method::DELETE, url)?).await
    }

    /// What is below an element.
    pub async fn element_children(&self, id: &str, filter: &Filter) -> Result<Vec<Element>, Error> {
        self.http.get(filter.query().on(self.http.api(&["elements", id, "children"])?)).await
    }

    /// What is above an element.
    pub async fn element_parents(&self, id: &str, filter: &Filter) -> Result<Vec<Element>, Error> {
        self.http.get(filter.query().on(self.http.api(&["elements", id, "parents"])?)).await
    }

    /// Puts elements below another one.
    pub async fn add_element_children(&self, id: &str, children: Vec<String>) -> Result<(), Error> {
        let url = self.http.api(&["elements", id, "children"])?;
        self.http.done(self.http.request(Method::POST, url)?.json(&AddChildren { children })).await
    }

    /// Takes a parent away from an element.
    pub async fn remove_element_parent(&self, id: &str, parent: &str) -> Result<(), Error> {
        let url = self.http.api(&["elements", id, "parents", parent])?;
        self.http.done(self.http.request(Method::DELETE, url)?).await
    }

    /// What was found about an element.
    pub async fn element_results(&self, id: &str) -> Result<ElementResults, Error> {
        self.http.get(self.http.api(&["elements", id, "results"])?).await
    }

    /// Adds results to an element, all or none.
    pub async fn add_element_results(&self, id: &str, results: &AddResults) -> Result<(), Error> {
        let url = self.http.api(&["elements", id, "results"])?;
        self.http.done(self.http.request(Method::POST, url)?.json(results)).await
    }
}
