//! Containers of this server that belong to no job that is still wanted: what a killed server has left, or a removal that
//! failed. One that runs learns from the server that it is not wanted, and is given time for that.

use std::{collections::HashSet, sync::Arc};

use runyard_domain::{JobId, Millis};

use super::{
    Inner, body,
    docker::{self, Trouble},
};
use crate::local::process;

/// How often containers are compared with the jobs.
const EVERY_MS: i64 = 30_000;
/// How long a container that runs, and that nobody wants, may go on.
const PATIENCE_MS: i64 = 300_000;

impl Inner {
    /// From time to time, removes the containers that no job needs. After the first round, so that all jobs are known.
    pub(super) fn sweep(self: &Arc<Self>, now: Millis) {
        let mut state = self.state();
        if state.swept_at.is_some_and(|at| (0..EVERY_MS).contains(&now.since(at))) {
            return;
        }
        state.swept_at = Some(now);
        drop(state);
        let inner = Arc::clone(self);
        tokio::spawn(async move {
            if let Err(trouble) = inner.remove_orphans(now).await {
                tracing::debug!("containers that no job needs are looked for later: {trouble}");
            }
        });
    }

    async fn remove_orphans(&self, now: Millis) -> Result<(), Trouble> {
        let engine = self.engine().await?;
        let label = format!("{}={}", body::SERVER, self.options.server_id);
        let found = docker::labelled(&engine.docker, &label).await;
        self.heard(&found);
        let found = found?;
        let there: HashSet<String> = found.iter().map(|(id, _)| id.clone()).collect();
        self.state().orphans.retain(|id, _| there.contains(id));
        for (id, labels) in found {
            let Some(job) = labels.get(body::JOB).and_then(|job| job.parse::<JobId>().ok()) else { continue };
            // Looked up now and not before the list: a job is known before its container is made.
            if self.shared.state().phases.contains_key(&job) {
                self.state().orphans.remove(&id);
                continue;
            }
            let since = *self.state().orphans.entry(id.clone()).or_insert(now);
            let lives = process::is_locked(&self.shared.folder(job)).unwrap_or(false);
            if lives && now.since(since) < PATIENCE_MS {
                continue;
            }
            tracing::info!("job {job}: removing its container, which no run needs any more");
            docker::remove(&engine.docker, &id).await?;
        }
        Ok(())
    }
}
