//! What instances and instance types mean for a run that is submitted. Decides nothing about room: executors do.

use runyard_domain::{
    FieldErrors,
    instance::MAX,
    instance_type::{self, InstanceType},
    resources::Resources,
};

use super::NewRun;
use crate::instance_type::find;

/// The instance type that the run names, if there is one of that name.
pub(super) fn named<'a>(new: &NewRun, types: &'a [InstanceType]) -> Option<&'a InstanceType> {
    let name = new.spec.as_ref()?.instance_type.as_deref()?;
    find(types, name).ok()
}

/// What is wrong with instances, instance type, and the resources that come of both.
pub(super) fn check(new: &NewRun, types: &[InstanceType], executors: &[&str], errors: &mut FieldErrors) {
    let spec = new.spec.as_ref();
    if let Some(name) = spec.and_then(|spec| spec.instance_type.as_deref()) {
        match find(types, name) {
            Err(unknown) => errors.add("spec.instance_type", unknown),
            Ok(InstanceType { executor: Some(executor), .. })
                if new.executor.is_none() && !executors.contains(&executor.as_str()) =>
            {
                let there = executors.join(", ");
                let text = format!(
                    "`{name}` is run by the executor `{executor}`, which is not here; there is {there}"
                );
                errors.add("spec.instance_type", text);
            }
            Ok(_) => {}
        }
    }
    if let Some(instances) = spec.and_then(|spec| spec.instances) {
        if !(1..=MAX).contains(&instances) {
            errors.add("spec.instances", format!("{instances} is not from 1 to {MAX}"));
        }
        if instances > 1 && spec.is_some_and(|spec| spec.worker.is_some()) {
            let text = "a run of the kind worker has one instance: say how many processes in `spec.worker.processes`";
            errors.add("spec.instances", text);
        }
    }
    if let Err(wrong) = resources(new, None, types).demand() {
        errors.merge("resources", wrong);
    }
}

/// What each instance of the run asks for: what it names itself goes before its instance type, and both before the blueprint.
pub(super) fn resources(new: &NewRun, blueprint: Option<&Resources>, types: &[InstanceType]) -> Resources {
    match (&new.resources, named(new, types), blueprint) {
        (None, None, Some(blueprint)) => blueprint.clone(),
        (own, from, _) => instance_type::fill(own.clone(), from),
    }
}

/// The executor that the run names, or its instance type.
pub(super) fn executor(new: &NewRun, types: &[InstanceType]) -> Option<String> {
    new.executor.clone().or_else(|| named(new, types)?.executor.clone())
}
