"""`Estimator.fit()`, unmodified, and what follows it: python estimator.py CASE"""

import sys

from session import BUCKET, IMAGE, folder, keys, ours, printed, raw, read, refusal, run_id, session

from pai.estimator import Estimator

TRAIN = """
import os, pathlib
data = pathlib.Path(os.environ["PAI_INPUT_TRAIN"])
print("files", sorted(f.name for f in data.iterdir()))
for step in range(1, 4):
    print(f"step {step}: loss={1 / step:.3f} accuracy={step * 10}")
pathlib.Path(os.environ["PAI_OUTPUT_MODEL"], "weights.bin").write_bytes(bytes(range(256)))
pathlib.Path(os.environ["PAI_OUTPUT_CHECKPOINTS"], "last").write_text("3")
"""


def estimator(source=TRAIN, **more):
    more = {"instance_type": "cpu.small", "base_job_name": "digits", **more}
    return Estimator(
        image_uri=IMAGE,
        command="python3 train.py",
        source_dir=folder({"train.py": source}),
        hyperparameters={"lr": 0.1, "layers": [1, 2], "none": None},
        metric_definitions=[
            {"Name": "loss", "Regex": r"loss=([0-9.]+)", "Description": "of training"},
            {"Name": "accuracy", "Regex": r"accuracy=([0-9.]+)"},
        ],
        **more,
    )


def whole():
    sess = session()
    made = estimator(checkpoints_path=f"oss://{BUCKET}/kept/")
    _, said = printed(made.fit, inputs={"train": folder({"a.csv": "1", "b.csv": "2"})}, wait=True, show_logs=True)
    assert "files ['a.csv', 'b.csv']" in said and "step 3: loss=0.333" in said and "succeeded" in said, said
    assert keys(sess, made.model_data()) == ["weights.bin"], made.model_data()
    assert read(sess, made.model_data() + "weights.bin") == bytes(range(256))
    assert made.checkpoints_data() == f"oss://{BUCKET}/kept/" and keys(sess, made.checkpoints_data()) == ["last"]
    assert made.tensorboard_data().startswith("oss://"), made.tensorboard_data()
    job = made.latest_job
    assert ours("GET", f"/runs/{run_id(job.id)}")["kind"] == "training"
    latest = raw(sess, "get_training_job_latest_metrics", job.id, request=_request("GetTrainingJobLatestMetrics", names="loss,accuracy"))
    shown = {metric["Name"]: metric["Value"] for metric in latest["Metrics"]}
    assert shown == {"loss": 0.333, "accuracy": 30.0}, shown
    points = raw(sess, "list_training_job_metrics", job.id, request=_request("ListTrainingJobMetrics", name="loss", page_size=2, page_number=2))
    assert [point["Value"] for point in points["Metrics"]] == [0.333], points
    models = raw(sess, "list_training_job_output_models", job.id, request=_request("ListTrainingJobOutputModels"))["OutputModels"]
    assert [(model["OutputChannelName"], model["Uri"]) for model in models] == [("model", made.model_data())], models
    again = type(job).get(job.id)
    assert {p.name: p.value for p in again.hyperparameters}["layers"] == "[1, 2]"


def _request(kind, /, **fields):
    from pai.libs.alibabacloud_paistudio20220112 import models

    return getattr(models, f"{kind}Request")(**fields)


def tensorboard():
    """There is none, and that is said."""
    session()
    made = estimator()
    printed(made.fit, inputs={"train": folder({"a.csv": "1"})}, wait=True, show_logs=False)
    error = refusal(made.tensorboard)
    assert error.code == "TensorboardNotSupported" and "/api/v2/metrics" in error.message, error


def bad_expression():
    session()
    made = Estimator(
        image_uri=IMAGE, command="true", source_dir=folder({"x": ""}), instance_type="cpu.small",
        metric_definitions=[{"Name": "loss", "Regex": "loss=(["}],
    )
    error = refusal(printed, made.fit, wait=False)
    assert "AlgorithmSpec.MetricDefinitions.0" in error.message and "loss=([" in error.message, error.message


def model():
    """A job's model becomes a version of a model of ours."""
    from pai.model import InferenceSpec, Model, RegisteredModel

    sess = session()
    made = estimator()
    printed(made.fit, inputs={"train": folder({"a.csv": "1"})}, wait=True, show_logs=False)
    model = Model(model_data=made.model_data(), inference_spec=InferenceSpec(processor="xgboost"))
    registered, _ = printed(model.register, "digits", version_labels={"stage": "test"}, metrics={"loss": 0.3})
    assert isinstance(registered, RegisteredModel) and registered.model_name == "digits", registered
    assert registered.uri == made.model_data() and registered.version_labels == {"stage": "test"}, vars(registered)
    ours_ = ours("GET", "/models?name=digits")
    assert len(ours_) == 1, ours_
    versions = ours("GET", f"/model_versions?model_id={ours_[0]['id']}")
    assert [(one["tag"], one["state"]) for one in versions] == [(registered.model_version, "available")], versions
    again = RegisteredModel("digits")
    assert again.model_version == registered.model_version and again.uri == registered.uri
    listed = list(RegisteredModel.list(model_name="digits", session=sess))
    assert [one.model_name for one in listed] == ["digits"], listed


if __name__ == "__main__":
    globals()[sys.argv[1]]()
    print("all of it works")
