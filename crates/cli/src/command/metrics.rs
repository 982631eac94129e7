//! `runyard metrics`: the newest point of every tag, or every point.

use runyard_wire::metric::Metric;
use serde_json::Value;

use crate::{
    address,
    args::run::Metrics,
    context::Context,
    failure::Failure,
    output::{self, Format},
    show, time,
};

pub(super) async fn run(context: &Context, args: Metrics) -> Result<u8, Failure> {
    let id = address::run(context, &args.run.run, args.run.newest).await?;
    let tags = context.client.metric_tags(&id).await?;
    let mut wanted = args.tags.clone();
    for tag in &args.tags {
        if !tags.contains(tag) {
            return Err(Failure::new(format!("this run has no metric `{tag}`")).hint(known(&tags)));
        }
    }
    if wanted.is_empty() {
        wanted = tags;
    }
    match context.out.format {
        Format::Quiet => wanted.iter().try_for_each(output::line)?,
        Format::Table if args.tags.is_empty() => newest(context, &id, &wanted).await?,
        Format::Table => table(context, all(context, &id, &wanted).await?)?,
        Format::Json => output::json(&all(context, &id, &wanted).await?)?,
        Format::Csv => csv(context, &id, &wanted).await?,
    }
    Ok(0)
}

fn known(tags: &[String]) -> String {
    if tags.is_empty() { "it has none so far".to_owned() } else { format!("it has {}", tags.join(", ")) }
}

async fn newest(context: &Context, id: &str, tags: &[String]) -> Result<(), Failure> {
    let mut points = Vec::new();
    for tag in tags {
        points.extend(context.client.last_metric(id, tag).await?);
    }
    table(context, points)
}

async fn all(context: &Context, id: &str, tags: &[String]) -> Result<Vec<Metric>, Failure> {
    let mut points = Vec::new();
    for tag in tags {
        points.extend(context.client.metrics_of_tag(id, tag).await?);
    }
    Ok(points)
}

fn table(context: &Context, points: Vec<Metric>) -> Result<(), Failure> {
    let row = |point: &Metric| {
        let mut row = show::metric_row(point);
        row.push(time::moment(point.created_at).into());
        row
    };
    context.out.list(
        &points,
        |point| point.id.clone(),
        &["METRIC", "STEP", "VALUE", "TIME"],
        row,
        "this run has no metrics so far",
    )
}

/// One tag at a time: a run may have more points than fit into memory twice.
async fn csv(context: &Context, id: &str, tags: &[String]) -> Result<(), Failure> {
    output::line("tag,global_step,value,created_at,job_id")?;
    for tag in tags {
        let points = context.client.metrics_of_tag(id, tag).await?;
        let text: String = points.iter().map(csv_line).collect();
        output::text(&text)?;
    }
    Ok(())
}

fn csv_line(point: &Metric) -> String {
    // Not finite: the API says no more than that.
    let value = if point.value == Value::Null { "nan".to_owned() } else { point.value.to_string() };
    let job = point.job_id.as_deref().unwrap_or_default();
    format!("{},{},{value},{},{job}\n", csv_text(&point.tag), point.global_step, point.created_at)
}

/// As RFC 4180 quotes.
fn csv_text(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn csv_keeps_numbers_exact_and_quotes_what_needs_it() {
        let mut point = Metric {
            id: "i".into(),
            created_at: 5,
            run_id: "r".into(),
            job_id: None,
            global_step: 2,
            tag: "a,\"b\"".into(),
            value: json!(0.1),
        };
        assert_eq!(csv_line(&point), "\"a,\"\"b\"\"\",2,0.1,5,\n");
        (point.tag, point.value) = ("loss".into(), json!(null));
        assert_eq!(csv_line(&point), "loss,2,nan,5,\n");
    }
}
