use std::sync::Arc;

use runyard_domain::{RunId, run::Run};

use super::*;
use crate::run::{NewRun, submit};

fn admin() -> Actor {
    Actor { token_id: None, name: "ann".to_owned(), scope: Scope::Admin }
}

async fn engine() -> (Engine, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let engine = crate::tests::engine(Arc::default(), folder.path());
    crate::open::ensure_default_project(&engine).await.unwrap();
    (engine, folder)
}

async fn put(engine: &Engine, name: &str, value: &str) -> Result<Secret> {
    set(engine, &admin(), None, name.to_owned(), value).await
}

/// A run with these secrets, as it is stored.
async fn run_with(engine: &Engine, secrets: &[(&str, &str)], registry: Option<&str>) -> Result<Run> {
    let secrets = secrets.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let registry_secret = registry.map(str::to_owned);
    let spec = Spec { command: vec!["true".to_owned()], secrets, registry_secret, ..Spec::default() };
    let new = NewRun { name: "r".to_owned(), spec: Some(spec), ..NewRun::default() };
    submit(engine, &admin(), new, None).await
}

#[tokio::test]
async fn a_job_gets_the_newest_value_of_each_secret_that_its_run_names() {
    let (engine, _folder) = engine().await;
    put(&engine, "hf", "first-value").await.unwrap();
    put(&engine, "aws", "aws-value").await.unwrap();
    put(&engine, "other", "not-asked-for").await.unwrap();
    let run =
        run_with(&engine, &[("HF_TOKEN", "hf"), ("HF_COPY", "hf"), ("AWS_KEY", "aws")], None).await.unwrap();
    put(&engine, "hf", "second-value").await.unwrap();
    let values = of_job(&engine, &run).await.unwrap().unwrap().0;
    let wanted = [("AWS_KEY", "aws-value"), ("HF_COPY", "second-value"), ("HF_TOKEN", "second-value")];
    assert_eq!(values, wanted.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
    assert!(!format!("{run:?}").contains("second-value"));
}

#[tokio::test]
async fn a_run_that_names_an_unknown_secret_is_not_made() {
    let (engine, _folder) = engine().await;
    put(&engine, "hf", "value").await.unwrap();
    let said =
        run_with(&engine, &[("A", "hf"), ("B", "hff")], Some("dockerhub")).await.unwrap_err().to_string();
    assert!(said.contains("spec.secrets.B: there is no secret `hff`"), "{said}");
    assert!(said.contains("spec.registry_secret: there is no secret `dockerhub`"), "{said}");
    assert!(said.contains("runyard secret set hff") && !said.contains("spec.secrets.A"), "{said}");
}

#[tokio::test]
async fn a_deleted_secret_is_a_reason_that_names_it() {
    let (engine, _folder) = engine().await;
    put(&engine, "hf", "value").await.unwrap();
    let run = run_with(&engine, &[("HF", "hf")], None).await.unwrap();
    delete(&engine, &admin(), None, "hf".to_owned()).await.unwrap();
    let why = of_job(&engine, &run).await.unwrap().unwrap_err();
    assert!(why.contains("the secret `hf` was deleted") && why.contains("restart the run"), "{why}");
    let again = delete(&engine, &admin(), None, "hf".to_owned()).await.unwrap_err();
    assert!(matches!(again, Error::NotFound { noun: "secret", .. }), "{again}");
}

#[tokio::test]
async fn an_account_at_a_registry_is_a_user_and_a_password() {
    let (engine, _folder) = engine().await;
    put(&engine, "hub", "ann:pass:word").await.unwrap();
    put(&engine, "bad", "password").await.unwrap();
    let account = async |name| {
        let mut run = run_with(&engine, &[], None).await.unwrap();
        run.spec.registry_secret = Some(String::from(name));
        of_registry(&engine, &run).await.unwrap()
    };
    assert_eq!(account("hub").await, Ok(Some("ann:pass:word".to_owned())));
    let why = account("bad").await.unwrap_err();
    assert!(
        why.contains("`bad`") && why.contains("`user:password`") && !why.contains("password`: "),
        "{why}"
    );
}

#[tokio::test]
async fn the_token_of_a_run_can_neither_see_nor_change_secrets() {
    let (engine, _folder) = engine().await;
    let project = put(&engine, "hf", "value").await.unwrap().project_id;
    let run = RunId::new(Millis(1), [1; 10]);
    let job = Actor { scope: Scope::Run(project, run), ..admin() };
    let refused = [
        set(&engine, &job, None, "hf".to_owned(), "x").await.err(),
        list(&engine, &job, None).await.err(),
        delete(&engine, &job, None, "hf".to_owned()).await.err(),
    ];
    for error in refused {
        assert!(matches!(error, Some(Error::Forbidden(_))), "{error:?}");
    }
    let listed = list(&engine, &admin(), Some("default".to_owned())).await.unwrap();
    assert_eq!(listed.iter().map(|secret| secret.name.as_str()).collect::<Vec<_>>(), ["hf"]);
}

#[tokio::test]
async fn what_is_wrong_with_a_secret_is_said_at_once_and_nothing_is_stored() {
    let (engine, _folder) = engine().await;
    let said = put(&engine, "no good", "").await.unwrap_err().to_string();
    assert!(said.contains("name: `no good` is no name") && said.contains("value: is empty"), "{said}");
    let unknown = set(&engine, &admin(), Some("nobody".to_owned()), "hf".to_owned(), "v").await.unwrap_err();
    assert!(unknown.to_string().contains("no project `nobody`"), "{unknown}");
    assert_eq!(list(&engine, &admin(), None).await.unwrap(), []);
}
