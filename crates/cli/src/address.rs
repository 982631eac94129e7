//! From what a person writes (an id, a piece of one, a name) to the one thing that is meant.

use std::fmt::Write as _;

use runyard_client::{blueprint, run};
use runyard_domain::{BlueprintId, RunId};
use runyard_wire::{blueprint::Blueprint, run::Run};

use crate::{context::Context, failure::Failure, time};

pub(crate) mod corpus;
pub(crate) mod model;

/// So many of the newest runs are looked through for a piece of an id.
const SEARCHED: i64 = 10_000;
const PAGE: i64 = 1000;
/// A shorter piece of an id means nothing.
const PIECE_MIN: usize = 6;

/// The id of the run that `text` means.
pub(crate) async fn run(context: &Context, text: &str, newest: bool) -> Result<String, Failure> {
    if let Ok(id) = text.parse::<RunId>() {
        return Ok(id.to_string());
    }
    let mut found = named(context, text).await?;
    if found.is_empty() && is_piece(text) {
        found = with_piece(context, text).await?;
    }
    choose(text, found, newest)
}

/// The last eight characters of an id: what lists show, and enough to name it.
pub(crate) fn short(id: &str) -> &str {
    id.len().checked_sub(8).and_then(|at| id.get(at..)).unwrap_or(id)
}

/// The blueprint that `text` means: an id, a name, or `NAME@VERSION`.
pub(crate) async fn blueprint(context: &Context, text: &str) -> Result<Blueprint, Failure> {
    if let Ok(id) = text.parse::<BlueprintId>() {
        return Ok(context.client.blueprint(&id.to_string()).await?);
    }
    let (name, version) = match text.rsplit_once('@') {
        Some((name, version)) if version != "latest" => (name, Some(version)),
        Some((name, _)) => (name, None),
        None => (text, None),
    };
    let filter = blueprint::Filter {
        project_id: context.project.iter().cloned().collect(),
        name: vec![name.to_owned()],
        version: version.map(str::to_owned).into_iter().collect(),
        sort: Some("created_at:desc".to_owned()),
        limit: Some(1),
        offset: None,
    };
    let found = context.client.blueprints(&filter).await?.into_iter().next();
    found.ok_or_else(|| {
        Failure::new(format!("there is no blueprint `{text}`"))
            .hint("`runyard blueprint ls` lists those that are there")
    })
}

async fn named(context: &Context, name: &str) -> Result<Vec<Run>, Failure> {
    let mut pattern = String::new();
    for character in name.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    let filter = run::Filter { name_ilike: vec![pattern], limit: Some(PAGE), ..listing(context) };
    let mut found = context.client.runs(&filter).await?;
    found.retain(|run| run.name.as_deref() == Some(name));
    Ok(found)
}

async fn with_piece(context: &Context, piece: &str) -> Result<Vec<Run>, Failure> {
    let piece = piece.to_ascii_lowercase();
    let mut found = Vec::new();
    for offset in (0..SEARCHED).step_by(PAGE as usize) {
        let filter = run::Filter { limit: Some(PAGE), offset: Some(offset), ..listing(context) };
        let page = context.client.runs(&filter).await?;
        let last = page.len() < PAGE as usize;
        found.extend(page.into_iter().filter(|run| {
            run.id.as_deref().is_some_and(|id| id.starts_with(&piece) || id.ends_with(&piece))
        }));
        if last {
            break;
        }
    }
    Ok(found)
}

fn listing(context: &Context) -> run::Filter {
    run::Filter {
        project_id: context.project.iter().cloned().collect(),
        select: ["id", "name", "status", "created_at"].map(String::from).into(),
        ..run::Filter::default()
    }
}

fn is_piece(text: &str) -> bool {
    text.len() >= PIECE_MIN && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// `found` is in the order of the server: the newest first.
fn choose(text: &str, found: Vec<Run>, newest: bool) -> Result<String, Failure> {
    let mut ids: Vec<String> = found.iter().filter_map(|run| run.id.clone()).collect();
    match ids.len() {
        0 if is_piece(text) || !text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') => {
            Err(Failure::new(format!("no run has the name `{text}`, or an id that begins or ends with it"))
                .hint("`runyard ls` lists runs; RUNYARD_PROJECT or --project may restrict the search"))
        }
        0 => Err(Failure::new(format!("no run has the name `{text}`"))
            .hint(format!("of an id, give at least {PIECE_MIN} characters of its beginning or end"))),
        1 => Ok(ids.remove(0)),
        _ if newest => Ok(ids.remove(0)),
        count => {
            let mut error = format!("`{text}` means {count} runs:");
            let now = time::now();
            for run in found.iter().take(10) {
                let _ = write!(
                    error,
                    "\n  {}  {}  {}  {} ago",
                    run.id.as_deref().unwrap_or_default(),
                    run.name.as_deref().unwrap_or_default(),
                    run.status.map_or("", runyard_domain::run::Status::word),
                    time::age(now - run.created_at.unwrap_or(now)),
                );
            }
            if count > 10 {
                let _ = write!(error, "\n  and {} more", count - 10);
            }
            Err(Failure::new(error).hint("give more of the id, or --newest for the first of these"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(id: &str) -> Run {
        Run { id: Some(id.into()), name: Some("digits".into()), created_at: Some(0), ..Run::default() }
    }

    #[test]
    fn a_name_of_several_runs_is_answered_with_the_candidates() {
        let error = choose("digits", vec![run("newer"), run("older")], false).unwrap_err().to_string();
        assert!(
            error.contains("means 2 runs") && error.contains("newer") && error.contains("older"),
            "{error}"
        );
        assert!(error.contains("--newest"), "{error}");
        assert_eq!(choose("digits", vec![run("newer"), run("older")], true).unwrap(), "newer");
    }

    #[test]
    fn a_run_that_is_not_there_is_named() {
        let error = choose("digits", vec![], false).unwrap_err().to_string();
        assert!(error.contains("`digits`") && error.contains("`runyard ls`"), "{error}");
        let error = choose("abc", vec![], false).unwrap_err().to_string();
        assert!(error.contains("at least 6 characters"), "{error}");
    }

    #[test]
    fn ids_are_shown_by_their_random_end() {
        assert_eq!(short("01890a5d-ac96-774b-bcce-b302099a8057"), "099a8057");
        assert_eq!(short("x"), "x");
        assert!(is_piece("099a8057") && is_piece("01890a5d-ac") && !is_piece("digits") && !is_piece("abc"));
    }
}
