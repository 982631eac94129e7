//! The local executor with real processes. The runner is a stand-in ([`stand_in`]): this test binary again, which
//! keeps the runner's contract with the folder and nothing else.

use std::{
    fs,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::OnceLock,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use nix::{fcntl::FcntlArg, unistd::Pid};
use runyard_domain::{
    ProjectId, RunId,
    job::{JobSpec, folder as names},
};

use super::*;
use machine::Gpu;

/// A folder of jobs on a machine that is made up.
struct Place {
    folder: tempfile::TempDir,
    machine: Machine,
}

fn place(cpu: i64, gpus: &[&str]) -> Place {
    let gpu = |id: &&str| Gpu { id: (*id).to_owned(), kind: "T4".to_owned() };
    let gpus = gpus.iter().map(gpu).collect();
    let machine = Machine { cpu_milli: cpu * 1000, memory_bytes: 1 << 30, disk_bytes: 1 << 40, gpus };
    Place { folder: tempfile::tempdir().unwrap(), machine }
}

impl Place {
    /// A server that starts here, while or after another one did.
    fn server(&self) -> Local {
        self.server_with(runner_script())
    }

    fn server_with(&self, runner: &Path) -> Local {
        let jobs = self.folder.path().join("jobs");
        let options = LocalOptions {
            jobs,
            cache: self.folder.path().join("cache"),
            runner: runner.to_owned(),
            cpu_milli: None,
            memory_bytes: None,
            hidden: vec!["THE_SERVERS_OWN".to_owned()],
        };
        Local::open(options, |_| self.machine.clone()).unwrap()
    }

    fn of(&self, job: &Job) -> PathBuf {
        self.folder.path().join("jobs").join(job.spec.job_id.to_string())
    }

    /// How many runners were started for the job.
    fn starts(&self, job: &Job) -> usize {
        fs::read(self.of(job).join(names::STARTS)).map_or(0, |bytes| bytes.len())
    }

    fn runner_pid(&self, job: &Job) -> Pid {
        let text = fs::read_to_string(self.of(job).join(names::LOCK)).unwrap();
        Pid::from_raw(text.parse().unwrap())
    }

    fn finish(&self, job: &Job) {
        fs::write(self.of(job).join("finish"), "").unwrap();
    }
}

fn job(n: u8, behaviour: &str) -> Arc<Job> {
    let resources = Resources::default();
    let created_at = Millis(now().0 - 1000 + i64::from(n));
    let spec = JobSpec {
        job_id: JobId::new(created_at, [n; 10]),
        run_id: RunId::new(created_at, [n; 10]),
        project_id: ProjectId::new(created_at, [n; 10]),
        epoch: 1,
        run_name: format!("run-{n}"),
        url: "http://127.0.0.1:1".into(),
        server_file: None,
        token: "secret".into(),
        command: vec![behaviour.into()],
        image: None,
        source: None,
        env: std::collections::BTreeMap::default(),
        secret_env: runyard_domain::secret::SecretEnv::default(),
        requirements: Vec::new(),
        config: serde_json::json!({}),
        resources: resources.clone(),
        instances: 1,
        gpus: Vec::new(),
        max_run_time_ms: None,
        grace_ms: 1000,
        cache_dir: "cache".into(),
        metric_definitions: Vec::new(),
        worker: None,
        inputs: std::collections::BTreeMap::default(),
        outputs: std::collections::BTreeMap::default(),
    };
    Arc::new(Job {
        spec,
        demand: resources.demand().unwrap(),
        image: None,
        registry: None,
        priority: 0,
        created_at,
    })
}

fn gpu_job(n: u8) -> Arc<Job> {
    let mut job = job(n, "work");
    Arc::make_mut(&mut job).demand = Demand { cpu_milli: 100, gpu_count: 1, ..Demand::default() };
    job
}

fn now() -> Millis {
    Millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64)
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> T {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

async fn submit(server: &Local, jobs: &[Arc<Job>]) {
    for job in jobs {
        server.submit(job).await.unwrap();
    }
}

/// Polls until what is seen is as wanted.
async fn until(
    server: &Local,
    jobs: &[Arc<Job>],
    wanted: impl Fn(&[Observation]) -> bool,
) -> Vec<Observation> {
    until_at(server, jobs, now, wanted).await
}

async fn until_at(
    server: &Local,
    jobs: &[Arc<Job>],
    mut clock: impl FnMut() -> Millis,
    wanted: impl Fn(&[Observation]) -> bool,
) -> Vec<Observation> {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let seen = server.poll(jobs, clock()).await;
        if wanted(&seen) {
            return seen;
        }
        assert!(Instant::now() < deadline, "still {seen:?}");
        // Woken by a change, or a little later: the files of a stand-in change without one.
        let _ = tokio::time::timeout(Duration::from_millis(5), server.changed()).await;
    }
}

async fn until_running(place: &Place, server: &Local, jobs: &[Arc<Job>]) {
    let launched = |_: &[Observation]| jobs.iter().all(|job| place.of(job).join(names::LAUNCHED).exists());
    let seen = until(server, jobs, launched).await;
    assert!(seen.iter().all(|seen| *seen == Observation::Alive), "{seen:?}");
}

fn reason_of(observation: &Observation) -> Option<Reason> {
    match observation {
        Observation::Ended(exit) => Some(exit.reason),
        _ => None,
    }
}

#[tokio::test]
async fn a_job_is_started_in_its_folder() {
    let (place, jobs) = (place(1, &[]), [job(1, "work")]);
    let server = place.server();
    submit(&server, &jobs).await;
    until_running(&place, &server, &jobs).await;
    let pid = place.runner_pid(&jobs[0]);
    let folder = fs::read_link(format!("/proc/{pid}/cwd")).unwrap();
    assert_eq!(folder, place.of(&jobs[0]).canonicalize().unwrap());
    let spec = place.of(&jobs[0]).join(names::SPEC);
    assert_eq!(read_json::<JobSpec>(&spec), jobs[0].spec);
    assert_eq!(fs::metadata(spec).unwrap().permissions().mode() & 0o777, 0o600, "it holds a token");
    place.finish(&jobs[0]);
    let seen = until(&server, &jobs, |seen| seen[0] != Observation::Alive).await;
    assert_eq!(reason_of(&seen[0]), Some(Reason::Completed));
}

#[tokio::test]
async fn a_job_waits_for_room_and_starts_when_another_one_ends() {
    let (place, jobs) = (place(1, &[]), [job(1, "work"), job(2, "work")]);
    let server = place.server();
    submit(&server, &jobs).await;
    let seen = server.poll(&jobs, now()).await;
    assert_eq!(seen[0], Observation::Alive);
    assert_eq!(seen[1], Observation::Waiting("waits for 1 CPU: 0 of 1 are free".into()));
    assert_eq!(server.capacity().cpu_milli_free, 0);
    until_running(&place, &server, &jobs[..1]).await;
    place.finish(&jobs[0]);
    let seen = until(&server, &jobs, |seen| seen[1] == Observation::Alive).await;
    assert_eq!(reason_of(&seen[0]), Some(Reason::Completed));
    let seen = server.poll(&jobs[1..], now()).await;
    assert_eq!(seen, [Observation::Alive]);
}

#[tokio::test]
async fn a_job_that_is_no_longer_named_holds_no_capacity() {
    let (place, jobs) = (place(1, &[]), [job(1, "work"), job(2, "work")]);
    let server = place.server();
    submit(&server, &jobs).await;
    server.poll(&jobs[..1], now()).await;
    assert_eq!(server.poll(&jobs[1..], now()).await, [Observation::Alive]);
}

#[tokio::test]
async fn a_restarted_server_finds_its_jobs_and_starts_none_twice() {
    let (place, jobs) = (place(2, &["g0", "g1"]), [gpu_job(1), gpu_job(2), gpu_job(3)]);
    let server = place.server();
    submit(&server, &jobs).await;
    server.poll(&jobs, now()).await;
    until_running(&place, &server, &jobs[..2]).await;
    drop(server);

    let server = place.server();
    let seen = server.poll(&jobs, now()).await;
    assert_eq!(seen[..2], [Observation::Alive, Observation::Alive]);
    assert_eq!(seen[2], Observation::Waiting("waits for 1 GPU: 0 of 2 are free".into()));
    assert_eq!(server.capacity().gpus, [("T4".to_owned(), 2, 0)]);
    assert_eq!(server.capacity().cpu_milli_free, 1800);
    assert_eq!([place.starts(&jobs[0]), place.starts(&jobs[1]), place.starts(&jobs[2])], [1, 1, 0]);

    place.finish(&jobs[1]);
    until(&server, &jobs, |seen| seen[2] == Observation::Alive).await;
    let gpus = |job: &Job| read_json::<JobSpec>(&place.of(job).join(names::SPEC)).gpus;
    assert_eq!([gpus(&jobs[0]), gpus(&jobs[1])], [["g0"], ["g1"]]);
    assert_eq!(gpus(&jobs[2]), ["g1"], "the GPU of the job that ended");
}

#[tokio::test]
async fn a_killed_runner_is_followed_by_one_that_tells_the_end() {
    for restart in [false, true] {
        let (place, jobs) = (place(1, &[]), [job(1, "work")]);
        let mut server = place.server();
        submit(&server, &jobs).await;
        until_running(&place, &server, &jobs).await;
        if restart {
            server = place.server();
        }
        nix::sys::signal::kill(place.runner_pid(&jobs[0]), Signal::SIGKILL).unwrap();
        let later = || now().plus(10_000);
        let seen = until_at(&server, &jobs, later, |seen| seen[0] != Observation::Alive).await;
        assert_eq!(reason_of(&seen[0]), Some(Reason::RunnerKilled));
        assert_eq!(place.starts(&jobs[0]), 2);
    }
}

#[tokio::test]
async fn a_runner_that_always_dies_is_given_up_after_five_more() {
    let (place, jobs) = (place(1, &[]), [job(1, "die")]);
    let server = place.server();
    submit(&server, &jobs).await;
    let mut time = now();
    let clock = || {
        time = time.plus(1_000);
        time
    };
    let seen = until_at(&server, &jobs, clock, |seen| seen[0] != Observation::Alive).await;
    let Observation::Ended(exit) = &seen[0] else { panic!("{seen:?}") };
    assert_eq!(exit.reason, Reason::RunnerKilled);
    let message = exit.message.as_deref().unwrap();
    assert!(message.starts_with("its runner died 6 times"), "{message}");
    assert!(message.contains(place.of(&jobs[0]).join("runner.log").to_str().unwrap()), "{message}");
    assert_eq!(place.starts(&jobs[0]), 6);
    assert_eq!(server.poll(&jobs, time).await, seen, "it stays over");
    assert_eq!(server.capacity().cpu_milli_free, 1000);
}

#[tokio::test]
async fn a_runner_that_cannot_be_started_is_named() {
    let (place, jobs) = (place(1, &[]), [job(1, "work")]);
    let server = place.server_with(Path::new("/nonexistent/runyard"));
    submit(&server, &jobs).await;
    let mut time = now();
    let clock = || {
        time = time.plus(60_000);
        time
    };
    let seen = until_at(&server, &jobs, clock, |seen| seen[0] != Observation::Alive).await;
    let Observation::Ended(exit) = &seen[0] else { panic!("{seen:?}") };
    let message = exit.message.as_deref().unwrap();
    assert!(message.contains("cannot start /nonexistent/runyard: No such file"), "{message}");
}

#[tokio::test]
async fn a_runner_that_was_started_a_moment_ago_is_not_doubled() {
    let (place, jobs) = (place(1, &[]), [job(1, "work")]);
    submit(&place.server(), &jobs).await;
    let at = now();
    let spawned = folder::Spawned { at, gpus: Vec::new() };
    folder::mark_spawned(&place.of(&jobs[0]), &spawned, Some(&|_| ())).unwrap();
    let server = place.server();
    assert_eq!(server.poll(&jobs, at.plus(4_999)).await, [Observation::Alive]);
    assert!(!place.of(&jobs[0]).join(names::RUNNER_LOG).exists(), "nothing was started");
    until_at(&server, &jobs, || at.plus(5_000), |_| place.starts(&jobs[0]) == 1).await;
}

#[tokio::test]
async fn a_job_stopped_before_its_start_is_never_started() {
    let (place, jobs) = (place(1, &[]), [job(1, "work"), job(2, "work"), job(3, "work")]);
    let server = place.server();
    submit(&server, &jobs[..2]).await;
    let seen = server.poll(&jobs[..2], now()).await;
    assert!(matches!(seen[1], Observation::Waiting(_)), "{seen:?}");
    assert!(!server.terminate(&jobs[1], now()).await.unwrap());
    assert!(!server.terminate(&jobs[2], now()).await.unwrap(), "stopped even before it was handed over");
    submit(&server, &jobs[2..]).await;
    server.kill(&jobs[1]).await.unwrap();
    for server in [server, place.server()] {
        let seen = server.poll(&jobs[1..], now()).await;
        assert_eq!(seen.iter().map(reason_of).collect::<Vec<_>>(), [Some(Reason::NeverStarted); 2]);
    }
    assert_eq!([place.starts(&jobs[1]), place.starts(&jobs[2])], [0, 0]);
}

#[tokio::test]
async fn a_running_job_is_told_to_stop_and_by_when() {
    for restart in [false, true] {
        let (place, jobs) = (place(1, &[]), [job(1, "work")]);
        let mut server = place.server();
        submit(&server, &jobs).await;
        until_running(&place, &server, &jobs).await;
        if restart {
            server = place.server();
        }
        let deadline = now().plus(30_000);
        assert!(server.terminate(&jobs[0], deadline).await.unwrap());
        let seen = until(&server, &jobs, |seen| seen[0] != Observation::Alive).await;
        assert_eq!(reason_of(&seen[0]), Some(Reason::Signaled), "SIGTERM reached the runner");
        assert_eq!(read_json::<StopOrder>(&place.of(&jobs[0]).join(names::STOP)).deadline, deadline);
        assert!(server.terminate(&jobs[0], deadline).await.unwrap(), "it had been started: its end is known");
    }
}

#[tokio::test]
async fn force_ends_the_runner_and_the_next_one_tells_the_end() {
    let (place, jobs) = (place(1, &[]), [job(1, "stubborn")]);
    let server = place.server();
    submit(&server, &jobs).await;
    until_running(&place, &server, &jobs).await;
    assert!(server.terminate(&jobs[0], now()).await.unwrap());
    server.kill(&jobs[0]).await.unwrap();
    let seen = until(&server, &jobs, |seen| seen[0] != Observation::Alive).await;
    assert_eq!(reason_of(&seen[0]), Some(Reason::RunnerKilled));
}

#[tokio::test]
async fn handing_over_twice_changes_nothing() {
    let (place, jobs) = (place(1, &["g0"]), [gpu_job(1)]);
    let server = place.server();
    submit(&server, &jobs).await;
    submit(&server, &jobs).await;
    until_running(&place, &server, &jobs).await;
    submit(&server, &jobs).await;
    assert_eq!(read_json::<JobSpec>(&place.of(&jobs[0]).join(names::SPEC)).gpus, ["g0"]);
    assert_eq!(server.poll(&jobs, now()).await, [Observation::Alive]);
    assert_eq!(place.starts(&jobs[0]), 1);
}

#[tokio::test]
async fn a_job_that_nobody_handed_over_is_absent_and_an_unreadable_one_out_of_sight() {
    let (place, jobs) = (place(1, &[]), [job(1, "work"), job(2, "work")]);
    let server = place.server();
    fs::write(place.of(&jobs[1]), "a file where the folder should be").unwrap();
    let seen = server.poll(&jobs, now()).await;
    assert_eq!(seen[0], Observation::Absent);
    assert!(
        matches!(&seen[1], Observation::OutOfSight(why) if why.contains("cannot read the job in")),
        "{seen:?}"
    );
    assert_eq!(server.capacity().cpu_milli_free, 0, "it may be running");
}

#[tokio::test]
async fn after_a_crash_of_the_machine_what_was_launched_is_ended_and_the_rest_starts() {
    let (place, jobs) = (place(2, &["g0"]), [gpu_job(1), gpu_job(2)]);
    let server = place.server();
    submit(&server, &jobs).await;
    for job in &jobs {
        fs::write(place.of(job).join(names::SPAWNED), "").unwrap();
    }
    fs::write(place.of(&jobs[0]).join(names::LAUNCHED), "").unwrap();
    let server = place.server();
    let running = |seen: &[Observation]| {
        reason_of(&seen[0]).is_some() && place.of(&jobs[1]).join(names::LAUNCHED).exists()
    };
    let seen = until(&server, &jobs, running).await;
    assert_eq!(reason_of(&seen[0]), Some(Reason::RunnerKilled));
    assert_eq!(seen[1], Observation::Alive);
}

#[tokio::test]
async fn the_end_of_a_runner_is_announced() {
    let (place, jobs) = (place(1, &[]), [job(1, "work")]);
    let server = place.server();
    submit(&server, &jobs).await;
    until_running(&place, &server, &jobs).await;
    while tokio::time::timeout(Duration::from_millis(1), server.changed()).await.is_ok() {}
    place.finish(&jobs[0]);
    tokio::time::timeout(Duration::from_mins(1), server.changed()).await.expect("a change");
}

#[tokio::test]
async fn deleting_frees_the_bytes_once_and_follows_no_link() {
    let (place, jobs) = (place(1, &[]), [job(1, "work")]);
    let server = place.server();
    submit(&server, &jobs).await;
    until_running(&place, &server, &jobs).await;
    let id = jobs[0].spec.job_id;
    let error = server.delete(id).await.unwrap_err().to_string();
    assert!(error.contains("still has a runner: stop it first"), "{error}");
    place.finish(&jobs[0]);
    until(&server, &jobs, |seen| seen[0] != Observation::Alive).await;

    let outside = place.folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("kept"), vec![1; 1 << 20]).unwrap();
    fs::hard_link(outside.join("kept"), place.of(&jobs[0]).join("shared")).unwrap();
    std::os::unix::fs::symlink(&outside, place.of(&jobs[0]).join("link")).unwrap();
    let closed = place.of(&jobs[0]).join("closed");
    fs::create_dir(&closed).unwrap();
    fs::write(closed.join("data"), vec![1; 256 << 10]).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();

    server.release(id).await.unwrap();
    let freed = server.delete(id).await.unwrap();
    assert!((256 << 10..1 << 20).contains(&freed), "{freed}");
    assert!(!place.of(&jobs[0]).exists());
    assert_eq!(fs::metadata(outside.join("kept")).unwrap().len(), 1 << 20);
    assert_eq!(server.delete(id).await.unwrap(), 0);
}

#[tokio::test]
async fn what_ended_jobs_left_is_listed_and_what_a_runner_needs_is_in_use() {
    let (place, jobs) = (place(2, &[]), [job(1, "work"), job(2, "work")]);
    let server = place.server();
    submit(&server, &jobs).await;
    until_running(&place, &server, &jobs).await;
    place.finish(&jobs[0]);
    until(&server, &jobs, |seen| matches!(seen[0], Observation::Ended(_))).await;
    fs::create_dir(place.folder.path().join("jobs/not-a-job")).unwrap();
    let deadline = Instant::now() + Duration::from_mins(1);
    let kept = loop {
        let mut kept = server.kept().await.unwrap();
        kept.sort_by_key(|kept| kept.what.clone());
        // The lock goes a moment after the mark.
        if !kept[0].in_use || Instant::now() > deadline {
            break kept;
        }
    };
    let jobs_kept: Vec<_> = kept.iter().map(|kept| (kept.what.clone(), kept.in_use)).collect();
    let expected = [(0, false), (1, true)].map(|(at, used)| (Leftover::Job(jobs[at].spec.job_id), used));
    assert_eq!(jobs_kept, expected);
    assert!(now().since(kept[0].since) < 600_000);
    assert!(server.size(&kept[0].what).await.unwrap() > 0);
    place.finish(&jobs[1]);
    until(&server, &jobs, |seen| matches!(seen[1], Observation::Ended(_))).await;
}

#[test]
fn a_stranger_with_a_runners_old_id_gets_no_signal() {
    let folder = tempfile::tempdir().unwrap();
    let mut stranger = std::process::Command::new("sleep").arg("600").spawn().unwrap();
    let lock = folder.path().join(names::LOCK);
    fs::write(&lock, stranger.id().to_string()).unwrap();
    assert!(!process::signal_runner(folder.path(), Signal::SIGKILL).unwrap(), "nobody holds the lock");
    let held = take_lock(&lock).expect("free");
    assert!(process::is_locked(folder.path()).unwrap());
    assert!(!process::signal_runner(folder.path(), Signal::SIGKILL).unwrap(), "somebody else holds it");
    drop(held);
    assert_eq!(stranger.try_wait().unwrap(), None, "it lives");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[tokio::test]
async fn the_servers_own_settings_do_not_reach_the_runner() {
    if std::env::var_os("RUNYARD_TOKEN").is_none() {
        // Once more, in the environment of a server.
        let mut again = std::process::Command::new(std::env::current_exe().unwrap());
        again.args(["--exact", "local::tests::the_servers_own_settings_do_not_reach_the_runner"]);
        let output = again
            .env("RUNYARD_TOKEN", "admin")
            .env("THE_SERVERS_OWN", "secret")
            .env("PASSED_ON", "yes")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        return;
    }
    let (place, jobs) = (place(1, &[]), [job(1, "work")]);
    let server = place.server();
    submit(&server, &jobs).await;
    until_running(&place, &server, &jobs).await;
    let environment = fs::read_to_string(place.of(&jobs[0]).join("environment")).unwrap();
    assert!(environment.contains("PASSED_ON=yes"), "{environment}");
    assert!(!environment.contains("RUNYARD_"), "{environment}");
    assert!(!environment.contains("THE_SERVERS_OWN"), "{environment}");
}

/// A script that is started as a runner and becomes [`stand_in`].
fn runner_script() -> &'static Path {
    static SCRIPT: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = SCRIPT.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("runner");
        let tests = std::env::current_exe().unwrap();
        let text = format!(
            "#!/bin/sh\n[ \"$1\" = runner ] || exit 2\nSTAND_IN_FOLDER=\"$2\" exec '{}' --exact \
             local::tests::stand_in --nocapture\n",
            tests.display()
        );
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        (folder, path)
    });
    path
}

fn take_lock(path: &Path) -> Option<fs::File> {
    let file =
        fs::OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path).unwrap();
    let all = nix::libc::flock {
        l_type: nix::libc::F_WRLCK as i16,
        l_whence: nix::libc::SEEK_SET as i16,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    nix::fcntl::fcntl(&file, FcntlArg::F_OFD_SETLK(&all)).ok().map(|_| file)
}

/// Longer than any test, so that a stand-in that a test forgot ends by itself.
const STAND_IN_LIFE: Duration = Duration::from_mins(1);

/// The stand-in for the runner. Run as a test, it starts itself on a folder where nothing is left to do.
#[tokio::test]
async fn stand_in() {
    let Some(folder) = std::env::var_os("STAND_IN_FOLDER").map(PathBuf::from) else {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(names::DELIVERED), "").unwrap();
        let output =
            std::process::Command::new(runner_script()).arg("runner").arg(folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        assert_eq!(fs::read(folder.path().join(names::STARTS)).unwrap(), b".");
        assert!(!folder.path().join(names::LAUNCHED).exists());
        return;
    };
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).unwrap();
    let Some(lock) = take_lock(&folder.join(names::LOCK)) else { return };
    lock.set_len(0).unwrap();
    fs::write(folder.join(names::LOCK), std::process::id().to_string()).unwrap();
    let starts = folder.join(names::STARTS);
    fs::write(&starts, vec![b'.'; fs::read(&starts).map_or(1, |bytes| bytes.len() + 1)]).unwrap();
    let end = |reason: Reason| {
        let exit = serde_json::to_vec(&Exit::because(reason, "by the stand-in", now())).unwrap();
        fs::write(folder.join(names::EXIT), exit).unwrap();
        fs::write(folder.join(names::DELIVERED), "").unwrap();
    };
    if folder.join(names::DELIVERED).exists() {
        return;
    }
    if folder.join(names::LAUNCHED).exists() {
        return end(Reason::RunnerKilled);
    }
    let spec: JobSpec = read_json(&folder.join(names::SPEC));
    let behaviour = spec.command[0].as_str();
    assert_ne!(behaviour, "die");
    let environment: Vec<String> = std::env::vars().map(|(name, value)| format!("{name}={value}")).collect();
    fs::write(folder.join("environment"), environment.join("\n")).unwrap();
    fs::write(folder.join(names::LAUNCHED), "").unwrap();
    let began = Instant::now();
    loop {
        let told = tokio::time::timeout(Duration::from_millis(5), terminate.recv()).await.is_ok();
        if told && behaviour != "stubborn" {
            return end(Reason::Signaled);
        }
        if folder.join("finish").exists() {
            return end(Reason::Completed);
        }
        // The test is over: its folder is gone, or could not be removed while this one wrote into it.
        if !folder.exists() || began.elapsed() > STAND_IN_LIFE {
            return;
        }
    }
}
