//! `runyard events`.

use crate::{
    address, args::run::Events, context::Context, failure::Failure, output::status_cell, show, time,
};

pub(super) async fn run(context: &Context, args: Events) -> Result<u8, Failure> {
    let id = address::run(context, &args.run.run, args.run.newest).await?;
    let mut events = context.client.events(&id, "sequence:desc", Some(args.limit), None).await?;
    events.reverse();
    context.out.list(
        &events,
        |event| event.id.clone(),
        &["#", "TIME", "STATUS", "DETAILS"],
        |event| {
            vec![
                event.sequence.into(),
                time::moment(event.created_at).into(),
                status_cell(Some(event.status)),
                show::details(event).into(),
            ]
        },
        "nothing has happened to this run",
    )?;
    Ok(0)
}
