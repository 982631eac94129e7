//! `runyard element`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

const CORPUS: &str = "Name or id of the corpus";

#[derive(Debug, Subcommand)]
pub(crate) enum Element {
    /// Import elements: JSON lines, a folder of images, or a Parquet file
    #[command(after_help = "Examples:
  runyard element import pages.jsonl --corpus books --type page
  runyard element import scans/ --corpus books --type page

A line is an element as the API takes it: {\"type\": \"page\", \"name\": \"p1\", \"parents\": [\"book-1\"], \"payload\": {...},
\"image\": {\"url\": ..., \"width\": ..., \"height\": ...}, \"polygon\": [[x, y], ...]}. Parents stand before their children.
The same file again changes nothing: an element without an id gets one that is made of its line and its place.")]
    Import(Import),
    /// List the elements of a corpus
    #[command(visible_alias = "list")]
    Ls(Ls),
    /// Show one element: what it is, what is above and below it, what was found about it
    Show {
        /// Id
        element: String,
    },
    /// Delete elements with everything below them that has no parent elsewhere
    Rm {
        /// Ids
        #[arg(value_name = "ELEMENT", required = true)]
        elements: Vec<String>,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// FILE.jsonl, `-` for JSON lines from standard input, a folder of images, or FILE.parquet
    #[arg(value_name = "FILE|DIR")]
    pub(crate) from: PathBuf,
    #[arg(long, value_name = "CORPUS", help = CORPUS)]
    pub(crate) corpus: String,
    /// Type of elements that say none; types that the corpus does not have are made
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) of_type: Option<String>,
    /// Parent of elements that say none: the id of an element, or its name
    #[arg(long, value_name = "ELEMENT")]
    pub(crate) parent: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Ls {
    #[arg(long, value_name = "CORPUS", help = CORPUS)]
    pub(crate) corpus: String,
    /// Only this type; may be repeated
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) types: Vec<String>,
    /// Only names with this text; with % and _ it is a pattern for all of the name
    #[arg(long, value_name = "TEXT")]
    pub(crate) name: Option<String>,
    /// Only what is below this element
    #[arg(long, value_name = "ELEMENT", conflicts_with = "top_level")]
    pub(crate) parent: Option<String>,
    /// With --parent: all levels
    #[arg(long, requires = "parent")]
    pub(crate) recursive: bool,
    /// Only those without a parent
    #[arg(long)]
    pub(crate) top_level: bool,
    /// At most so many
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(i64).range(1..))]
    pub(crate) limit: i64,
}
