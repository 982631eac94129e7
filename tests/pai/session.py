"""A session of PAI's SDK that speaks to the server under test, and what several cases need."""

import contextlib
import inspect
import io
import json
import os
import tempfile
import urllib.request
from pathlib import Path

from pai.session import setup_default_session

URL = os.environ["RUNYARD_TEST_URL"]
#: The image that jobs name; local jobs do not use it.
IMAGE = os.environ["PAI_TEST_IMAGE"]
BUCKET = "scripts"


def session(bucket=BUCKET, **more):
    """As a user's script begins, with the one keyword that leads here."""
    return setup_default_session(
        access_key_id=os.environ["RUNYARD_TEST_KEY"],
        access_key_secret=os.environ["RUNYARD_TEST_SECRET"],
        region_id="cn-hangzhou",
        oss_bucket_name=bucket,
        oss_endpoint=URL,
        workspace_id="1234",
        network="PUBLIC",
        header={"host": URL},
        **more,
    )


def folder(files):
    """A folder with these files."""
    root = Path(tempfile.mkdtemp())
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(root)


def printed(call, *args, **options):
    """What a call answers, and what it prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        answer = call(*args, **options)
    return answer, out.getvalue()


def place(uri):
    """Bucket and key of an address."""
    bucket, _, key = uri.removeprefix("oss://").partition("/")
    return bucket.split(".")[0], key


def read(sess, uri):
    """The bytes of an object."""
    bucket, key = place(uri)
    return sess.get_oss_bucket(bucket).get_object(key).read()


def keys(sess, uri):
    """What is below a prefix, without the prefix."""
    import oss2

    bucket, key = place(uri)
    found = oss2.ObjectIteratorV2(sess.get_oss_bucket(bucket), prefix=key)
    return sorted(one.key.removeprefix(key) for one in found)


def raw(sess, operation, *ids, request=None):
    """An operation that the SDK itself never calls, by its generated client; ids are those of its path, in order."""
    api = sess.training_job_api
    names = list(inspect.signature(getattr(api.acs_client, f"{operation}_with_options")).parameters)
    asked = dict(zip(names, ids))
    if request is not None:
        asked[next(name for name in names if name in ("request", "tmp_req"))] = request
    return api._do_request(f"{operation}_with_options", **asked).to_map()


def ours(method, path, body=None):
    """Our own API, for what PAI's cannot say."""
    request = urllib.request.Request(
        f"{URL}/api/v2{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {os.environ['RUNYARD_TEST_TOKEN']}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["data"]


def run_id(job_id):
    """Our id of a training job."""
    text = job_id.removeprefix("train")
    return "-".join([text[:8], text[8:12], text[12:16], text[16:20], text[20:]])


def refusal(call, *args, **options):
    """The error that the SDK raises."""
    from Tea.exceptions import TeaException

    try:
        call(*args, **options)
    except TeaException as error:
        return error
    raise AssertionError("it was not refused")
