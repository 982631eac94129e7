//! The product from outside: the real binary, its command line and its HTTP API, one module per area.

#[path = "e2e/access.rs"]
mod access;
#[path = "e2e/backup.rs"]
mod backup;
#[path = "e2e/bad_command.rs"]
mod bad_command;
#[path = "e2e/bad_job.rs"]
mod bad_job;
#[path = "e2e/bad_report.rs"]
mod bad_report;
#[path = "e2e/bad_request.rs"]
mod bad_request;
#[path = "e2e/blueprint.rs"]
mod blueprint;
#[path = "e2e/channel_trouble.rs"]
mod channel_trouble;
#[path = "e2e/channels.rs"]
mod channels;
#[path = "e2e/checkpoints.rs"]
mod checkpoints;
#[path = "e2e/datasets.rs"]
mod datasets;
#[path = "e2e/deleting.rs"]
mod deleting;
#[path = "e2e/digits.rs"]
mod digits;
#[path = "e2e/elements.rs"]
mod elements;
#[path = "e2e/elements_example.rs"]
mod elements_example;
#[path = "e2e/ending.rs"]
mod ending;
#[path = "e2e/full_disk.rs"]
mod full_disk;
#[path = "e2e/gc.rs"]
mod gc;
#[path = "e2e/gpu.rs"]
mod gpu;
#[path = "e2e/instances.rs"]
mod instances;
#[path = "e2e/main_road.rs"]
mod main_road;
#[path = "e2e/model_jobs.rs"]
mod model_jobs;
#[path = "e2e/model_trouble.rs"]
mod model_trouble;
#[path = "e2e/models.rs"]
mod models;
#[path = "e2e/outliving.rs"]
mod outliving;
#[path = "e2e/process.rs"]
mod process;
#[path = "e2e/reading.rs"]
mod reading;
#[path = "e2e/requirements.rs"]
mod requirements;
#[path = "e2e/s3.rs"]
mod s3;
#[path = "e2e/sdk_processor.rs"]
mod sdk_processor;
#[path = "e2e/sdk_workers.rs"]
mod sdk_workers;
#[path = "e2e/secrets.rs"]
mod secrets;
#[path = "e2e/serving.rs"]
mod serving;
#[path = "e2e/stopping.rs"]
mod stopping;
#[path = "e2e/waiting_for_room.rs"]
mod waiting_for_room;
#[path = "e2e/workers.rs"]
mod workers;
