//! `runyard instance-types`.

use runyard_wire::instance_type::InstanceType;

use crate::{
    context::Context,
    failure::Failure,
    output::{Cell, Tone},
    show,
};

const HEADER: [&str; 4] = ["NAME", "EACH INSTANCE", "EXECUTOR", "UNAVAILABLE"];

pub(super) async fn run(context: &Context) -> Result<u8, Failure> {
    let types = context.client.instance_types().await?;
    context.out.list(&types, |own| own.name.clone(), &HEADER, row, "no instance types")?;
    Ok(0)
}

fn row(own: &InstanceType) -> Vec<Cell> {
    vec![
        own.name.as_str().into(),
        show::resources(&own.resources).into(),
        own.executor.as_str().into(),
        Cell::new(own.unavailable.as_deref().unwrap_or_default(), Tone::Dim),
    ]
}
