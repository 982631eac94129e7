//! What an image means for a run that is submitted: it goes to the executor for containers, or is only recorded because the
//! run says so. Starts nothing.

use runyard_domain::{
    FieldErrors,
    instance_type::InstanceType,
    run::{Run, Spec},
};

use super::{NewRun, instances};
use crate::Engine;

/// The word of the executor that runs images.
const CONTAINER: &str = "container";

/// Whether containers can be run now, if that may matter for this run; else what to do about it.
pub(super) async fn containers(engine: &Engine, new: &NewRun, types: &[InstanceType]) -> Result<(), String> {
    let named = instances::executor(new, types);
    let image = new.spec.as_ref().is_some_and(|spec| spec.image.is_some());
    let matters = match named.as_deref() {
        Some(named) => named == CONTAINER,
        None => image || new.blueprint.is_some(),
    };
    match engine.executor(CONTAINER) {
        Ok(executor) if matters => executor.available().await,
        Ok(_) => Ok(()),
        Err(_) => Err("this server runs no containers: start it with --container-engine auto".to_owned()),
    }
}

/// The executor of a run: the one that is `named`, else the one for containers if there is an image, else `default`.
pub(super) fn executor(
    named: Option<String>,
    spec: &Spec,
    containers: &Result<(), String>,
    default: &str,
    errors: &mut FieldErrors,
) -> String {
    match (named, &spec.image, containers) {
        (Some(named), None, _) if named == CONTAINER => {
            errors.add("spec.image", "is needed: the executor `container` runs images");
            named
        }
        (Some(named), Some(_), Err(why)) if named == CONTAINER => {
            errors.add("executor", format!("containers cannot be run now: {why}"));
            named
        }
        (Some(named), ..) => named,
        (None, Some(image), Err(why)) => {
            let text = format!(
                "`{image}` needs a container engine: {why}; or name the executor `local`, and the image is only recorded"
            );
            errors.add("spec.image", text);
            CONTAINER.to_owned()
        }
        (None, Some(_), Ok(())) => CONTAINER.to_owned(),
        (None, None, _) => default.to_owned(),
    }
}

/// What a person should know of a run that asks for what only containers have.
pub(super) fn warning(run: &Run) -> Option<String> {
    if run.executor == CONTAINER {
        return None;
    }
    let executor = &run.executor;
    let image = run.spec.image.as_ref().map(|image| {
        format!("the image `{image}` is not used: the executor `{executor}` runs the program without one")
    });
    let shared = run.resources.shared_memory.as_ref().map(|size| {
        format!("shared memory is not limited to {size}: processes of the executor `{executor}` share the machine's")
    });
    let said: Vec<String> = image.into_iter().chain(shared).collect();
    (!said.is_empty()).then(|| said.join("; "))
}
