//! `runyard ls`.

use runyard_client::run::Filter;
use runyard_domain::run::Status;
use runyard_wire::run::Run;

use crate::{
    address,
    args::run::Ls,
    context::Context,
    failure::Failure,
    output::{Cell, Tone, status_cell},
    show, time,
};

pub(super) async fn run(context: &Context, args: Ls) -> Result<u8, Failure> {
    let now = time::now();
    let blueprint = match &args.blueprint {
        Some(text) => Some(address::blueprint(context, text).await?.id),
        None => None,
    };
    let filter = Filter {
        project_id: context.project.iter().cloned().collect(),
        blueprint_id: blueprint.into_iter().collect(),
        name_ilike: args.name.as_deref().map(pattern).into_iter().collect(),
        status: args.status,
        task_type: args.task_type,
        label: args.labels,
        created_after: args.since.map(|since| now - since.as_millis() as i64),
        sort: Some(args.sort),
        limit: Some(args.limit),
        ..Filter::default()
    };
    let runs = context.client.runs(&filter).await?;
    context.out.list(
        &runs,
        |run| run.id.clone().unwrap_or_default(),
        &["ID", "NAME", "STATUS", "PROGRESS", "AGE", "DURATION", "LABELS"],
        |run| row(run, now),
        "no runs; start one with `runyard run --name hello -- echo hello`",
    )?;
    Ok(0)
}

/// A plain text matches anywhere in a name.
pub(crate) fn pattern(text: &str) -> String {
    if text.contains(['%', '_']) { text.to_owned() } else { format!("%{}%", text.replace('\\', r"\\")) }
}

fn row(run: &Run, now: i64) -> Vec<Cell> {
    let ended = run.status.is_some_and(Status::is_terminal);
    let progress = if ended { show::how_far } else { show::brief };
    let progress = run.progress.as_deref().and_then(<[_]>::first).map(progress).unwrap_or_default();
    let labels = run.labels.iter().flatten().map(|(key, value)| format!("{key}={value}"));
    vec![
        address::short(run.id.as_deref().unwrap_or_default()).into(),
        run.name.as_deref().unwrap_or_default().into(),
        status_cell(run.status),
        progress.into(),
        run.created_at.map(|at| time::age(now - at)).unwrap_or_default().into(),
        show::run_duration(run, now).into(),
        Cell::new(labels.collect::<Vec<_>>().join(" "), Tone::Dim),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_text_is_looked_for_anywhere_in_a_name() {
        assert_eq!(pattern("dig"), "%dig%");
        assert_eq!(pattern("dig%"), "dig%");
        assert_eq!(pattern(r"a\b"), r"%a\\b%");
    }
}
