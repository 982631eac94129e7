"""The records file: a JSON object per line, appended whole. Reporting never waits for the network."""

from __future__ import annotations

import json
import os
import threading
import time
from typing import Any, Dict, List, Optional, Union

from . import values

# The server takes lines of up to 1 MiB; a batch is cut well below that.
_BATCH = 500

_lock = threading.Lock()
_operations: Dict[str, Dict[str, Any]] = {}


def inside_job() -> bool:
    """Whether this program runs as a job of Runyard."""
    return bool(os.environ.get("RUNYARD_RECORDS"))


def append(record: Dict[str, Any]) -> None:
    """Appends one record with one write, so that several processes may report at once. Outside of a job, nothing."""
    path = os.environ.get("RUNYARD_RECORDS")
    if not path:
        return
    line = (json.dumps(record, allow_nan=False, separators=(",", ":")) + "\n").encode()
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
    try:
        while line:
            # A full disk cuts a write: the rest must follow, or the next record would begin inside this line.
            line = line[os.write(file, line) :]
    finally:
        os.close(file)


def now() -> int:
    """The time as reports have it, in epoch milliseconds: they may arrive later."""
    return time.time_ns() // 1_000_000


def append_metrics(points: List[Dict[str, Any]]) -> None:
    """Appends points in as few lines as they fit into."""
    for at in range(0, len(points), _BATCH):
        append({"metrics": points[at : at + _BATCH]})


def log_metric(tag: str, value: Any, step: int) -> None:
    """Reports one value of a metric. NaN and the infinities arrive as what they are."""
    value = values.exact(values.number(tag, value))
    append({"metric": {"tag": tag, "global_step": values.step(step), "value": value}})


def log_metrics(metrics: Dict[str, Any], step: int) -> None:
    """Reports several values at one step."""
    at = values.step(step)
    append_metrics(
        [{"tag": tag, "global_step": at, "value": values.exact(values.number(tag, v))} for tag, v in metrics.items()]
    )


def progress(operation: str, value: float, final_value: float, units: str = "") -> None:
    """Reports how far an operation is; other operations stay as they were reported."""
    with _lock:
        _operations[operation] = {
            "operation": operation,
            "value": values.without_non_finite(value) or 0,
            "final_value": values.without_non_finite(final_value) or 0,
            "units": units,
            "created_at": now(),
        }
        append({"progress": list(_operations.values())})


def log_artifact(path: "os.PathLike[str] | str", name: "str | None" = None, type: "str | None" = None) -> None:
    """Keeps a file or folder below $RUNYARD_ML with the run. It is uploaded while you go on: do not change it."""
    record: Dict[str, Any] = {"path": os.path.abspath(os.fspath(path))}
    if name is not None:
        record["name"] = name
    if type is not None:
        record["type"] = type
    append({"artifact": record})


def publish_model(
    path: "Union[os.PathLike[str], str]",
    name: str,
    *,
    tag: Optional[str] = None,
    description: Optional[str] = None,
    config: Optional[Dict[str, Any]] = None,
    parent: Optional[str] = None,
    move_tag: bool = False,
) -> None:
    """Publishes a file or folder below $RUNYARD_ML as a version of the model `name`. Do not change it any more.

    It is uploaded while you go on; the output of the run says what came of it. `parent` is the version that it was made
    from, by its id or tag; `move_tag` takes the tag from the version that has it. Outside of a job, nothing happens.
    """
    record: Dict[str, Any] = {"path": os.path.abspath(os.fspath(path)), "name": name}
    given = {"tag": tag, "description": description, "config": config, "parent": parent}
    record.update((key, value) for key, value in given.items() if value is not None)
    if move_tag:
        record["move_tag"] = True
    append({"model": record})
