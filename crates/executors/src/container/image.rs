//! Brings a job's image: one that is here is used, one that is not is pulled, and its progress is told. Gives up only
//! what the registry has answered; an engine that is away is waited for.

use std::{sync::Arc, time::Duration};

use futures::StreamExt as _;
use runyard_domain::{
    JobId, Millis,
    job::{Exit, Reason},
};

use super::{
    Engine, Inner,
    docker::{self, Image, Trouble},
    round::Stage,
};
use crate::Job;

/// How often a pull that may work the next time is begun.
const PULLS_MAX: u32 = 3;
/// Between two of them, and before an engine that is away is asked again.
const PAUSE: Duration = Duration::from_secs(2);

/// Why there is no image.
#[derive(Debug)]
pub(super) enum Lacking {
    /// Nobody could be asked.
    Away(String),
    /// There will be none.
    For(Reason, String),
}

impl Inner {
    /// Looks for the image of a job until it is here, or never will be.
    pub(super) async fn bring_image(self: Arc<Self>, job: Arc<Job>) {
        let id = job.spec.job_id;
        let stage = loop {
            let say = |text: String| self.tell(id, Stage::Under(text));
            match self.image(&job, &say).await {
                Ok(image) if image.command.is_empty() && job.spec.command.is_empty() => {
                    let message = format!(
                        "image `{}` does not say what it runs, and neither does the run: name a command",
                        job.image.as_deref().unwrap_or_default()
                    );
                    break Stage::Failed(Exit::because(Reason::LaunchFailed, message, Millis(0)));
                }
                Ok(image) => break Stage::Ready(image),
                Err(Lacking::For(reason, message)) => {
                    break Stage::Failed(Exit::because(reason, message, Millis(0)));
                }
                Err(Lacking::Away(why)) => say(format!("waits for the container engine: {why}")),
            }
            tokio::time::sleep(PAUSE).await;
        };
        self.tell(id, stage);
        self.shared.changed.notify_one();
    }

    fn tell(&self, job: JobId, stage: Stage) {
        if let Some(known) = self.state().images.get_mut(&job) {
            known.stage = stage;
        }
    }

    /// The image of a job, pulled if it is not here.
    pub(super) async fn image(&self, job: &Job, say: &(dyn Fn(String) + Sync)) -> Result<Image, Lacking> {
        let name = job.image.as_deref().unwrap_or_default();
        let engine = self.engine().await.map_err(|trouble| Lacking::Away(trouble.to_string()))?;
        let mut pulls = 0;
        loop {
            let found = docker::image(&engine.docker, name).await;
            self.heard(&found);
            let trouble = match found {
                Ok(Some(image)) => return Ok(image),
                Ok(None) => {
                    pulls += 1;
                    say(format!("pulling image {name}"));
                    match pull(&engine, name, job.registry.as_deref(), say).await {
                        Ok(()) => match docker::image(&engine.docker, name).await {
                            Ok(Some(image)) => return Ok(image),
                            Ok(None) => Trouble::Missing("it was pulled, and is not here".to_owned()),
                            Err(trouble) => trouble,
                        },
                        Err(trouble) => trouble,
                    }
                }
                Err(trouble) => trouble,
            };
            match judge(name, &trouble, pulls) {
                Some(lacking) => return Err(lacking),
                None => say(format!("pulling image {name} once more, because: {trouble}")),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn pull(
    engine: &Engine,
    name: &str,
    account: Option<&str>,
    say: &(dyn Fn(String) + Sync),
) -> Result<(), Trouble> {
    let mut news = std::pin::pin!(docker::pull(&engine.docker, name, account));
    let mut told = 0;
    while let Some(news) = news.next().await {
        // Layers become known one after the other; what is told never goes back.
        if let Some(percent) = news?.filter(|percent| *percent > told) {
            told = percent;
            say(format!("pulling image: {percent} %"));
        }
    }
    Ok(())
}

/// What there is to say of an image that could not be brought; `None`: it is worth another try.
fn judge(name: &str, trouble: &Trouble, pulls: u32) -> Option<Lacking> {
    let text = trouble.to_string();
    if let Trouble::Away(why) = trouble {
        return Some(Lacking::Away(why.clone()));
    }
    if trouble.is_no_space() {
        let message = format!(
            "image `{name}` does not fit on the disk of the container engine: free some space there ({text})"
        );
        return Some(Lacking::For(Reason::NoSpace, message));
    }
    let lower = text.to_lowercase();
    let refused = [
        "unauthorized",
        "authentication required",
        "access denied",
        "access to the resource is denied",
        "denied:",
    ];
    if refused.iter().any(|word| lower.contains(word)) {
        let message = format!(
            "image `{name}` cannot be pulled: its registry refuses that, or has no such image; name a secret with the account there (registry_secret) ({text})"
        );
        return Some(Lacking::For(Reason::ImageMissing, message));
    }
    let unknown =
        ["not found", "manifest unknown", "no such image", "invalid reference", "name unknown", "short-name"];
    let certain = matches!(trouble, Trouble::Missing(_)) || unknown.iter().any(|word| lower.contains(word));
    if certain || pulls >= PULLS_MAX {
        let message = format!(
            "image `{name}` is not on this machine and cannot be pulled: check its name, or load it ({text})"
        );
        return Some(Lacking::For(Reason::ImageMissing, message));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(text: &str, pulls: u32) -> Option<(Reason, String)> {
        match judge("digits:1", &Trouble::Refused(text.to_owned()), pulls) {
            Some(Lacking::For(reason, message)) => Some((reason, message)),
            Some(Lacking::Away(why)) => panic!("{why}"),
            None => None,
        }
    }

    #[test]
    fn what_a_registry_refuses_is_told_from_what_it_does_not_have_and_from_a_full_disk() {
        let (reason, message) = judged("reading manifest 1 in digits: manifest unknown", 1).unwrap();
        assert_eq!(reason, Reason::ImageMissing);
        assert!(message.contains("check its name"), "{message}");
        let (reason, message) = judged("unauthorized: authentication required", 1).unwrap();
        assert_eq!(reason, Reason::ImageMissing);
        assert!(message.contains("registry_secret"), "{message}");
        let (reason, message) = judged("write /blob: no space left on device", 1).unwrap();
        assert_eq!(reason, Reason::NoSpace);
        assert!(message.contains("free some space"), "{message}");
    }

    #[test]
    fn a_registry_that_does_not_answer_is_asked_again_but_not_for_ever() {
        let text = "pinging container registry localhost: connection refused";
        assert!(judged(text, 1).is_none());
        assert_eq!(judged(text, PULLS_MAX).unwrap().0, Reason::ImageMissing);
        let away = judge("digits:1", &Trouble::Away("gone".into()), PULLS_MAX);
        assert!(matches!(away, Some(Lacking::Away(_))), "an engine that is away fails no job");
    }
}
