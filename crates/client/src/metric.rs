//! Metrics.

use runyard_wire::metric::{Chart, Metric, PostMetrics, Written};

use crate::{Client, Error, query::Query};

/// Which points to list; what is empty restricts nothing.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Ids of runs.
    pub run_id: Vec<String>,
    /// Tags.
    pub tag: Vec<String>,
    /// Only steps above this one.
    pub global_step_after: Option<i64>,
    /// `field` or `field:desc`.
    pub sort: Option<String>,
    /// At most so many.
    pub limit: Option<i64>,
}

/// Which series of a chart; what is empty restricts nothing.
#[derive(Debug, Clone, Default)]
pub struct SeriesFilter {
    /// Ids of runs; at least one.
    pub run_id: Vec<String>,
    /// Tags.
    pub tag: Vec<String>,
    /// `step` or `time`; the server's default is `step`.
    pub x: Option<String>,
    /// At most so many buckets; the server's default is 1000.
    pub buckets: Option<i64>,
    /// From this step or time.
    pub from: Option<i64>,
    /// To this step or time, inclusive.
    pub to: Option<i64>,
}

/// As many points as one page may have.
const PAGE: i64 = 10_000;

impl Client {
    /// Writes points of one run, all or none.
    pub async fn post_metrics(&self, metrics: &PostMetrics) -> Result<Written, Error> {
        self.http.create(self.http.api(&["metrics"])?, metrics).await
    }

    /// One page of points.
    pub async fn metrics(&self, filter: &Filter) -> Result<Vec<Metric>, Error> {
        let query = Query::default()
            .each("run_id", &filter.run_id)
            .each("tag", &filter.tag)
            .one("global_step_after", filter.global_step_after)
            .one("sort", filter.sort.as_ref())
            .one("limit", filter.limit);
        self.http.get(query.on(self.http.api(&["metrics"])?)).await
    }

    /// Series reduced to buckets, for a chart.
    pub async fn metric_series(&self, filter: &SeriesFilter) -> Result<Chart, Error> {
        let query = Query::default()
            .each("run_id", &filter.run_id)
            .each("tag", &filter.tag)
            .one("x", filter.x.as_ref())
            .one("buckets", filter.buckets)
            .one("from", filter.from)
            .one("to", filter.to);
        self.http.get(query.on(self.http.api(&["metrics", "series"])?)).await
    }

    /// Points of one tag of a run by step, those above `after`: the next page, empty at the end. A page never ends
    /// inside a step.
    pub async fn metrics_page(&self, run: &str, tag: &str, after: Option<i64>) -> Result<Vec<Metric>, Error> {
        let filter = Filter {
            run_id: vec![run.to_owned()],
            tag: vec![tag.to_owned()],
            global_step_after: after,
            sort: Some("global_step:asc".to_owned()),
            limit: Some(PAGE),
        };
        self.metrics(&filter).await
    }

    /// Every point of one tag of a run, by step.
    pub async fn metrics_of_tag(&self, run: &str, tag: &str) -> Result<Vec<Metric>, Error> {
        let mut all: Vec<Metric> = Vec::new();
        loop {
            let page = self.metrics_page(run, tag, all.last().map(|last| last.global_step)).await?;
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page);
        }
    }

    /// The point with the highest step of one tag of a run.
    pub async fn last_metric(&self, run: &str, tag: &str) -> Result<Option<Metric>, Error> {
        let filter = Filter {
            run_id: vec![run.to_owned()],
            tag: vec![tag.to_owned()],
            sort: Some("global_step:desc".to_owned()),
            limit: Some(1),
            ..Filter::default()
        };
        // Several jobs may have logged the step: the newest one counts.
        Ok(self.metrics(&filter).await?.into_iter().max_by_key(|point| (point.global_step, point.created_at)))
    }

    /// Every tag of a run, ascending.
    pub async fn metric_tags(&self, run: &str) -> Result<Vec<String>, Error> {
        let mut all: Vec<String> = Vec::new();
        loop {
            let query = Query::default().one("run_id", Some(run)).one("tag_after", all.last());
            let page: Vec<String> = self.http.get(query.on(self.http.api(&["metrics", "tags"])?)).await?;
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page);
        }
    }
}
