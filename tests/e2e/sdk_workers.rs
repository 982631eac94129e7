//! Workers that are written against the Rust SDK, in this process, before a real server: what fails, is stopped, is lost, is
//! refused, and what is only looked at.

use std::{fs, sync::mpsc, thread};

use runyard_client::{Client, activity::Filter, element::HowMade};
use runyard_domain::{
    element::NewElement,
    worker_run::{Query, Selection, SetName},
};
use runyard_sdk::{
    Environment,
    results::{Child, Classification, ClassificationState, Results},
    worker::{
        DatasetWorker, Element, ElementsWorker, Failure, Options, Set, Stop, Work, run_elements, run_sets,
    },
};
use runyard_tests::{SOON, Server, block_on, wait_until};
use runyard_wire::{
    activity::{Activity, Claim, Release},
    corpus::{NewCorpus, NewElementType},
    dataset::{AddElements, NewDataset},
    element::PostElements,
    worker_run::{NewWorkerRun, WorkerRun},
};
use serde_json::{Map, Value, json};

/// A corpus of pages `0`, `1`, ... and a worker run over all of them.
struct Yard {
    server: Server,
    client: Client,
    corpus: String,
    pages: Vec<String>,
    run: String,
}

impl Yard {
    fn new(count: usize) -> Self {
        Self::with(count, NewWorkerRun::default())
    }

    fn with(count: usize, run: NewWorkerRun) -> Self {
        let server = Server::start();
        let client = Client::new(server.url(), &server.token());
        let page = NewElementType { slug: "page".into(), ..NewElementType::default() };
        let corpus = NewCorpus { name: "books".into(), types: vec![page], ..NewCorpus::default() };
        let corpus = block_on(client.create_corpus(&corpus)).unwrap().id;
        let elements = (0..count).map(|index| NewElement {
            of_type: "page".into(),
            name: index.to_string(),
            rotation_angle: 90,
            ..NewElement::default()
        });
        let how = HowMade { corpus_id: corpus.clone(), ..HowMade::default() };
        let new = PostElements { elements: elements.collect() };
        let pages = block_on(client.create_elements(&how, &new)).unwrap().ids;
        let selection = Selection { query: Some(Query::default()), ..Selection::default() };
        let run = NewWorkerRun {
            corpus: Some(corpus.clone()),
            worker: "reader".into(),
            selection: run.selection.clone().or(Some(selection)),
            ..run
        };
        let run = block_on(client.create_worker_run(&run)).unwrap().id;
        Self { server, client, corpus, pages, run }
    }

    fn environment(&self) -> Environment {
        Environment {
            url: Some(self.server.url().to_owned()),
            token: Some(self.server.token()),
            worker_run_id: Some(self.run.clone()),
            batch: Some(4),
            ..Environment::default()
        }
    }

    fn work(&self, worker: &mut impl ElementsWorker, options: &Options) -> Result<Ended, String> {
        let ended = run_elements(worker, &self.environment(), options, Stop::new().1);
        ended.map(Ended::from).map_err(|error| error.to_string())
    }

    fn worker_run(&self) -> WorkerRun {
        block_on(self.client.worker_run(&self.run)).unwrap()
    }

    /// Queued, started, processed, failed.
    fn counts(&self) -> [i64; 4] {
        let counts = self.worker_run().counts;
        [counts.queued, counts.started, counts.processed, counts.error]
    }

    fn activity(&self, element: &str) -> Activity {
        activity(&self.client, &self.run, element)
    }

    /// Classes of a page, with how often each was found.
    fn classes(&self, page: usize) -> Vec<String> {
        let results = block_on(self.client.element_results(&self.pages[page])).unwrap();
        results.classifications.into_iter().map(|one| one.class).collect()
    }
}

fn activity(client: &Client, run: &str, element: &str) -> Activity {
    let filter = Filter { element_id: vec![element.to_owned()], ..Filter::default() };
    block_on(client.activities(run, &filter)).unwrap().remove(0)
}

/// Completed, failed, dropped, exit code.
#[derive(Debug, PartialEq)]
struct Ended(u64, u64, u64, u8);

impl From<runyard_sdk::worker::Summary> for Ended {
    fn from(summary: runyard_sdk::worker::Summary) -> Self {
        let completed = summary.ran - summary.failed - summary.dropped;
        Self(completed, summary.failed, summary.dropped, summary.exit_code())
    }
}

fn class(name: &str) -> Results {
    let one = Classification {
        class: name.into(),
        confidence: 0.5,
        high_confidence: false,
        state: ClassificationState::default(),
    };
    Results { classifications: vec![one], ..Results::default() }
}

/// Does with each element what a function says.
struct Does<F>(F);

impl<F: FnMut(&Element) -> Result<Results, Failure>> ElementsWorker for Does<F> {
    fn process_element(&mut self, element: &Element) -> Result<Results, Failure> {
        (self.0)(element)
    }
}

#[test]
fn errors_panics_and_impossible_results_fail_their_element_and_no_other_one() {
    let yard = Yard::new(10);
    let mut worker = Does(|element: &Element| match element.name.as_str() {
        "1" => Err("no text is on it".into()),
        "2" => panic!("index out of range"),
        "3" => Ok(Results {
            children: vec![Child { of_type: "line".into(), name: "l".into(), ..Child::default() }],
            ..class("x")
        }),
        "4" => Ok(class("")),
        _ => {
            assert_eq!((element.rotation_angle, element.of_type.as_str()), (90, "page"));
            Ok(class(&format!("class {}", element.name)))
        }
    });
    assert_eq!(yard.work(&mut worker, &Options::default()), Ok(Ended(6, 4, 0, 0)));
    assert_eq!(yard.counts(), [0, 0, 6, 4]);
    assert_eq!(yard.classes(9), ["class 9"]);
    assert!(yard.classes(3).is_empty());
    for (page, words) in [
        (1, "no text is on it"),
        (2, "panicked: index out of range"),
        (3, "the server refuses its results: results.children.0.type: there is no type `line`"),
        (4, "its results are wrong: results.classifications.0.class"),
    ] {
        let error = yard.activity(&yard.pages[page]).error.unwrap();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn a_worker_run_in_which_everything_fails_ends_with_1_and_a_retry_replaces_results() {
    let yard = Yard::new(3);
    let mut fails = Does(|_: &Element| Err("never".into()));
    assert_eq!(yard.work(&mut fails, &Options::default()), Ok(Ended(0, 3, 0, 1)));
    // Nothing is left: that is no failure of whoever looks again, but everything did fail.
    assert_eq!(yard.work(&mut fails, &Options::default()), Ok(Ended(0, 0, 0, 1)));
    for name in ["first", "second"] {
        let state = if name == "first" { "error" } else { "processed" };
        let retry = runyard_wire::activity::Retry { state: state.into(), ..Default::default() };
        assert_eq!(block_on(yard.client.retry_elements(&yard.run, &retry)).unwrap(), 3);
        let mut works = Does(|_: &Element| Ok(class(name)));
        assert_eq!(yard.work(&mut works, &Options::default()), Ok(Ended(3, 0, 0, 0)));
        assert_eq!(yard.classes(0), [name]);
    }
    assert_eq!(yard.work(&mut fails, &Options::default()), Ok(Ended(0, 0, 0, 0)), "all is done");
}

/// Wants four at once, and cannot stand page 5.
#[derive(Default)]
struct Model {
    batches: Vec<usize>,
    alone: Vec<String>,
}

impl ElementsWorker for Model {
    fn process_element(&mut self, element: &Element) -> Result<Results, Failure> {
        self.alone.push(element.name.clone());
        if element.name == "5" { Err("too dark".into()) } else { Ok(class("alone")) }
    }

    fn batch_size(&self) -> usize {
        4
    }

    fn process_batch(&mut self, elements: &[Element]) -> Result<Vec<Results>, Failure> {
        self.batches.push(elements.len());
        assert!(elements.iter().all(|element| element.name != "5"), "one of them is too dark");
        Ok(elements.iter().map(|_| class("together")).collect())
    }
}

#[test]
fn a_batch_that_fails_is_processed_one_by_one() {
    let yard = Yard::new(10);
    let mut model = Model::default();
    assert_eq!(yard.work(&mut model, &Options::default()), Ok(Ended(9, 1, 0, 0)));
    assert_eq!(
        (model.batches, model.alone),
        (vec![4, 4, 2], ["4", "5", "6", "7"].map(String::from).to_vec())
    );
    assert_eq!((yard.classes(0), yard.classes(4)), (vec!["together".into()], vec!["alone".into()]));
    assert_eq!(yard.activity(&yard.pages[5]).error.as_deref(), Some("too dark"));
}

#[test]
fn leases_are_renewed_while_an_element_takes_long_and_what_is_lost_all_the_same_is_dropped() {
    let yard = Yard::with(2, NewWorkerRun { lease_ms: Some(1_000), ..NewWorkerRun::default() });
    let (client, run) = (yard.client.clone(), yard.run.clone());
    let mut worker = Does(|element: &Element| {
        let first = activity(&client, &run, &element.id);
        if element.name == "0" {
            let until = first.lease_until.unwrap();
            wait_until("the lease is twice as long", SOON, || {
                activity(&client, &run, &element.id).lease_until.unwrap() > until + 1_000
            });
            return Ok(class("mine"));
        }
        // Somebody takes it away, and has it then.
        let holder = first.holder.unwrap();
        let release = Release { holder, elements: Some(vec![element.id.clone()]), died: false };
        block_on(client.release_elements(&run, &release)).unwrap();
        let claim = Claim { holder: "rival".into(), limit: 1, lease_ms: Some(600_000) };
        let claimed = block_on(client.claim_elements(&run, &claim)).unwrap().claimed;
        assert_eq!(claimed[0].element_id, element.id);
        let done = runyard_wire::activity::CommitItem {
            element_id: element.id.clone(),
            attempt: claimed[0].attempt,
            state: "processed".into(),
            results: class("the rival's"),
            ..Default::default()
        };
        block_on(client.commit_elements(&run, vec![done])).unwrap();
        Ok(class("mine"))
    });
    assert_eq!(yard.work(&mut worker, &Options::default()), Ok(Ended(1, 0, 1, 0)));
    assert_eq!(yard.counts(), [0, 0, 2, 0]);
    assert_eq!((yard.classes(0), yard.classes(1)), (vec!["mine".into()], vec!["the rival's".into()]));
}

#[test]
fn what_a_claim_took_whose_answer_was_lost_is_claimed_again() {
    let yard = Yard::new(6);
    let claim = Claim { holder: "me".into(), limit: 2, lease_ms: Some(600_000) };
    assert_eq!(block_on(yard.client.claim_elements(&yard.run, &claim)).unwrap().claimed.len(), 2);
    let environment = Environment { holder: Some("me".into()), ..yard.environment() };
    let mut worker = Does(|_: &Element| Ok(class("done")));
    let ended = run_elements(&mut worker, &environment, &Options::default(), Stop::new().1).unwrap();
    assert_eq!((Ended::from(ended), yard.counts()), (Ended(6, 0, 0, 0), [0, 0, 6, 0]));
    assert_eq!(yard.activity(&yard.pages[0]).lost, 0);
}

#[test]
fn a_stopped_worker_finishes_its_element_and_gives_the_others_back() {
    let yard = Yard::new(9);
    let (stopper, stop) = Stop::new();
    let mut seen = 0;
    let mut worker = Does(|_: &Element| {
        seen += 1;
        if seen == 6 {
            stopper.stop();
        }
        Ok(class("seen"))
    });
    let ended =
        Ended::from(run_elements(&mut worker, &yard.environment(), &Options::default(), stop).unwrap());
    assert_eq!(ended, Ended(6, 0, 0, 143));
    assert_eq!(yard.counts(), [3, 0, 6, 0]);
    let left = yard.activity(&yard.pages[7]);
    assert_eq!((left.state.as_str(), left.lost), ("queued", 0), "a stop is no mark against an element");
    let mut rest = Does(|_: &Element| Ok(class("later")));
    assert_eq!(yard.work(&mut rest, &Options::default()), Ok(Ended(3, 0, 0, 0)));
    assert_eq!((yard.classes(5), yard.classes(6)), (vec!["seen".into()], vec!["later".into()]));
}

#[test]
fn a_server_that_is_killed_and_started_again_is_waited_for() {
    let mut yard = Yard::new(6);
    let (tell, told) = mpsc::channel();
    let (answer, answered) = mpsc::channel::<()>();
    let environment =
        Environment { server_file: Some(yard.server.data().join("server.json")), ..yard.environment() };
    let working = thread::spawn(move || {
        let mut worker = Does(|element: &Element| {
            if element.name == "3" {
                tell.send(()).unwrap();
                answered.recv().unwrap();
            }
            Ok(class("done"))
        });
        run_elements(&mut worker, &environment, &Options::default(), Stop::new().1).map(Ended::from)
    });
    told.recv().unwrap();
    yard.server.kill();
    answer.send(()).unwrap();
    yard.server.restart();
    assert_eq!(working.join().unwrap().unwrap(), Ended(6, 0, 0, 0));
    yard.client = Client::new(yard.server.url(), &yard.server.token());
    assert_eq!(yard.counts(), [0, 0, 6, 0]);
}

/// Keeps what it is told.
#[derive(Default)]
struct Told {
    configuration: Value,
    read_only: bool,
    seen: usize,
}

impl ElementsWorker for Told {
    fn configure(&mut self, work: &Work) -> Result<(), Failure> {
        if work.configuration().contains_key("broken") {
            return Err("the field `broken` is set".into());
        }
        self.configuration = Value::Object(work.configuration().clone());
        self.read_only = work.is_read_only();
        Ok(())
    }

    fn process_element(&mut self, _: &Element) -> Result<Results, Failure> {
        self.seen += 1;
        Ok(class("told"))
    }
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

#[test]
fn the_configuration_is_put_together_in_the_order_of_the_contract() {
    let folder = tempfile::TempDir::new().unwrap();
    fs::write(folder.path().join("weights"), "w").unwrap();
    let yard = Yard::new(1);
    let model = ["model", "publish", folder.path().to_str().unwrap(), "--name", "m", "--config", "b=3"];
    let version = yard.server.cli(&model).ok().stdout.trim().to_owned();
    let run = NewWorkerRun {
        corpus: Some(yard.corpus.clone()),
        worker: "reader".into(),
        worker_configuration: object(json!({"a": 1, "b": 1, "c": 1})),
        user_configuration: object(json!({"b": {"default": 2}, "c": {"default": 2}})),
        configuration: object(json!({"c": 4})),
        model_version_id: Some(version),
        selection: Some(Selection { query: Some(Query::default()), ..Selection::default() }),
        ..NewWorkerRun::default()
    };
    let run = block_on(yard.client.create_worker_run(&run)).unwrap().id;
    let environment = Environment { worker_run_id: Some(run), ..yard.environment() };
    let mut told = Told::default();
    run_elements(&mut told, &environment, &Options::default(), Stop::new().1).unwrap();
    assert_eq!((told.configuration, told.read_only), (json!({"a": 1, "b": 3, "c": 4}), false));
}

#[test]
fn read_only_everything_is_fetched_and_nothing_written() {
    let yard = Yard::new(5);
    let dev = Options { dev: true, ..Options::default() };
    let mut told = Told::default();
    assert_eq!(yard.work(&mut told, &dev), Ok(Ended(5, 0, 0, 0)));
    assert_eq!((told.seen, told.read_only), (5, true));
    let config = yard.server.home().join("config.json");
    fs::write(&config, r#"{"size": 3}"#).unwrap();
    let one = Options { elements: vec![yard.pages[0].clone()], config: Some(config.clone()), ..dev.clone() };
    let outside = Environment { worker_run_id: None, ..yard.environment() };
    let mut told = Told::default();
    run_elements(&mut told, &outside, &Options { dev: false, ..one }, Stop::new().1).unwrap();
    assert_eq!((told.seen, told.read_only, told.configuration), (1, true, json!({"size": 3})));
    assert_eq!(yard.counts(), [5, 0, 0, 0]);
    assert!(yard.classes(0).is_empty());
    fs::write(&config, r#"{"broken": true}"#).unwrap();
    let broken = yard.work(&mut Told::default(), &Options { config: Some(config), ..dev });
    assert!(broken.unwrap_err().contains("cannot be configured: the field `broken` is set"));
}

#[test]
fn named_elements_and_those_of_sets_are_processed_and_what_is_done_is_left_alone() {
    let yard =
        Yard::with(6, NewWorkerRun { selection: Some(Selection::default()), ..NewWorkerRun::default() });
    let named = |pages: &[usize]| Options {
        elements: pages.iter().map(|page| yard.pages[*page].clone()).collect(),
        ..Options::default()
    };
    let mut worker =
        Does(|element: &Element| if element.name == "1" { Err("no".into()) } else { Ok(class("x")) });
    assert_eq!(yard.work(&mut worker, &named(&[0, 1])), Ok(Ended(1, 1, 0, 0)));
    assert_eq!(yard.counts(), [0, 0, 1, 1]);
    // One is done and counts as such; the other one may be tried again.
    assert_eq!(yard.work(&mut worker, &named(&[0, 1])), Ok(Ended(1, 1, 0, 0)));
    assert_eq!(yard.work(&mut worker, &named(&[1])), Ok(Ended(0, 1, 0, 1)));
    let list = yard.server.home().join("list.json");
    fs::write(&list, json!([{"id": yard.pages[2]}, {"name": "no id"}, {"id": yard.pages[2]}]).to_string())
        .unwrap();
    let listed = Options { elements_list: Some(list), ..Options::default() };
    assert_eq!(yard.work(&mut worker, &listed), Ok(Ended(1, 0, 0, 0)));
    let dataset = dataset(&yard, &[("train", &[3, 4]), ("test", &[5])]);
    let sets = |name: &str| Options { sets: vec![(dataset.clone(), name.into())], ..Options::default() };
    assert_eq!(yard.work(&mut worker, &sets("train")), Ok(Ended(2, 0, 0, 0)));
    assert_eq!(yard.counts(), [0, 0, 4, 1]);
    let missing = yard.work(&mut worker, &sets("dev")).unwrap_err();
    assert!(missing.contains("has no set `dev`: it has"), "{missing}");
}

#[test]
fn a_worker_without_anything_to_do_says_so() {
    let yard =
        Yard::with(1, NewWorkerRun { selection: Some(Selection::default()), ..NewWorkerRun::default() });
    let said = |options: Options| yard.work(&mut Told::default(), &options).unwrap_err();
    let elements = |ids: &[&str]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
    let list = yard.server.home().join("list.json");
    fs::write(&list, "[]").unwrap();
    let missing = "01890a5d-ac96-774b-bcce-b302099a8057";
    for (options, words) in [
        (Options::default(), "has no elements: there is nothing to process"),
        (
            Options { elements: elements(&["page"]), ..Options::default() },
            "`page` is not the id of an element",
        ),
        (Options { elements: elements(&[missing]), ..Options::default() }, "there is no element"),
        (Options { elements_list: Some(list.clone()), ..Options::default() }, "no elements are named"),
        (
            Options { elements_list: Some(list), elements: elements(&[missing]), ..Options::default() },
            "give one of them",
        ),
        (Options { elements_list: Some("/none".into()), ..Options::default() }, "`--elements-list /none`"),
        (Options { config: Some("c.json".into()), ..Options::default() }, "goes with --dev"),
    ] {
        let text = said(options);
        assert!(text.contains(words), "{text}");
    }
    let nowhere =
        run_elements(&mut Told::default(), &Environment::default(), &Options::default(), Stop::new().1);
    assert!(nowhere.unwrap_err().to_string().contains("set RUNYARD_URL"));
}

/// A dataset with these pages in its sets.
fn dataset(yard: &Yard, sets: &[(&str, &[usize])]) -> String {
    let new = NewDataset {
        corpus: yard.corpus.clone(),
        name: format!("pages-{}", sets.len()),
        sets: Some(sets.iter().map(|(name, _)| (*name).to_owned()).collect()),
        ..NewDataset::default()
    };
    let id = block_on(yard.client.create_dataset(&new)).unwrap().id;
    for (set, pages) in sets.iter().filter(|(_, pages)| !pages.is_empty()) {
        let elements = pages.iter().map(|page| yard.pages[*page].parse().unwrap()).collect();
        let add =
            AddElements { set: (*set).to_owned(), selection: Selection { elements, ..Selection::default() } };
        block_on(yard.client.add_dataset_elements(&id, &add)).unwrap();
    }
    id
}

/// Notes the sets, and where they were.
#[derive(Default)]
struct Sets(Vec<(String, std::path::PathBuf)>);

impl DatasetWorker for Sets {
    fn process_set(&mut self, set: &Set) -> Result<(), Failure> {
        assert!(set.files().is_dir() && fs::metadata(set.database())?.len() > 0);
        self.0.push((set.name.clone(), set.folder().to_owned()));
        if set.name == "dev" { Err("dev is too small".into()) } else { Ok(()) }
    }
}

#[test]
fn a_dataset_worker_gets_each_set_with_the_files_of_its_dataset_which_come_once() {
    let yard = Yard::new(5);
    let built = dataset(&yard, &[("train", &[0, 1]), ("dev", &[2])]);
    let open = dataset(&yard, &[("only", &[3]), ("test", &[]), ("dev", &[])]);
    block_on(yard.client.build_dataset(&built)).unwrap();
    wait_until("the dataset is complete", SOON, || {
        block_on(yard.client.dataset(&built)).unwrap().state == "complete"
    });
    let set = |dataset: &str, set: &str| SetName { dataset: dataset.parse().unwrap(), set: set.into() };
    let sets = vec![set(&built, "dev"), set(&open, "only"), set(&built, "train")];
    let run = NewWorkerRun {
        corpus: Some(yard.corpus.clone()),
        worker: "trainer".into(),
        mode: Some("dataset".into()),
        selection: Some(Selection { sets, ..Selection::default() }),
        ..NewWorkerRun::default()
    };
    let run = block_on(yard.client.create_worker_run(&run)).unwrap().id;
    let environment = Environment { worker_run_id: Some(run), ..yard.environment() };
    let work = |worker: &mut Sets, environment: &Environment, options: &Options| {
        run_sets(worker, environment, options, Stop::new().1).map(Ended::from)
    };
    let mut worker = Sets::default();
    assert_eq!(work(&mut worker, &environment, &Options::default()).unwrap(), Ended(1, 2, 0, 0));
    let (names, folders): (Vec<_>, Vec<_>) = worker.0.into_iter().unzip();
    assert_eq!(names, ["dev", "train"]);
    assert_eq!(folders[0], folders[1], "one download for both");
    assert!(!folders[0].exists(), "nothing is left");
    // Each of several processes has a share.
    let mut shares = Vec::new();
    for process in 0..3 {
        let environment = Environment { process: Some((process, 3)), ..environment.clone() };
        let mut worker = Sets::default();
        work(&mut worker, &environment, &Options::default()).unwrap();
        shares.extend(worker.0.into_iter().map(|(name, _)| name));
    }
    shares.sort();
    assert_eq!(shares, ["dev", "train"]);
    let named = Options { sets: vec![(open, "only".into())], ..Options::default() };
    assert_eq!(work(&mut Sets::default(), &environment, &named).unwrap(), Ended(0, 1, 0, 1));
    let plain = work(&mut Sets::default(), &yard.environment(), &Options::default());
    assert!(plain.unwrap_err().to_string().contains("there is nothing to process: name sets"));
}
