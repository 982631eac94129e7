//! Where a run stands among others: what it read and who made that, what it wrote, who reads what it made.

use runyard_wire::channel::{Lineage, LineageInput, LineageOutput, LineageRun, LineageUse};

use crate::{
    address,
    context::Context,
    failure::Failure,
    output::{self, Cell, Tone},
    source,
};

/// Prints what there is of inputs, outputs and later runs.
pub(super) fn tell(context: &Context, lineage: &Lineage) -> Result<(), Failure> {
    let tables = [
        (["INPUT", "FROM", "WHICH", "MADE BY"], lineage.inputs.iter().map(input).collect::<Vec<_>>()),
        (["OUTPUT", "TO", "FILES", "SIZE"], lineage.outputs.iter().map(output).collect()),
        (["READ BY", "STATUS", "AS", "FROM"], lineage.used_by.iter().map(reader).collect()),
    ];
    for (header, rows) in tables {
        if !rows.is_empty() {
            output::text("\n")?;
            context.out.table(&header, rows)?;
        }
    }
    Ok(())
}

fn input(input: &LineageInput) -> Vec<Cell> {
    let which =
        input.title.clone().or_else(|| input.target_id.as_deref().map(|id| address::short(id).to_owned()));
    vec![
        input.channel.as_str().into(),
        input.uri.as_str().into(),
        which.unwrap_or_default().into(),
        input.run.as_ref().map(named).unwrap_or_default().into(),
    ]
}

fn output(output: &LineageOutput) -> Vec<Cell> {
    let complete = output.status.as_deref().is_none_or(|status| status == "complete");
    let files = match (output.files, complete) {
        (Some(files), true) => files.into(),
        (Some(_), false) => Cell::new("not complete", Tone::Dim),
        (None, _) => "".into(),
    };
    let size = output.size.filter(|_| complete).map(source::bytes).unwrap_or_default();
    vec![output.channel.as_str().into(), output.uri.as_str().into(), files, size.into()]
}

fn reader(reader: &LineageUse) -> Vec<Cell> {
    vec![
        named(&reader.run).into(),
        reader.run.status.as_deref().unwrap_or("deleted").into(),
        reader.channel.as_str().into(),
        reader.uri.as_str().into(),
    ]
}

/// `digits (01a2b3c4)`.
fn named(run: &LineageRun) -> String {
    let short = address::short(&run.id);
    match &run.name {
        Some(name) => format!("{name} ({short})"),
        None => format!("{short} (deleted)"),
    }
}
