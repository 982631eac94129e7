//! Downloads the files of a checkpoint or an artifact into a folder, and shows how far it is.

use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use runyard_domain::checkpoint::Kind;

use crate::{
    context::Context,
    failure::Failure,
    output::{self, Format},
    source,
};

/// What is downloaded.
pub(crate) struct Wanted<'a> {
    pub(crate) kind: Kind,
    pub(crate) id: &'a str,
    /// For people.
    pub(crate) title: String,
    /// Bytes of all files.
    pub(crate) size: i64,
}

/// Brings all files into `folder`. What is there already, and right, stays.
pub(crate) async fn pull(context: &Context, wanted: &Wanted<'_>, folder: &Path) -> Result<(), Failure> {
    if folder.exists() && !folder.is_dir() {
        return Err(
            Failure::usage(format!("{} is not a folder", folder.display())).hint("name another folder")
        );
    }
    let bar = bar(context, wanted.size.cast_unsigned());
    let brought = context.client.fetch_files(wanted.kind, wanted.id, folder, &|bytes| bar.inc(bytes)).await;
    bar.finish_and_clear();
    let bytes = brought
        .map_err(|error| Failure::from(error).hint("the same command goes on where this one stopped"))?;
    match context.out.format {
        Format::Table => output::note(format!(
            "{}: {} in {}",
            wanted.title,
            source::bytes(bytes.cast_signed()),
            folder.display()
        )),
        Format::Quiet => output::line(folder.display())?,
        Format::Json | Format::Csv => {}
    }
    Ok(())
}

/// A bar of bytes, which shows itself to people only.
pub(crate) fn bar(context: &Context, size: u64) -> ProgressBar {
    let people = context.out.format == Format::Table;
    // Draws nothing where stderr is no terminal.
    let bar = if people { ProgressBar::new(size) } else { ProgressBar::hidden() };
    if let Ok(style) =
        ProgressStyle::with_template("{msg}{bytes}/{total_bytes} {wide_bar} {bytes_per_sec} {eta}")
    {
        bar.set_style(style);
    }
    bar
}
