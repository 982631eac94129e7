"""Operations that the SDK's own classes never call, by its generated clients, and what is refused: python raw.py CASE"""

import sys
import time

from session import BUCKET, IMAGE, folder, ours, printed, raw, refusal, run_id, session

from pai.job import TrainingJob
from pai.processor import Processor


def started(command, **more):
    made = Processor(image_uri=IMAGE, command=command, instance_type="local", base_job_name="raw", **more)
    printed(made.run, wait=False, show_logs=False)
    return made.latest_job


def until(what, found):
    deadline = time.monotonic() + 60
    while not (answer := found()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.05)
    return answer


def _request(kind, /, **fields):
    from pai.libs.alibabacloud_paistudio20220112 import models

    return getattr(models, f"{kind}Request")(**fields)


def stop():
    """Terminated is no exception; the job can be deleted then."""
    sess = session()
    job = started(["sh", "-c", "echo ready; exec sleep 600"])
    logs = lambda: sess.training_job_api.list_logs(job.id, page_number=1, page_size=20).items
    until("its output", lambda: logs() == ["ready"])
    error = refusal(raw, sess, "delete_training_job", job.id)
    assert "stop it first" in error.message, error
    assert raw(sess, "stop_training_job", job.id)["RequestId"]
    _, said = printed(job.wait, interval=1, show_logs=False)
    assert job.status == "Terminated" and "Terminated" in said, said
    info = raw(sess, "get_training_job_error_info", job.id, request=_request("GetTrainingJobErrorInfo"))["ErrorInfo"]
    assert info["Code"] == "TrainingJobTerminated", info
    error = refusal(raw, sess, "stop_training_job", job.id)
    assert "ended" in error.message, error
    assert raw(sess, "delete_training_job", job.id)["RequestId"]
    error = refusal(TrainingJob.get, job.id)
    assert error.code == "TRAINING_JOB_NOT_FOUND" and error.data["statusCode"] == 404, error


def pages():
    """Lines come in pages of exactly the size that was asked for, only added to, also while the job runs."""
    sess = session()
    job = started(["sh", "-c", "seq 1 45; printf open; while [ ! -e $RUNYARD_ML/go ]; do sleep 0.05; done; echo ' end'; printf last"])
    page = lambda number, size=20: sess.training_job_api.list_logs(job.id, page_number=number, page_size=size)
    until("45 lines", lambda: len(page(3).items) == 5)
    assert page(1).items == [str(n) for n in range(1, 21)] and page(2).items == [str(n) for n in range(21, 41)]
    assert page(3).items == [str(n) for n in range(41, 46)], "a line that has not ended is none"
    assert page(4).items == [] and page(1000).items == []
    assert page(1, 7).items == [str(n) for n in range(1, 8)] and page(7, 7).items == ["43", "44", "45"]
    assert page(1).total_count in (45, "45"), page(1).total_count
    folder_ = ours("GET", f"/runs/{run_id(job.id)}/jobs")[0]["id"]
    import os, pathlib

    (pathlib.Path(os.environ["RUNYARD_TEST_DATA"]) / "jobs" / folder_ / "ml" / "go").touch()
    job.wait(interval=1, show_logs=False)
    assert page(3).items == [str(n) for n in range(41, 46)] + ["open end", "last"], page(3).items


def no_output_yet():
    """A job that waits has no lines, and that is no error."""
    sess = session()
    job = started(["sleep", "0.2"])
    assert sess.training_job_api.list_logs(job.id, page_number=1, page_size=20).items == []
    job.wait(interval=1, show_logs=False)


def labels():
    sess = session()
    job = started(["true"], labels={"team": "ocr"})
    from pai.libs.alibabacloud_paistudio20220112 import models

    label = models.UpdateTrainingJobLabelsRequestLabels(key="stage", value="测试")
    raw(sess, "update_training_job_labels", job.id, request=_request("UpdateTrainingJobLabels", labels=[label]))
    shown = lambda: {label["Key"]: label["Value"] for label in TrainingJob.get(job.id).labels}
    assert shown() == {"team": "ocr", "stage": "测试"}, shown()
    found = raw(sess, "list_training_jobs", request=_request("ListTrainingJobs", labels={"stage": "测试"}))
    assert [one["TrainingJobId"] for one in found["TrainingJobs"]] == [job.id] and found["TotalCount"] == 1, found
    raw(sess, "delete_training_job_labels", job.id, request=_request("DeleteTrainingJobLabels", keys="team"))
    assert shown() == {"stage": "测试"}, shown()
    job.wait(interval=1, show_logs=False)


def reports():
    """Events, instances, what the machine measured; all of them with ids that fit together."""
    sess = session()
    job = started(["sh", "-c", "echo a"])
    job.wait(interval=1, show_logs=False)
    events = raw(sess, "list_training_job_events", job.id, request=_request("ListTrainingJobEvents", page_size=100))
    assert any("job_running" in line for line in events["Events"]) and int(events["TotalCount"]) >= 5, events
    shown = raw(sess, "get_training_job", job.id, request=_request("GetTrainingJob"))
    instance = shown["Instances"][0]["Name"]
    assert instance == f"{job.id}-master-0" and shown["Instances"][0]["Role"] == "master", shown
    of = raw(sess, "list_training_job_instance_events", job.id, instance, request=_request("ListTrainingJobInstanceEvents"))
    assert of["Events"], of
    error = refusal(raw, sess, "list_training_job_instance_events", job.id, "x", request=_request("ListTrainingJobInstanceEvents"))
    assert "no instance" in error.message, error
    measured = raw(sess, "list_training_job_instance_metrics", job.id, request=_request("ListTrainingJobInstanceMetrics", metric_type="memory"))
    assert isinstance(measured["Instancemetrics"], list), measured
    states = [one["Status"] for one in shown["StatusTransitions"]]
    assert states[0] == "Creating" and states[-1] == "Succeed" and "CreateFailed" not in states, states
    assert shown["ReasonCode"] == "TrainingJobSucceed" and shown["GmtCreateTime"].endswith("Z"), shown
    info = raw(sess, "get_training_job_error_info", job.id, request=_request("GetTrainingJobErrorInfo"))["ErrorInfo"]
    assert info["Code"] == "" and info["Message"] == "", info


def lists():
    sess = session()
    jobs = [started(["true"]) for _ in range(3)]
    for job in jobs:
        job.wait(interval=1, show_logs=False)
    found = lambda **asked: raw(sess, "list_training_jobs", request=_request("ListTrainingJobs", **asked))
    page = found(page_size=2, page_number=2, order="ASC")
    assert [one["TrainingJobId"] for one in page["TrainingJobs"]] == [jobs[2].id] and page["TotalCount"] == 3, page
    assert found(status="Failed")["TotalCount"] == 0 and found(status="Succeed")["TotalCount"] == 3
    assert found(status="CreateFailed")["TrainingJobs"] == []
    assert found(training_job_id=jobs[1].id)["TotalCount"] == 1 and found(training_job_id="trainx")["TotalCount"] == 0
    assert found(training_job_name="raw")["TotalCount"] == 3 and found(training_job_name="r%w")["TotalCount"] == 0
    assert [one.id for one in TrainingJob.list(page_size=1)] == [jobs[2].id]
    error = refusal(found, page_size=0)
    assert error.code == "InvalidParameter" and "PageSize" in error.message, error


def refused():
    """What is wrong with a job is said before there is one, with the names that were sent."""
    sess = session()
    sess.oss_bucket.put_object("there/a", "1")

    def says(words, inputs=None, outputs=None, command=["true"], image=IMAGE, **more):
        made = Processor(image_uri=image, command=command, instance_type="local", **more)
        error = refusal(printed, made.run, inputs=inputs, outputs=outputs, wait=False, show_logs=False)
        assert error.data["statusCode"] == 400, error.data
        for word in words:
            assert word in error.message, (word, error.message)

    says(["AlgorithmSpec.Image"], image="")
    says(["AlgorithmSpec.Command"], command=[])
    says(["Scheduler.MaxRunningTimeInSeconds", "-1"], max_run_time=-1)
    says(["InputChannels.a/b"], inputs={"a/b": f"oss://{BUCKET}/there/a"})
    says(["InputChannels.gone", "gone"], inputs={"gone": f"oss://{BUCKET}/there/gone"})
    says(["InputChannels.disk", "nas://"], inputs={"disk": "nas://fs-1.cn-hangzhou/dir/"})
    says(["OutputChannels.disk", "nas://"], outputs={"disk": "nas://fs-1.cn-hangzhou/dir/"})
    says(["AlgorithmSpec.CodeDir", "nothing-there"], source_dir=f"oss://{BUCKET}/nothing-there/")
    assert raw(sess, "list_training_jobs", request=_request("ListTrainingJobs"))["TotalCount"] == 0


def surroundings():
    """What the SDK asks around jobs."""
    sess = session()
    assert sess.is_supported_training_instance("cpu.small") and not sess.is_supported_training_instance("ecs.none")
    assert not sess.is_gpu_training_instance("local") and sess.is_gpu_training_instance("local_gpu")
    spaces = sess.workspace_api.list()
    assert [space["WorkspaceName"] for space in spaces] == ["default"], spaces
    assert sess.workspace_api.get(spaces[0]["WorkspaceId"])["WorkspaceName"] == "default"
    assert sess.image_api.list(page_size=10).total_count == 0
    error = refusal(sess.workspace_api.create, "mine")
    assert error.code == "InvalidAction.NotFound" and error.data["statusCode"] == 404, error
    assert "CreateWorkspace" in error.message, error


def no_engine():
    """Where jobs are to be containers and there is no engine, a job is refused with the way to one."""
    sess = session()
    error = refusal(started, ["true"])
    assert error.data["statusCode"] == 400 and "container" in error.message, error
    print(error.message)
    assert raw(sess, "list_training_jobs", request=_request("ListTrainingJobs"))["TotalCount"] == 0


def experiments():
    """Experiments are made, found, renamed, labelled and deleted; a job of one has its label."""
    from pai.experiment import Experiment
    from pai.job import ExperimentConfig

    sess = session()
    made = Experiment.create(artifact_uri=f"oss://{BUCKET}/experiments/first/", name="first", session=sess)
    error = refusal(Experiment.create, artifact_uri=f"oss://{BUCKET}/x/", name="first", session=sess)
    assert "already" in error.message, error
    error = refusal(Experiment.create, artifact_uri="nowhere", name="bad", session=sess)
    assert "ArtifactUri" in error.message, error
    job = started(["true"], labels={"team": "ocr"}, experiment_config=ExperimentConfig(experiment_id=made.experiment_id))
    job.wait(interval=1, show_logs=False)
    run = ours("GET", f"/runs/{run_id(job.id)}")
    assert run["labels"] == {"team": "ocr", "experiment": "first"} and "experiment" not in run["spec"]["recorded"], run
    assert job.labels == [{"Key": "team", "Value": "ocr"}], job.labels
    api = sess.experiment_api
    api.update(made.experiment_id, name="second")
    assert [one["Name"] for one in api.list().items] == ["second"]
    shown = api.get(made.experiment_id)
    assert shown["TensorboardLogUri"].startswith(f"oss://{BUCKET}/experiments/first/"), shown
    api.delete(made.experiment_id)
    assert api.list().total_count == 0
    error = refusal(api.get, made.experiment_id)
    assert error.data["statusCode"] == 404, error.data


def wrong_secret():
    import os

    os.environ["RUNYARD_TEST_SECRET"] += "x"
    session()
    error = refusal(TrainingJob.get, "train00000000000000000000000000000000")
    assert error.code == "SignatureDoesNotMatch", error


def unknown_key():
    import os

    os.environ["RUNYARD_TEST_KEY"] = "RYDNOBODY"
    session()
    error = refusal(TrainingJob.get, "train00000000000000000000000000000000")
    assert error.code == "InvalidAccessKeyId.NotFound", error


if __name__ == "__main__":
    globals()[sys.argv[1]]()
    print("all of it works")
