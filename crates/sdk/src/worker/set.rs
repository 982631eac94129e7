//! A set of a dataset as a worker gets it: the dataset's archive, extracted. Its elements are in the database of the archive.

use std::path::{Path, PathBuf};

use runyard_wire::dataset::Dataset;

/// A set to process.
#[derive(Debug, Clone)]
pub struct Set {
    /// Its dataset, which is complete.
    pub dataset: Dataset,
    /// Its name.
    pub name: String,
    pub(super) folder: PathBuf,
}

impl Set {
    /// The folder of the archive; it goes once the worker is done with the dataset.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The image files: `<image id><extension>`.
    pub fn files(&self) -> PathBuf {
        self.folder.join("files")
    }

    /// The SQLite database of the elements, in the schema of Arkindex's cache: those of this set are the rows of
    /// `dataset_elements` with its name.
    pub fn database(&self) -> PathBuf {
        self.folder.join("db.sqlite")
    }
}
