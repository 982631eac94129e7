//! From options to the elements that are meant.

use std::{io::Read, path::Path};

use runyard_domain::{
    ElementId, WorkerRunId,
    worker_run::{Query, SELECTION_MAX, Selection, SetName},
};

use crate::{address, args::worker::Which, command::pattern, context::Context, failure::Failure};

/// What the options select; `None`: no option was given.
pub(crate) async fn read(
    context: &Context,
    corpus: &str,
    which: &Which,
) -> Result<Option<Selection>, Failure> {
    if let Some(file) = &which.ids {
        return Ok(Some(Selection { elements: ids(file)?, ..Selection::default() }));
    }
    if !which.set.is_empty() {
        let mut sets = Vec::with_capacity(which.set.len());
        for text in &which.set {
            sets.push(set(context, corpus, text).await?);
        }
        return Ok(Some(Selection { sets, ..Selection::default() }));
    }
    let parent = match &which.parent {
        Some(text) => Some(address::corpus::element(context, corpus, text).await?),
        None => None,
    };
    let without_results_of = match &which.without_results_of {
        Some(text) => Some(worker_run(context, text).await?),
        None => None,
    };
    let query = Query {
        of_type: which.of_type.clone(),
        name_ilike: which.name.as_deref().map(pattern),
        parent,
        recursive: which.recursive,
        without_results_of,
    };
    Ok((query != Query::default()).then(|| Selection { query: Some(query), ..Selection::default() }))
}

async fn worker_run(context: &Context, text: &str) -> Result<WorkerRunId, Failure> {
    let run = address::corpus::worker_run(context, text, false).await?;
    run.id.parse().map_err(|error| Failure::new(format!("{error}")))
}

async fn set(context: &Context, corpus: &str, text: &str) -> Result<SetName, Failure> {
    let Some((dataset, set)) =
        text.rsplit_once(':').filter(|(dataset, set)| !dataset.is_empty() && !set.is_empty())
    else {
        return Err(Failure::usage(format!("--set {text} does not say which set"))
            .hint("write DATASET:NAME such as letters:train"));
    };
    let found = address::corpus::dataset(context, dataset, Some(corpus)).await?;
    let id = found.id.parse().map_err(|error| Failure::new(format!("{error}")))?;
    Ok(SetName { dataset: id, set: set.to_owned() })
}

/// Ids of elements, one in each line.
fn ids(file: &Path) -> Result<Vec<ElementId>, Failure> {
    let failed =
        |error: std::io::Error| Failure::usage(format!("cannot read --ids {}: {error}", file.display()));
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map_err(failed)?;
    } else {
        text = std::fs::read_to_string(file).map_err(failed)?;
    }
    parse(&text, &file.display().to_string())
}

fn parse(text: &str, name: &str) -> Result<Vec<ElementId>, Failure> {
    let mut ids = Vec::new();
    for (line, word) in (1..).zip(text.lines().map(str::trim)).filter(|(_, word)| !word.is_empty()) {
        ids.push(
            word.parse().map_err(|error| Failure::usage(format!("--ids {name}, line {line}: {error}")))?,
        );
    }
    if ids.is_empty() {
        return Err(Failure::usage(format!("--ids {name} names no element"))
            .hint("write one id in each line; `runyard element ls --output quiet` prints ids"));
    }
    if ids.len() > SELECTION_MAX {
        return Err(Failure::usage(format!(
            "--ids {name} names {} elements, and {SELECTION_MAX} is the most",
            ids.len()
        ))
        .hint("put them into a set of a dataset, in several steps, and name that with --set"));
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_stand_one_in_each_line() {
        let id = "01890a5d-ac96-774b-bcce-b302099a8057";
        assert_eq!(parse(&format!("\n {id}\n{id}\n"), "f").unwrap().len(), 2);
        let error = parse(&format!("{id}\nx\n"), "ids.txt").unwrap_err().to_string();
        assert!(error.contains("--ids ids.txt, line 2: `x` is not an element id"), "{error}");
        assert!(parse("\n", "f").unwrap_err().to_string().contains("names no element"));
    }
}
