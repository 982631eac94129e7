//! `runyard metrics`: the newest point of every tag, or every point, or a drawing.

use runyard_client::metric::SeriesFilter;
use runyard_wire::metric::Metric;

use crate::{
    address,
    args::run::Metrics,
    context::Context,
    failure::Failure,
    output::{self, Format},
    plot, show, time,
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
    if args.plot {
        if args.tags.is_empty() {
            wanted.retain(|tag| !tag.starts_with("system/"));
        }
        plot(context, &id, &wanted, args.log).await?;
        return Ok(0);
    }
    match context.out.format {
        Format::Quiet => wanted.iter().try_for_each(output::line)?,
        Format::Table if args.tags.is_empty() => newest(context, &id, &wanted).await?,
        Format::Table => table(context, all(context, &id, &wanted).await?)?,
        Format::Json => json(context, &id, &wanted).await?,
        Format::Csv => csv(context, &id, &wanted).await?,
    }
    Ok(0)
}

/// More tags than this are drawn smaller.
const FEW: usize = 2;
/// Tags that are drawn at most: more are named.
const DRAWN: usize = 30;

async fn plot(context: &Context, id: &str, tags: &[String], log: bool) -> Result<(), Failure> {
    if context.out.format != Format::Table {
        return Err(Failure::usage("--plot draws for people: leave out --output"));
    }
    if tags.is_empty() {
        output::note("this run has no metrics so far");
        return Ok(());
    }
    let width = usize::from(output::width().unwrap_or(80)).clamp(30, 240);
    let height = if tags.len() <= FEW { 14 } else { 7 };
    let filter = SeriesFilter {
        run_id: vec![id.to_owned()],
        tag: tags.iter().take(DRAWN).cloned().collect(),
        buckets: Some(plot::buckets(width)),
        ..SeriesFilter::default()
    };
    let chart = context.client.metric_series(&filter).await?;
    for (place, series) in chart.series.iter().enumerate() {
        let gap = if place > 0 { "\n" } else { "" };
        output::text(&format!("{gap}{}", plot::draw(&chart, series, width, height, log)))?;
    }
    if tags.len() > DRAWN {
        output::note(format!("and {} more tags: choose with --tag", tags.len() - DRAWN));
    }
    Ok(())
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

/// Hands every point to `each`, page by page: a run may have more points than fit into memory.
async fn each_page(
    context: &Context,
    id: &str,
    tags: &[String],
    mut each: impl FnMut(&[Metric]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    for tag in tags {
        let mut after = None;
        loop {
            let page = context.client.metrics_page(id, tag, after).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.global_step);
            each(&page)?;
        }
    }
    Ok(())
}

async fn csv(context: &Context, id: &str, tags: &[String]) -> Result<(), Failure> {
    output::line("tag,global_step,value,created_at,job_id")?;
    each_page(context, id, tags, |page| output::text(&page.iter().map(csv_line).collect::<String>())).await
}

/// One list, a point to a line.
async fn json(context: &Context, id: &str, tags: &[String]) -> Result<(), Failure> {
    let mut separator = "[\n";
    each_page(context, id, tags, |page| {
        let mut text = String::new();
        for point in page {
            text.push_str(separator);
            separator = ",\n";
            text.push_str(&json_point(point)?);
        }
        output::text(&text)
    })
    .await?;
    output::text(if separator == "[\n" { "[]\n" } else { "\n]\n" })
}

fn json_point(point: &Metric) -> Result<String, Failure> {
    serde_json::to_string(point)
        .map_err(|error| Failure::new(format!("cannot show a point as JSON: {error}")))
}

fn csv_line(point: &Metric) -> String {
    // NaN and the infinities are words.
    let value = point.value.as_str().map_or_else(|| point.value.to_string(), str::to_owned);
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
        for word in ["NaN", "Infinity", "-Infinity"] {
            (point.tag, point.value) = ("loss".into(), json!(word));
            assert_eq!(csv_line(&point), format!("loss,2,{word},5,\n"));
        }
    }
}
