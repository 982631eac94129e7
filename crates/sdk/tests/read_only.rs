//! What a training that is read-only says: every step is a warning, and none asks a server.

use std::{
    io::Write,
    path::Path,
    sync::{Arc, Mutex},
};

use runyard_sdk::{Attributes, Environment, Training};

#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<u8>>>);

impl Write for Said {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn each_step_warns_and_does_nothing() {
    let said = Said::default();
    let writer = said.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
    // A server that is never asked: nothing listens there.
    let environment = Environment {
        url: Some("http://127.0.0.1:1".into()),
        token: Some("secret".into()),
        run_id: Some("run".into()),
        read_only: true,
        ..Environment::default()
    };
    let path = Path::new("/nonexistent");
    let attributes = Attributes::default();
    tracing::subscriber::with_default(subscriber, || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut training = Training::new(environment);
        runtime.block_on(async {
            training.create_model_version("digits", &attributes).await.unwrap();
            training.update_model_version(&attributes).await.unwrap();
            training.upload(path).await.unwrap();
            training.validate_model_version().await.unwrap();
            training.publish_model_version(path, "digits", &attributes).await.unwrap();
        });
        assert!(training.model_version().is_none());
    });
    let said = String::from_utf8(said.0.lock().unwrap().clone()).unwrap();
    let warned = said.lines().filter(|line| line.contains("WARN") && line.contains("read-only")).count();
    assert_eq!(warned, 5, "{said}");
    for step in [
        "create_model_version",
        "update_model_version",
        "upload",
        "validate_model_version",
        "publish_model_version",
    ] {
        assert!(said.contains(&format!("step=\"{step}\"")), "{step}: {said}");
    }
}

#[test]
fn its_steps_can_be_taken_on_any_thread() {
    fn is_send<T: Send>(_: &T) {}
    let (path, attributes) = (Path::new("x"), Attributes::default());
    let mut training = Training::new(Environment::default());
    is_send(&training.create_model_version("digits", &attributes));
    is_send(&training.update_model_version(&attributes));
    is_send(&training.upload(path));
    is_send(&training.validate_model_version());
    is_send(&training.publish_model_version(path, "digits", &attributes));
}
