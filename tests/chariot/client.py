"""Does what Chariot's SDK does, call by call, with a client that openapi-generator made of the server's document.

client.py URL CLIENT_ID, with CLIENT_SECRET and ADMIN_TOKEN in the environment and the generated package on PYTHONPATH.
Only the generated client talks to the dialect; the login, and what the SDK has no call for, is done by hand.
"""

import json
import os
import sys
import time
import urllib.parse
import urllib.request

from chariot_api import (
    ApiClient,
    ApiException,
    Configuration,
    CreateModelRequest,
    RestartRunRequest,
    Resources,
    SubmitRunRequest,
    V2BlueprintsApi,
    V2CheckpointsApi,
    V2MetricsApi,
    V2RunsApi,
    ValidateBlueprintRequest,
)

URL, CLIENT_ID = sys.argv[1:]

PROGRAM = r"""
trap 'exit 0' TERM
for step in 1 2 3; do
  for tag in train/loss eval/acc; do
    echo "{\"metric\":{\"tag\":\"$tag\",\"global_step\":$step,\"value\":0.$step}}" >> "$RUNYARD_RECORDS"
  done
done
echo '{"metric":{"tag":"odd","global_step":1,"value":"NaN"}}' >> "$RUNYARD_RECORDS"
echo '{"progress":[{"operation":"epochs","value":1,"final_value":3,"units":"epoch"}]}' >> "$RUNYARD_RECORDS"
mkdir "$RUNYARD_ML/output/checkpoints/3"; echo weights > "$RUNYARD_ML/output/checkpoints/3/weights"
echo '{"checkpoint":{"global_step":3,"path":"output/checkpoints/3"}}' >> "$RUNYARD_RECORDS"
while :; do sleep 0.05; done
"""


def post(path, body, headers):
    request = urllib.request.Request(URL + path, data=body, headers=headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def make_blueprint(version):
    body = {
        "project_id": "default",
        "name": "teddy",
        "version": version,
        "command": ["sh", "-c", PROGRAM],
        "config_schema": {
            "type": "object",
            "properties": {"epochs": {"type": "integer", "minimum": 1}},
            "required": ["epochs"],
        },
    }
    headers = {"Authorization": "Bearer " + os.environ["ADMIN_TOKEN"], "Content-Type": "application/json"}
    return post("/api/v2/blueprints", json.dumps(body).encode(), headers)["data"]["id"]


def connect():
    form = {
        "client_id": CLIENT_ID,
        "client_secret": os.environ["CLIENT_SECRET"],
        "grant_type": "client_credentials",
    }
    login = post("/auth/client/v2/chariot/login", urllib.parse.urlencode(form).encode(), {})
    assert login["expires_in"] > 0 and login["token_type"] == "bearer", login
    client = ApiClient(Configuration(host=URL + "/api/training"))
    client.set_default_header("Authorization", "Bearer " + login["access_token"])
    return client


def expect(status, call, **arguments):
    try:
        call(**arguments)
    except ApiException as refused:
        assert refused.status == status, refused
        return json.loads(refused.body)
    raise AssertionError(f"{call.__name__}({arguments}) was not refused")


def wait_for(what, look, seconds=60):
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def all_metrics(metrics, run):
    """The SDK's `Run.get_all_metrics`: tags until there are none, each by its steps until there are none."""
    tags, last_tag = [], None
    while page := metrics.v2_metrics_tags_get(run_id=[run], tag_after=last_tag).data:
        tags += page
        last_tag = page[-1]
    found = []
    for tag in tags:
        last_step = None
        while page := metrics.v2_metrics_get(
            run_id=[run], tag=[tag], global_step_after=last_step, sort=["global_step:asc"], limit=10000
        ).data:
            found += page
            last_step = page[-1].global_step
    return sorted(found, key=lambda metric: metric.id)


def main():
    old, blueprint = make_blueprint("1.0"), make_blueprint("1.1")
    client = connect()
    runs, metrics, blueprints = V2RunsApi(client), V2MetricsApi(client), V2BlueprintsApi(client)

    # lookup_blueprint_id
    newest = blueprints.v2_blueprints_get(name=["teddy"], sort=["created_at:desc"], limit=1).data
    assert [found.id for found in newest] == [blueprint], newest
    named = blueprints.v2_blueprints_get(name=["teddy"], version_ilike=["%.0"], limit=1).data
    assert [found.id for found in named] == [old], named

    # validate_run_config
    validate = blueprints.v2_blueprints_id_validate_post_with_http_info
    answer = validate(id=blueprint, body=ValidateBlueprintRequest(config={"epochs": 3}))
    assert answer.status_code == 204, answer
    bad = ValidateBlueprintRequest(config={"epochs": 0})
    assert "config.epochs" in expect(422, validate, id=blueprint, body=bad)["errors"]

    # create_run
    asked = dict(
        blueprint_id=blueprint,
        config={"epochs": 3},
        name="first, run",
        project_id="default",
        resources=Resources(cpu="100m", memory="0"),
        task_type="object detection",
        version="1.0.0",
    )
    submitted = runs.v2_runs_post(body=SubmitRunRequest(**asked, notes="by the SDK"))
    run = submitted.data.id
    refused = expect(422, runs.v2_runs_post, body=SubmitRunRequest(**{**asked, "config": {}}))
    assert "config.epochs" in refused["errors"], refused

    # from_id
    whole = runs.v2_runs_id_get(id=run).data
    assert (whole.id, whole.name, whole.notes, whole.config) == (run, "first, run", "by the SDK", {"epochs": 3})
    assert whole.user_id == CLIENT_ID and whole.resources.cpu == "100m", whole
    assert whole.progress is not None and whole.created_at > 10**12, whole
    assert expect(404, runs.v2_runs_id_get, id="nobody")["error"]

    # get_runs, and the lookup by name that every method without an id does
    found = runs.v2_runs_get(
        name_ilike=["first, run"], version=["1.0.0"], project_id=[whole.project_id], select=["id"]
    ).data
    assert [one.id for one in found] == [run] and found[0].name is None, found
    assert runs.v2_runs_get(created_after=whole.created_at).data == []
    assert runs.v2_runs_get(id=["nobody"]).data == []
    both = runs.v2_runs_get(status=["job_running", "job_completed"], blueprint_id=[blueprint, old], sort=["id:desc"])
    assert both.data is not None

    # reload
    def reload(fields=("status", "status_updated_at", "progress", "progress_updated_at", "notes")):
        return runs.v2_runs_get(id=[run], select=list(fields)).data[0]

    wait_for("the program reports", lambda: reload().progress)
    progress = reload().progress[0]
    assert (progress.operation, progress.value, progress.final_value) == ("epochs", 1, 3), progress
    assert reload(["status"]).notes is None and reload().notes == "by the SDK"

    # get_metrics, get_all_metrics
    wait_for("all metrics are there", lambda: len(all_metrics(metrics, run)) == 7)
    odd = [metric for metric in all_metrics(metrics, run) if metric.tag == "odd"]
    assert [metric.value for metric in odd] == [None], "the SDK makes NaN of it"
    some = metrics.v2_metrics_get(run_id=[run], tag=["train/loss"], global_step=[1, 3], limit=1000).data
    assert [(metric.global_step, metric.value) for metric in some] == [(1, 0.1), (3, 0.3)], some
    assert metrics.v2_metrics_get(run_id=[run], created_before=whole.created_at).data == []

    # get_checkpoints, get_global_steps_with_checkpoints
    checkpoints = V2CheckpointsApi(client)
    complete = dict(run_id=[run], status=["complete"], sort=["created_at:desc"])
    wait_for("the checkpoint is there", lambda: checkpoints.v2_checkpoints_get(**complete).data)
    newest = checkpoints.v2_checkpoints_get(**complete, created_before=2 * whole.created_at).data[0]
    assert (newest.global_step, newest.run_id, newest.project_id) == (3, run, whole.project_id), newest
    assert newest.key_prefix.endswith("/") and newest.status_updated_at >= newest.created_at, newest
    steps = checkpoints.v2_checkpoints_get(run_id=[run], select=["global_step"]).data
    assert [checkpoint.global_step for checkpoint in steps] == [3] and steps[0].id is None, steps

    # create_model
    wanted = CreateModelRequest(name="digits", version="1.0.0", summary="the first")
    model = checkpoints.v2_checkpoints_id_model_post(id=newest.id, body=wanted).data.id
    assert checkpoints.v2_checkpoints_id_model_post(id=newest.id, body=wanted).data.id == model, "a repeat"
    wanted.version = "one"
    errors = expect(422, checkpoints.v2_checkpoints_id_model_post, id=newest.id, body=wanted)["errors"]
    assert "SemVer" in errors["version"][0], errors

    # stop, get_events
    assert expect(409, runs.v2_runs_id_restart_post, id=run, body=RestartRunRequest())["error"]
    assert "grace_period_seconds" in expect(422, runs.v2_runs_id_stop_post, id=run, grace_period_seconds=0)["errors"]
    runs.v2_runs_id_stop_post(id=run, grace_period_seconds=30)
    wait_for("it ends", lambda: reload().status == "job_terminated")
    events = runs.v2_runs_id_events_get(id=run, limit=1000, sort=["sequence:asc"]).data
    assert [event.sequence for event in events] == list(range(1, len(events) + 1)), events
    assert events[0].status == "run_created" and events[-1].status == "job_terminated", events
    assert all(isinstance(event.details, dict) and event.run_id == run for event in events), events
    assert runs.v2_runs_id_events_get(id=run, limit=1).data == [events[-1]]

    # restart, with nothing and with other resources
    runs.v2_runs_id_restart_post(run, RestartRunRequest())
    wait_for("it runs again", lambda: reload().status == "job_running")
    runs.v2_runs_id_stop_post(id=run)
    wait_for("it ends again", lambda: reload().status == "job_terminated")
    runs.v2_runs_id_restart_post(run, RestartRunRequest(resources=Resources(cpu="200m", memory="1Gi")))
    assert runs.v2_runs_id_get(id=run).data.resources.memory == "1Gi"
    runs.v2_runs_id_stop_post(id=run, grace_period_seconds=30)
    wait_for("it ends at last", lambda: reload().status == "job_terminated")

    # delete
    runs.v2_runs_id_delete(id=run)
    assert runs.v2_runs_get(id=[run]).data == []

    # a token that does not work
    client.set_default_header("Authorization", "Bearer nobody's")
    assert expect(401, runs.v2_runs_get) == {"error": "invalid bearer token"}
    print("all of it works")


main()
