"""`Processor.run()`, unmodified, case by case: python processor.py CASE"""

import sys
import time

from session import IMAGE, BUCKET, folder, keys, ours, printed, read, run_id, session

from pai.exception import UnexpectedStatusException
from pai.job import TrainingJob
from pai.processor import Processor


def processor(command, source=None, **more):
    more = {"instance_type": "local", "base_job_name": "texts", **more}
    return Processor(image_uri=IMAGE, command=command, source_dir=source, **more)


MAIN = """
import json, os, pathlib
from package import word
print("word", word.WORD)
inputs = {name: os.environ["PAI_INPUT_" + name.upper()] for name in ("train", "single")}
print("lines", sum(len(f.read_text().splitlines()) for f in sorted(pathlib.Path(inputs["train"]).iterdir())))
print("single", pathlib.Path(inputs["single"]).read_text().strip())
print("hps", json.loads(os.environ["PAI_HPS"])["lr"], os.environ["PAI_HPS_TRAIN_LR"], os.environ["MODE"])
print("file", json.load(open(os.path.join(os.environ["PAI_CONFIG_DIR"], "hyperparameters.json")))["flag"])
print("args", os.environ["PAI_USER_ARGS"])
print("cwd", os.path.samefile(os.getcwd(), os.environ["PAI_WORKING_DIR"]))
out = pathlib.Path(os.environ["PAI_OUTPUT_RESULT"])
(out / "deep").mkdir()
(out / "deep" / "answer.txt").write_text("42")
(out / "empty").touch()
for n in range(45):
    print("line", n)
"""


def whole():
    sess = session()
    source = folder({"main.py": MAIN, "package/__init__.py": "", "package/word.py": "WORD = 'é'\n"})
    sess.oss_bucket.put_object("data/single.txt", "one\n")
    made = processor(
        "python3 main.py",
        source,
        parameters={"lr": 0.1, "flag": True, "train.lr": 3},
        environments={"MODE": "fast"},
        labels={"team": "ocr"},
        max_run_time=600,
        output_path=f"oss://{BUCKET}/results/",
    )
    made.set_output_channels(_channels("result"))
    inputs = {"train": folder({"a.txt": "1\n2\n", "b.txt": "3\n"}), "single": f"oss://{BUCKET}/data/single.txt"}
    _, said = printed(made.run, inputs=inputs, wait=True, show_logs=True)
    for line in [
        "word é", "lines 3", "single one", "hps 0.1 3 fast", "file True", "cwd True", "line 0", "line 19", "line 20",
        "line 44",
    ]:
        assert said.count(f"{line}\n") == 1, f"{line!r} is not there once:\n{said}"
    assert "--lr 0.1" in said and "succeeded" in said, said
    job = made.latest_job
    assert job.status == "Succeed" and job.id.startswith("train"), job
    uri = made.get_outputs_data()["result"]
    assert uri.startswith(f"oss://{BUCKET}/results/"), uri
    assert keys(sess, uri) == ["deep/answer.txt", "empty"], keys(sess, uri)
    assert read(sess, uri + "deep/answer.txt") == b"42" and read(sess, uri + "empty") == b""
    run = ours("GET", f"/runs/{run_id(job.id)}")
    assert run["kind"] == "processing" and run["labels"] == {"team": "ocr"}, run
    assert job.id in [known.id for known in TrainingJob.list(status="Succeed")]
    again = TrainingJob.get(job.id)
    assert {p.name: p.value for p in again.hyperparameters} == {"lr": "0.1", "flag": "True", "train.lr": "3"}
    assert again.outputs[0].output_uri == uri and again.workspace_id == "1234"


def _channels(*names):
    from pai.job import Channel

    return [Channel(name=name) for name in names]


def failing():
    sess = session()
    made = processor(
        ["sh", "-c", "echo before; echo saved > $PAI_OUTPUT_RESULT/saved; touch $PAI_OUTPUT_RESULT/empty; exit 3"]
    )
    made.set_output_channels(_channels("result"))
    try:
        _, said = printed(made.run, show_logs=False)
        raise AssertionError(f"a failure is raised: {said}")
    except UnexpectedStatusException as error:
        assert error.status == "Failed", error.status
    job = TrainingJob.get(made.latest_job.id)
    assert job.reason_code == "Error" and "3" in job.reason_message, (job.reason_code, job.reason_message)
    logs = sess.training_job_api.list_logs(job.id, page_number=1, page_size=20).items
    assert logs[0] == "before" and "Error" in logs[-1] and "3" in logs[-1], logs
    assert keys(sess, made.get_outputs_data()["result"]) == ["empty", "saved"]


def time_limit():
    sess = session()
    made = processor(["sleep", "600"], max_run_time=1)
    try:
        printed(made.run, show_logs=False)
        raise AssertionError("a time limit is a failure")
    except UnexpectedStatusException as error:
        assert error.status == "Failed", error.status
    job = TrainingJob.get(made.latest_job.id)
    assert job.reason_code == "TimeLimitExceeded" and job.reason_message, job
    logs = sess.training_job_api.list_logs(job.id, page_number=1, page_size=20).items
    assert "TimeLimitExceeded" in logs[-1], logs


def argv():
    sess = session()
    made = processor(["echo", "$HOME", "a b", "*"])
    printed(made.run, show_logs=False)
    logs = sess.training_job_api.list_logs(made.latest_job.id, page_number=1, page_size=20).items
    assert logs == ["$HOME a b *"], logs
    assert made.latest_job.inputs == [] and made.latest_job.outputs == []


def single_file():
    sess = session()
    source = folder({"only.py": "print('alone')\n"}) + "/only.py"
    made = processor("python3 only.py", source)
    printed(made.run, show_logs=False)
    logs = sess.training_job_api.list_logs(made.latest_job.id, page_number=1, page_size=20).items
    assert logs == ["alone"], logs


def prefix_twice():
    """Two jobs of one name and second have one prefix: each runs what was there when it was made."""
    sess = session()
    sess.oss_bucket.put_object("code/main.sh", "echo first")
    one = processor("sh main.sh", f"oss://{BUCKET}/code/")
    printed(one.run, wait=False, show_logs=False)
    sess.oss_bucket.put_object("code/main.sh", "echo second")
    two = processor("sh main.sh", f"oss://{BUCKET}/code/")
    printed(two.run, wait=False, show_logs=False)
    for made, said in [(one, "first"), (two, "second")]:
        made.latest_job.wait(interval=1, show_logs=False)
        logs = sess.training_job_api.list_logs(made.latest_job.id, page_number=1, page_size=20).items
        assert logs == [said], logs


def default_bucket():
    """A session that names no bucket asks for that of the workspace."""
    sess = session(bucket=None)
    assert sess.oss_bucket.bucket_name.startswith("runyard-"), sess.oss_bucket.bucket_name
    made = processor("cat hello.txt", folder({"hello.txt": "hello"}))
    printed(made.run, show_logs=False)
    logs = sess.training_job_api.list_logs(made.latest_job.id, page_number=1, page_size=20).items
    assert logs == ["hello"], logs


def not_honoured():
    from pai.job import ExperimentConfig, SpotSpec, UserVpcConfig

    sess = session()
    made = processor(
        ["true"],
        instance_type="ecs.gn6i-c4g1.xlarge",
        spot_spec=SpotSpec(spot_strategy="SpotAsPriceGo"),
        user_vpc_config=UserVpcConfig(vpc_id="vpc-1", security_group_id="sg-1"),
        experiment_config=ExperimentConfig(experiment_id="exp-1"),
        settings={"Priority": 3},
    )
    printed(made.run, show_logs=False)
    run = run_id(made.latest_job.id)
    events = ours("GET", f"/runs/{run}/events?limit=100")
    warnings = [event["details"]["warning"] for event in events if "warning" in event["details"]]
    words = " ".join(warnings)
    for word in ["spot", "vpc", "experiment", "settings", "instance_type"]:
        assert word in words, (word, warnings)
    if sys.argv[2:] != ["container"]:
        assert "image" in words, warnings
    job = TrainingJob.get(made.latest_job.id)
    assert job.compute_resource.ecs_spec == "ecs.gn6i-c4g1.xlarge", job


def requirements():
    """A requirement that cannot be installed fails the job with pip's words, before the program; the source's own list counts."""
    sess = session()
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0", "PIP_CONFIG_FILE": "/dev/null"}
    source = folder({"main.py": "print('never')", "requirements.txt": "no-such-package-of-the-list\n"})
    for code, wanted in [(source, "no-such-package-of-the-list"), (None, "no-such-package==1")]:
        more = {} if code else {"requirements": [wanted]}
        made = processor("echo never", code, environments=nowhere, **more)
        try:
            printed(made.run, show_logs=False)
            raise AssertionError("what cannot be installed fails the job")
        except UnexpectedStatusException as error:
            assert error.status == "Failed", error.status
        job = TrainingJob.get(made.latest_job.id)
        assert job.reason_code == "RequirementsFailed" and wanted in job.reason_message, job.reason_message
        logs = sess.training_job_api.list_logs(job.id, page_number=1, page_size=100).items
        assert "never" not in logs and "RequirementsFailed" in logs[-1], logs


def no_image():
    sess = session()
    made = processor(["true"])
    try:
        printed(made.run, show_logs=False)
        raise AssertionError("a job without its image fails")
    except UnexpectedStatusException as error:
        assert error.status == "Failed", error.status
    job = TrainingJob.get(made.latest_job.id)
    assert job.reason_code == "ImageMissing" and "no-such-image" in job.reason_message, (job.reason_code, job.reason_message)
    logs = sess.training_job_api.list_logs(job.id, page_number=1, page_size=20).items
    assert "ImageMissing" in logs[-1], logs


def two_instances():
    sess = session()
    made = processor(["sh", "-c", "echo rank $RANK of $WORLD_SIZE"], instance_count=2)
    printed(made.run, show_logs=False)
    logs = sess.training_job_api.list_logs(made.latest_job.id, page_number=1, page_size=20).items
    assert sorted(logs) == ["[0] rank 0 of 2", "[1] rank 1 of 2"], logs


def survives():
    """Waits while the server is killed and comes back."""
    session()
    made = processor(["sh", "-c", "echo ready; while [ ! -e $RUNYARD_ML/go ]; do sleep 0.1; done; echo done"])
    printed(made.run, wait=False, show_logs=False)
    print(made.latest_job.id, flush=True)
    made.latest_job.wait(interval=1, show_logs=False)
    print(made.latest_job.status, flush=True)


if __name__ == "__main__":
    started = time.monotonic()
    globals()[sys.argv[1]]()
    print(f"all of it works, in {time.monotonic() - started:.1f} s")
