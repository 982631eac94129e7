//! Jobs in containers: the real binary and a real engine that speaks Docker's API. Where there is no engine, this is said once
//! and the tests have nothing to run.

#[path = "container/end.rs"]
mod end;
#[path = "container/engine.rs"]
mod engine;
#[path = "container/instances.rs"]
mod instances;
#[path = "container/life.rs"]
mod life;
#[path = "container/outliving.rs"]
mod outliving;
#[path = "container/registry.rs"]
mod registry;

use runyard_tests::{
    Server,
    containers::{self, Container},
    wait_for,
};

/// Submits a script to the small image; answers the run's id.
#[track_caller]
fn submit(server: &Server, options: &[&str], script: &str) -> String {
    let image = containers::image(containers::IMAGE);
    server.submit(&[&["--image", &image], options].concat(), script)
}

/// The container of the run's newest job, once there is one.
#[track_caller]
fn container(server: &Server, run: &str) -> Container {
    let job = server.job(run);
    wait_for("the job has a container", runyard_tests::SOON, || {
        containers::of(server.data()).into_iter().find(|one| one.job == job)
    })
}

/// Waits until the run has no container any more.
#[track_caller]
fn nothing_is_left(server: &Server) {
    runyard_tests::wait_until("all containers are removed", runyard_tests::SOON / 2, || {
        containers::of(server.data()).is_empty()
    });
}
