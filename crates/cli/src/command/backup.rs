//! `runyard backup` and `runyard restore`. A backup gets its name only once all of it is on the disk and was read again.

use std::{
    fs, io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
};

use runyard_server::backup::{self as engine, Restored};
use serde::Serialize;

use crate::{
    args::{
        Global,
        server::{Backup, Restore},
    },
    context::Context,
    failure::Failure,
    output::{self, Format, Output},
    place, source,
};

/// What `--output json` says.
#[derive(Serialize)]
struct Shown<'a> {
    path: &'a Path,
    created_at: i64,
    version: &'a str,
    rows: u64,
    objects: u64,
    object_bytes: u64,
    missing: &'a [String],
    bucket: Option<&'a str>,
}

pub(super) async fn backup(context: &Context, args: Backup) -> Result<u8, Failure> {
    let file = args.file;
    if file.file_name().is_none() || file.is_dir() {
        return Err(Failure::usage(format!("{} is no name for a file", file.display())).hint("name a file"));
    }
    if file.exists() && !args.force {
        return Err(Failure::usage(format!("{} is there already", file.display()))
            .hint("name another file, or add --force"));
    }
    let mut partial = file.clone().into_os_string();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let written = write(context, &partial).await.and_then(|()| {
        let found = engine::inspect(&partial).map_err(Failure::new)?;
        fs::rename(&partial, &file).and_then(|()| sync_parent(&file)).map_err(failed(&file))?;
        Ok(found)
    });
    if written.is_err() {
        let _ = fs::remove_file(&partial);
    }
    let found = written?;
    say_missing(&found);
    let size = fs::metadata(&file).map_err(failed(&file))?.len();
    if context.out.format == Format::Table {
        output::note(format!(
            "backed up {} rows and {} objects: {} in {}",
            found.tail.rows,
            found.tail.objects,
            source::bytes(size.cast_signed()),
            file.display()
        ));
        output::note("it holds the server's key and admin token: whoever has the file has the server");
        if let Some(bucket) = &found.head.bucket {
            output::note(format!(
                "the objects in {bucket} are not in it: keep the bucket safe with its own tools"
            ));
        }
    }
    show(context.out, &found, &file)?;
    Ok(0)
}

/// Brings the backup into a file that only its owner can read, down to the disk.
async fn write(context: &Context, partial: &Path) -> Result<(), Failure> {
    let opened = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(partial);
    let mut out = tokio::fs::File::from_std(opened.map_err(failed(partial))?);
    context.client.backup(&mut out).await.map_err(|error| match &error {
        runyard_client::Error::Broken { .. } => {
            Failure::from(error).hint("the server's log says why it gave the backup up; no file was written")
        }
        _ => Failure::from(error),
    })?;
    out.sync_all().await.map_err(failed(partial))
}

pub(super) async fn restore(global: &Global, args: Restore) -> Result<ExitCode, Failure> {
    let data = place::data(global.data.as_deref())?;
    let database = args.database.filter(|url| !url.is_empty());
    let wanted = engine::Restore {
        file: args.file,
        data: data.clone(),
        database: database.clone(),
        allow_network_filesystem: args.allow_network_filesystem,
    };
    let found = engine::restore(wanted).await.map_err(Failure::new)?;
    say_missing(&found);
    let out = Output::new(global.format());
    if out.format == Format::Table {
        output::note(format!(
            "restored {} rows and {} objects into {}",
            found.tail.rows,
            found.tail.objects,
            data.display()
        ));
        let objects = found.head.bucket.as_ref();
        let objects = objects.map(|bucket| format!(" --objects {bucket}?...")).unwrap_or_default();
        let database = if database.is_some() { " --database postgres://..." } else { "" };
        output::note(format!(
            "start it with `runyard serve --data {}{database}{objects}`, and the server that it was made from no more: \
             both would drive the same runs",
            data.display()
        ));
    }
    show(out, &found, &data)?;
    Ok(ExitCode::SUCCESS)
}

fn say_missing(found: &Restored) {
    if found.tail.missing > 0 {
        let named: Vec<&str> = found.missing.iter().take(5).map(String::as_str).collect();
        output::note(format!(
            "warning: {} objects that rows refer to were not there, and are not in the backup: {}",
            found.tail.missing,
            named.join(", ")
        ));
    }
}

fn show(out: Output, found: &Restored, path: &Path) -> Result<(), Failure> {
    match out.format {
        Format::Table => Ok(()),
        Format::Quiet => output::line(path.display()),
        Format::Json => output::json(&Shown {
            path,
            created_at: found.head.created_at,
            version: &found.head.version,
            rows: found.tail.rows,
            objects: found.tail.objects,
            object_bytes: found.tail.bytes,
            missing: &found.missing,
            bucket: found.head.bucket.as_deref(),
        }),
        Format::Csv => Err(output::no_csv()),
    }
}

fn sync_parent(file: &Path) -> io::Result<()> {
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(parent)?.sync_all()
}

fn failed(path: &Path) -> impl Fn(io::Error) -> Failure + use<> {
    let path = path.to_owned();
    move |error| {
        let failure = Failure::new(format!("cannot write {}: {error}", path.display()));
        match error.kind() {
            io::ErrorKind::StorageFull => {
                failure.hint("free some space there, or name a file on another disk")
            }
            _ => failure,
        }
    }
}
