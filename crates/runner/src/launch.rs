//! Starts a program in its own process group and cgroup, with stdout and stderr on one pipe so that their order is kept.
//! It dies with the runner: never call this from any thread but the one that lives as long as the runner.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io,
    os::unix::{
        ffi::OsStrExt as _,
        fs::PermissionsExt as _,
        process::{CommandExt as _, ExitStatusExt as _},
    },
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use nix::{
    sys::{prctl, signal::Signal},
    unistd::{Pid, getppid},
};

use crate::{
    environment::Environment,
    output::{Output, Pump},
    processes,
};

/// How long what a program leaves behind may go on printing after it.
pub(crate) const OUTPUT_PATIENCE: Duration = Duration::from_secs(2);

/// A program that was started.
#[derive(Debug)]
pub(crate) struct Running {
    child: tokio::process::Child,
    /// Its pid, which is also the number of its process group.
    pub(crate) pid: i32,
    pump: Option<Pump>,
    waited: bool,
}

impl Running {
    /// Waits for the program itself; what it started may live on.
    pub(crate) async fn ended(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await;
        self.waited = true;
        status
    }

    /// Waits until nobody has the program's stdout or stderr open any more.
    pub(crate) async fn output_ended(&mut self) {
        if let Some(pump) = &mut self.pump {
            pump.ended().await;
        }
    }

    /// Takes the rest of the output, for no longer than `patience` when somebody keeps it open.
    pub(crate) async fn finish_output(&mut self, patience: Duration) {
        let _ = tokio::time::timeout(patience, self.output_ended()).await;
        if let Some(pump) = self.pump.take() {
            pump.finish().await;
        }
    }

    /// Signals the whole process group, as long as the program itself has not been waited for.
    pub(crate) fn signal(&self, signal: Signal) {
        if !self.waited {
            processes::signal_group(self.pid, signal);
        }
    }
}

impl Drop for Running {
    /// Whoever loses interest (a stop while requirements are installed) leaves nothing running.
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}

/// How what a program prints reaches the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lines {
    /// At once.
    AsTheyCome,
    /// In whole lines, where others print too.
    Whole,
    /// In whole lines, each with the number of the instance before it.
    Of(usize),
}

/// Starts `command` in `cwd` with exactly `env`. `join` are the `cgroup.procs` files of the groups that it enters.
///
/// # Errors
/// A sentence for the person who wrote the command.
pub(crate) fn launch(
    command: &[String],
    cwd: &Path,
    env: &Environment,
    join: Vec<File>,
    output: Arc<Output>,
    lines: Lines,
) -> Result<Running, String> {
    let Some((name, arguments)) = command.split_first().filter(|(name, _)| !name.is_empty()) else {
        return Err("the command is empty: say what to run after `--`".into());
    };
    let program = find(name, cwd, env)?;
    let failed = |error: io::Error| explain(name, &error);
    let (reader, writer) = io::pipe().map_err(failed)?;
    let mut process = Command::new(program);
    process
        .arg0(name)
        .args(arguments)
        .env_clear()
        .envs(env)
        .current_dir(cwd)
        .stdin(Stdio::null())
        .stdout(writer.try_clone().map_err(failed)?)
        .stderr(writer)
        .process_group(0);
    in_child(&mut process, join);
    let mut process = tokio::process::Command::from(process);
    // Before the program, so that a thread that cannot be had costs nothing: an unused pump ends with the command.
    let pump = Pump::start(reader, output, lines).map_err(failed)?;
    let child = process.spawn().map_err(failed)?;
    // The command still holds our ends of the pipe: without this, its end would never be seen.
    drop(process);
    let pid = child.id().map_or(0, u32::cast_signed);
    Ok(Running { child, pid, pump: Some(pump), waited: false })
}

/// What the child does between fork and exec: async-signal-safe system calls only.
fn in_child(process: &mut Command, join: Vec<File>) {
    let runner = Pid::this();
    let prepare = move || {
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        if getppid() != runner {
            // The runner died before the line above: nobody would ever end this process.
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        for procs in &join {
            // A group that cannot be entered is found out afterwards; the program runs without it.
            let _ = nix::unistd::write(procs, b"0");
        }
        Ok(())
    };
    #[expect(
        unsafe_code,
        reason = "the closure allocates nothing, takes no lock and makes only system calls"
    )]
    // SAFETY: see the reason; `prepare` runs in the forked child before exec.
    unsafe {
        process.pre_exec(prepare);
    }
}

/// Where the command is; what a shell would find, with the person's likely mistakes explained.
fn find(name: &str, cwd: &Path, env: &Environment) -> Result<PathBuf, String> {
    if name.contains('/') {
        let path = cwd.join(name);
        return match fs::metadata(&path) {
            Ok(found) if found.is_dir() => Err(format!("`{name}` is a folder: name the program in it")),
            Ok(found) if found.permissions().mode() & 0o111 == 0 => Err(not_executable(name)),
            // The child changes to `cwd` before it executes, so the name may stay as it was written.
            Ok(_) => Ok(name.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(format!(
                "`{name}` was not found in the source folder: check the name, and that the folder was given with `--source`"
            )),
            Err(error) => Err(explain(name, &error)),
        };
    }
    let search: OsString = env.get(OsStr::new("PATH")).cloned().unwrap_or_else(|| "/usr/bin:/bin".into());
    let on_path = search
        .as_bytes()
        .split(|byte| *byte == b':')
        .map(|folder| cwd.join(OsStr::from_bytes(folder)).join(name))
        .find(|path| {
            fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
        });
    on_path.ok_or_else(|| {
        if cwd.join(name).is_file() {
            let by = interpreter(name).map(|by| format!(" or `{by} {name}`")).unwrap_or_default();
            format!("`{name}` was not found on PATH; maybe you meant `./{name}`{by}?")
        } else {
            format!(
                "`{name}` was not found: it is neither on PATH ({}) nor in the source folder",
                search.to_string_lossy()
            )
        }
    })
}

fn not_executable(name: &str) -> String {
    let by = interpreter(name).map(|by| format!(", or run it as `{by} {name}`")).unwrap_or_default();
    format!("`{name}` is not executable: `chmod +x {name}`{by}")
}

fn interpreter(name: &str) -> Option<&'static str> {
    match Path::new(name).extension()?.to_str()? {
        "py" => Some("python"),
        "sh" => Some("sh"),
        "R" | "r" => Some("Rscript"),
        "jl" => Some("julia"),
        _ => None,
    }
}

fn explain(name: &str, error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::ENOENT) => {
            format!(
                "`{name}` cannot be started: the interpreter that its first line names (`#!...`) was not found"
            )
        }
        Some(libc::ENOEXEC) => {
            format!(
                "`{name}` cannot be started: it is neither a program for this machine nor a script with a `#!` line"
            )
        }
        Some(libc::E2BIG) => {
            format!(
                "`{name}` cannot be started: its arguments and environment are too large; put them into the config"
            )
        }
        _ => format!("`{name}` cannot be started: {error}"),
    }
}

/// The name of a signal, such as `SIGKILL`.
pub(crate) fn signal_name(status: ExitStatus) -> Option<(i32, &'static str)> {
    let number = status.signal()?;
    Some((number, Signal::try_from(number).map_or("unknown", Signal::as_str)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(name: &str, files: &[(&str, u32)]) -> String {
        let base = tempfile::TempDir::new().unwrap();
        for (file, mode) in files {
            let path = base.path().join(file);
            fs::write(&path, "print()").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
        }
        let env = Environment::from([("PATH".into(), "/usr/bin:/bin".into())]);
        find(name, base.path(), &env).unwrap_err()
    }

    #[test]
    fn a_command_that_does_not_exist_gets_advice() {
        let advice = said("train.py", &[("train.py", 0o755)]);
        assert_eq!(
            advice,
            "`train.py` was not found on PATH; maybe you meant `./train.py` or `python train.py`?"
        );
        let advice = said("./train.py", &[("train.py", 0o644)]);
        assert!(advice.contains("`chmod +x ./train.py`, or run it as `python ./train.py`"), "{advice}");
        assert!(said("nonesuch", &[]).contains("neither on PATH (/usr/bin:/bin) nor in the source"));
        assert!(said("./nonesuch", &[]).contains("was not found in the source folder"));
    }
}
