"""Implementations for a job: what is saved goes into the records file, what is loaded comes from the server."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

from . import records, values
from .exceptions import CheckpointNotFoundError
from .interfaces import (
    CheckpointManager,
    LoadCheckpointData,
    MetricSaver,
    ProgressSaver,
    SaveCheckpointData,
    SaveMetricDict,
    SaveProgressDict,
)
from .server import NotFound, Server


class RecordsMetricSaver(MetricSaver):
    """Metrics are records."""

    def save_metrics(self, metrics: List[SaveMetricDict]) -> None:
        records.append_metrics(
            [
                {
                    "global_step": values.step(m["global_step"]),
                    "tag": m["tag"],
                    "value": values.without_non_finite(values.number(m["tag"], m["value"])),
                }
                for m in metrics
            ]
        )


class RecordsProgressSaver(ProgressSaver):
    """Progress is a record."""

    def save_progress(self, progress: List[SaveProgressDict]) -> None:
        at = records.now()
        records.append(
            {
                "progress": [
                    {
                        "operation": p["operation"],
                        "value": values.without_non_finite(p["value"]) or 0,
                        "final_value": values.without_non_finite(p["final_value"]) or 0,
                        "units": p["units"],
                        "created_at": at,
                    }
                    for p in progress
                ]
            }
        )


class JobCheckpointManager(CheckpointManager):
    """Checkpoints are written below `output/checkpoints` and uploaded by the runner while the program goes on."""

    def __init__(self, run_id: str, ml: Optional[Path] = None, server: Optional[Server] = None):
        self.run_id = run_id
        self._ml = ml or Path(os.environ["RUNYARD_ML"])
        self._server = server

    @contextmanager
    def save_checkpoint(self, global_step: int) -> Iterator[SaveCheckpointData]:
        global_step = values.step(global_step)
        saved = self._ml / "output" / "checkpoints"
        # The time orders checkpoints of the same step; under a hidden name until it is whole.
        name = f"{global_step}-{time.time_ns()}-{os.getpid()}"
        partial = saved / f".{name}"
        partial.mkdir(parents=True)
        try:
            yield SaveCheckpointData(dir=partial)
            partial.rename(saved / name)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        records.append({"checkpoint": {"global_step": global_step, "path": f"output/checkpoints/{name}"}})

    @contextmanager
    def load_checkpoint(self, id: Optional[str] = None) -> Iterator[LoadCheckpointData]:
        # What this job has saved is the newest of the run, uploaded or not.
        own = [found for found in self._own() if id in (None, found[2].name)]
        if own:
            step, _, folder = max(own, key=lambda found: (found[1], found[0]))
            yield LoadCheckpointData(dir=folder, id=folder.name, global_step=step, run_id=self.run_id)
            return
        found = self._newest() if id is None else self._named(id)
        folder = self._ml / "input" / "checkpoints" / found["id"]
        self._bring(found["id"], folder)
        yield LoadCheckpointData(
            dir=folder, id=found["id"], global_step=found["global_step"], run_id=found["run_id"]
        )

    def _own(self) -> Iterator[Tuple[int, int, Path]]:
        """Step, time and folder of what this job has saved."""
        for folder in (self._ml / "output" / "checkpoints").glob("*-*-*"):
            step, time_ns, _ = folder.name.rsplit("-", 2)
            if folder.is_dir() and time_ns.isdigit() and step.lstrip("-").isdigit():
                yield int(step), int(time_ns), folder

    def _ask(self) -> Server:
        self._server = self._server or Server.of_job()
        return self._server

    def _newest(self) -> Dict[str, Any]:
        query = {"run_id": self.run_id, "status": "complete", "sort": "created_at:desc", "limit": 1}
        found = self._ask().get("/checkpoints", **query)
        if not found:
            raise CheckpointNotFoundError()
        return found[0]

    def _named(self, id: str) -> Dict[str, Any]:
        if not id or not all(char.isalnum() or char == "-" for char in id):
            raise CheckpointNotFoundError(id)
        try:
            found = self._ask().get(f"/checkpoints/{id}")
        except NotFound:
            raise CheckpointNotFoundError(id) from None
        if found["status"] != "complete":
            raise CheckpointNotFoundError(id)
        return found

    def _bring(self, id: str, folder: Path) -> None:
        def files() -> Dict[str, Dict[str, Any]]:
            found: Dict[str, Dict[str, Any]] = {}
            after: Dict[str, Any] = {}
            while True:
                page = self._ask().get(f"/checkpoints/{id}/files", limit=1000, **after)
                if not page:
                    return found
                found.update((file["path"], file) for file in page)
                after = {"path_after": page[-1]["path"]}

        folder.mkdir(parents=True, exist_ok=True)
        try:
            self._ask().download(files, folder)
        except NotFound:
            raise CheckpointNotFoundError(id) from None
