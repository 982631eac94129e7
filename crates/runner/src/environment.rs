//! What the program sees in its environment. The server's own RUNYARD_ variables never reach it.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

use runyard_domain::{
    channel::{ARTIFACT, variable},
    job::{JobSpec, folder},
};

use crate::{
    folder::Folder,
    inputs::{self, Brought},
};

/// Variables by name.
pub(crate) type Environment = BTreeMap<OsString, OsString>;

/// The environment of what runs before the program (pip): the runner's own and what the run asks for.
pub(crate) fn base(spec: &JobSpec, inherited: impl Iterator<Item = (OsString, OsString)>) -> Environment {
    let mut env: Environment =
        inherited.filter(|(name, _)| !name.to_string_lossy().starts_with("RUNYARD_")).collect();
    set(&mut env, "PYTHONUNBUFFERED", "1");
    for (name, value) in spec.env.iter().chain(&spec.secret_env.0) {
        set(&mut env, name, value);
    }
    // By this, a later runner finds what an earlier one left behind.
    set(&mut env, "RUNYARD_RUN_ID", spec.run_id.to_string());
    set(&mut env, "RUNYARD_JOB_ID", spec.job_id.to_string());
    env
}

/// The program's environment: `base`, and all that the job contract promises.
pub(crate) fn program(mut env: Environment, spec: &JobSpec, folder: &Folder, url: &str) -> Environment {
    let demand = spec.resources.demand().unwrap_or_default();
    let processes = spec.worker.as_ref().map_or(1, |worker| worker.processes.max(1));
    let cores = (demand.cpu_milli / 1000 / processes).max(1);
    env.entry("OMP_NUM_THREADS".into()).or_insert_with(|| cores.to_string().into());
    // A run that reports to another MLflow keeps it, and that one is not shown our token.
    if !env.contains_key(OsStr::new("MLFLOW_TRACKING_URI")) {
        set(&mut env, "MLFLOW_TRACKING_URI", url);
        set(&mut env, "MLFLOW_TRACKING_TOKEN", &spec.token);
        set(&mut env, "MLFLOW_RUN_ID", spec.run_id.0.simple().to_string());
    }
    // What it may not.
    set(&mut env, "RUNYARD_URL", url);
    set(&mut env, "RUNYARD_TOKEN", &spec.token);
    set(&mut env, "RUNYARD_ML", folder.ml());
    set(&mut env, "RUNYARD_CONFIG", folder.config());
    set(&mut env, "RUNYARD_RECORDS", folder.path(folder::RECORDS));
    if let Some(file) = &spec.server_file {
        set(&mut env, "RUNYARD_SERVER_FILE", file);
    }
    set(&mut env, "RUN_ID", spec.run_id.to_string());
    set(&mut env, "REQUESTED_GPU_COUNT", demand.gpu_count.to_string());
    // Empty hides all GPUs: a run that asked for none must not use one that was given to another.
    set(&mut env, "CUDA_VISIBLE_DEVICES", spec.gpus.join(","));
    env
}

/// Most bytes of all parameters in the environment: what is larger would keep the program from starting.
const PARAMETERS_MAX: usize = 64 << 10;

/// Parameters, inputs and outputs in the variables of PAI's contract; what the run itself sets stays. `false`: there are too
/// many parameters, which are only in the config then.
pub(crate) fn add_channels(
    env: &mut Environment,
    spec: &JobSpec,
    folder: &Folder,
    inputs: &[Brought],
) -> bool {
    let own = |name: &str| spec.env.contains_key(name) || spec.secret_env.0.contains_key(name);
    let mut add = |name: String, value: &OsStr| {
        if !own(&name) {
            set(env, &name, value);
        }
    };
    let ml = folder.ml();
    // A folder ends with `/`: scripts put names behind it.
    let folder_of = |path: PathBuf| path.join("").into_os_string();
    add("PAI_WORKING_DIR".to_owned(), &folder_of(folder.usercode()));
    add("PAI_CONFIG_DIR".to_owned(), &folder_of(ml.join("input/config")));
    for input in inputs {
        let place = inputs::folder(&ml, &input.channel);
        let path = match &input.file {
            Some(file) => place.join(file).into_os_string(),
            None => folder_of(place),
        };
        add(format!("PAI_INPUT_{}", variable(&input.channel)), &path);
    }
    for channel in spec.outputs.keys() {
        let path = folder_of(ml.join(format!("{ARTIFACT}{channel}")));
        add(format!("PAI_OUTPUT_{}", variable(channel)), &path);
    }
    let parameters: BTreeMap<&str, String> = spec
        .config
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.as_str(), text(value)))
        .collect();
    let size: usize = parameters.iter().map(|(name, value)| name.len() + value.len()).sum();
    if size > PARAMETERS_MAX || parameters.values().any(|value| value.contains('\0')) {
        return false;
    }
    let json = serde_json::to_string(&parameters).unwrap_or_default();
    let arguments: Vec<String> =
        parameters.iter().map(|(name, value)| format!("--{name} {}", quoted(value))).collect();
    for (name, value) in &parameters {
        add(format!("PAI_HPS_{}", variable(name)), OsStr::new(value));
    }
    add("PAI_HPS".to_owned(), OsStr::new(&json));
    add("PAI_USER_ARGS".to_owned(), OsStr::new(&arguments.join(" ")));
    true
}

/// A parameter as a program reads it from its arguments.
fn text(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A plain word as it is, any other one as a shell reads it.
fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-+=:,./@%".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\'', "'\"'\"'"))
}

/// Lets Python find a package that nobody installed, behind those that somebody did name.
pub(crate) fn add_python(env: &mut Environment, folder: &Path) {
    let mut path =
        env.get(OsStr::new("PYTHONPATH")).filter(|old| !old.is_empty()).cloned().unwrap_or_default();
    if !path.is_empty() {
        path.push(":");
    }
    path.push(folder);
    set(env, "PYTHONPATH", path);
}

/// Puts a virtual environment in front.
pub(crate) fn use_venv(env: &mut Environment, venv: &Path) {
    let mut path = OsString::from(venv.join("bin"));
    if let Some(old) = env.get(OsStr::new("PATH")).filter(|old| !old.is_empty()) {
        path.push(":");
        path.push(old);
    }
    set(env, "PATH", path);
    set(env, "VIRTUAL_ENV", venv);
    env.remove(OsStr::new("PYTHONHOME"));
}

pub(crate) fn set(env: &mut Environment, name: &str, value: impl AsRef<OsStr>) {
    env.insert(name.into(), value.as_ref().to_owned());
}
