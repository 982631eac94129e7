//! Corpora, their types and classes, and images.

use std::path::Path;

use futures::TryStreamExt as _;
use reqwest::Method;
use runyard_wire::{
    Data,
    corpus::{
        Corpus, CorpusPatch, ElementType, Entity, EntityType, ImportedCorpus, NewCorpus, NewElementType,
    },
    image::{Image, PutImages},
    result::Class,
};

use crate::{Client, Error, query::Query};

/// Which corpora to list; what is empty restricts nothing.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Ids.
    pub id: Vec<String>,
    /// Ids or names of projects.
    pub project_id: Vec<String>,
    /// Exact names.
    pub name: Vec<String>,
    /// Ids that follow this one.
    pub id_after: Option<String>,
    /// At most so many; the server's default is 100.
    pub limit: Option<i64>,
}

impl Client {
    /// Creates a corpus.
    pub async fn create_corpus(&self, new: &NewCorpus) -> Result<Corpus, Error> {
        self.http.create(self.http.api(&["corpora"])?, new).await
    }

    /// Corpora that match, the oldest first.
    pub async fn corpora(&self, filter: &Filter) -> Result<Vec<Corpus>, Error> {
        let query = Query::default()
            .each("id", &filter.id)
            .each("project_id", &filter.project_id)
            .each("name", &filter.name)
            .one("id_after", filter.id_after.as_ref())
            .one("limit", filter.limit);
        self.http.get(query.on(self.http.api(&["corpora"])?)).await
    }

    /// The corpus with this id.
    pub async fn corpus(&self, id: &str) -> Result<Corpus, Error> {
        self.http.get(self.http.api(&["corpora", id])?).await
    }

    /// Changes a corpus.
    pub async fn patch_corpus(&self, id: &str, patch: &CorpusPatch) -> Result<Corpus, Error> {
        self.http.send_json(Method::PATCH, self.http.api(&["corpora", id])?, patch).await
    }

    /// Deletes a corpus with all that is in it. Of a large one this takes a while: without a time limit.
    pub async fn delete_corpus(&self, id: &str) -> Result<(), Error> {
        let url = self.http.api(&["corpora", id])?;
        self.http.send(self.http.request(Method::DELETE, url)?).await.map(drop)
    }

    /// The types of a corpus, by slug.
    pub async fn element_types(&self, corpus: &str) -> Result<Vec<ElementType>, Error> {
        self.http.get(self.http.api(&["corpora", corpus, "types"])?).await
    }

    /// Adds a type to a corpus.
    pub async fn add_element_type(&self, corpus: &str, new: &NewElementType) -> Result<ElementType, Error> {
        let url = self.http.api(&["corpora", corpus, "types"])?;
        self.http.send_json(Method::POST, url, new).await
    }

    /// Deletes a type that no element has.
    pub async fn delete_element_type(&self, corpus: &str, slug: &str) -> Result<(), Error> {
        let url = self.http.api(&["corpora", corpus, "types", slug])?;
        self.http.done(self.http.request(Method::DELETE, url)?).await
    }

    /// The classes of a corpus, by name: the first thousand.
    pub async fn classes(&self, corpus: &str) -> Result<Vec<Class>, Error> {
        self.http.get(self.http.api(&["corpora", corpus, "classes"])?).await
    }

    /// The types of entities of a corpus, by name: the first thousand.
    pub async fn entity_types(&self, corpus: &str) -> Result<Vec<EntityType>, Error> {
        self.http.get(self.http.api(&["corpora", corpus, "entity_types"])?).await
    }

    /// The entities of a corpus, the oldest first.
    pub async fn entities(&self, corpus: &str, offset: i64, limit: i64) -> Result<Vec<Entity>, Error> {
        let query = Query::default().one("offset", Some(offset)).one("limit", Some(limit));
        self.http.get(query.on(self.http.api(&["corpora", corpus, "entities"])?)).await
    }

    /// Imports a SQLite export of Arkindex as the corpus `name`. It is never in memory as a whole. `moved` hears of every piece.
    pub async fn import_arkindex(
        &self,
        file: &Path,
        name: &str,
        project: Option<&str>,
        moved: impl Fn(u64) + Send + Sync + 'static,
    ) -> Result<ImportedCorpus, Error> {
        let local = |cause| Error::Local { what: format!("cannot read {}", file.display()), cause };
        let opened = tokio::fs::File::open(file).await.map_err(local)?;
        let length = opened.metadata().await.map_err(local)?.len();
        let query = Query::default().one("name", Some(name)).one("project_id", project);
        let url = query.on(self.http.api(&["arkindex", "import"])?);
        let request = self
            .http
            .request(Method::POST, url.clone())?
            .header("content-type", "application/vnd.sqlite3")
            .header("content-length", length);
        let bytes = crate::source::chunks(opened).inspect_ok(move |chunk| moved(chunk.len() as u64));
        // Without a time limit: the server may work at it for long once it has all of it.
        let response = self.http.send(request.body(reqwest::Body::wrap_stream(bytes))).await?;
        let status = response.status().as_u16();
        let unexpected = |why: String| Error::Unexpected { url: url.to_string(), status, why };
        let body = response.bytes().await.map_err(|error| unexpected(error.to_string()))?;
        let data: Data<ImportedCorpus> =
            serde_json::from_slice(&body).map_err(|error| unexpected(error.to_string()))?;
        Ok(data.data)
    }

    /// Names images by their addresses; answers them in the order of the request.
    pub async fn put_images(&self, images: &PutImages) -> Result<Vec<Image>, Error> {
        self.http.send_json(Method::POST, self.http.api(&["images"])?, images).await
    }

    /// The image with this id.
    pub async fn image(&self, id: &str) -> Result<Image, Error> {
        self.http.get(self.http.api(&["images", id])?).await
    }
}
