"""A processing job in the words of PAI's `Processor`: a command over a folder of code, with parameters, and channels for what goes in
and comes out. What the server cannot honour is recorded with the run, which warns of it."""

from __future__ import annotations

import re
import sys
import time
import uuid
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Union

from .exceptions import JobFailedError
from .package import Package
from .server import Server

_PAUSE_S = 0.5
_ENDED = ("job_completed", "job_failed", "job_create_failed", "job_terminated")
_FAILED = ("job_failed", "job_create_failed")
# What several instances find in their variables anyway.
_HONOURED = "PyTorchJob"


class Channel(NamedTuple):
    """A channel that is declared."""

    name: str
    description: Optional[str] = None
    required: bool = False


class Processor:
    """Runs processing jobs, one after the other; remembers the latest."""

    def __init__(
        self,
        image: Optional[str],
        command: Union[str, Sequence[str]],
        source_dir: Optional[str] = None,
        job_type: Optional[str] = None,
        parameters: Optional[Mapping[str, Any]] = None,
        environments: Optional[Mapping[str, str]] = None,
        requirements: Optional[Sequence[str]] = None,
        max_run_time: Optional[int] = None,
        base_job_name: Optional[str] = None,
        output_path: Optional[str] = None,
        instance_type: Optional[str] = None,
        spot_spec: Optional[Mapping[str, Any]] = None,
        resource_type: Optional[str] = None,
        instance_count: Optional[int] = None,
        user_vpc_config: Optional[Mapping[str, Any]] = None,
        experiment_config: Optional[Mapping[str, Any]] = None,
        settings: Optional[Mapping[str, Any]] = None,
        labels: Optional[Mapping[str, str]] = None,
        secrets: Optional[Mapping[str, str]] = None,
        executor: Optional[str] = None,
        project: Optional[str] = None,
        server: Optional[Server] = None,
    ):
        """As PAI's. Besides: `secrets` (variable: name of a secret), `executor`, `project`, and the `server`, which is found by
        RUNYARD_URL and RUNYARD_TOKEN, or in the data folder of a server on this machine."""
        self._server = server
        self._image = image
        self._command = _words(command)
        self._source_dir = source_dir
        self._name = base_job_name or "processor"
        self._output_path = output_path
        self._parameters = {name: str(value) for name, value in (parameters or {}).items()}
        self._labels = dict(labels or {})
        self._executor = executor
        self._project = project
        recorded = {
            "spot": spot_spec,
            "resource_type": resource_type,
            "vpc": user_vpc_config,
            "experiment": experiment_config,
            "settings": settings,
            "job_type": None if job_type == _HONOURED else job_type,
        }
        spec = {
            "image": image,
            "env": dict(environments or {}),
            "secrets": dict(secrets or {}),
            "requirements": list(requirements or []),
            "max_run_time_s": max_run_time,
            "instances": instance_count,
            "instance_type": instance_type,
            "recorded": {word: value for word, value in recorded.items() if value},
        }
        self._spec = {field: value for field, value in spec.items() if value is not None}
        self._input_channels: List[Channel] = []
        self._output_channels: List[Channel] = []
        self.latest_run: Optional[Dict[str, Any]] = None

    def set_input_channels(self, channels: Sequence[Channel]) -> None:
        """Declares inputs: one that is required must be given to `run`."""
        self._input_channels = list(channels)

    def set_output_channels(self, channels: Sequence[Channel]) -> None:
        """Declares outputs: each is made in every run."""
        self._output_channels = list(channels)

    def run(
        self,
        inputs: Optional[Mapping[str, str]] = None,
        outputs: Optional[Mapping[str, Optional[str]]] = None,
        wait: bool = True,
        show_logs: bool = True,
    ) -> Dict[str, Any]:
        """Submits a job; answers its run. Inputs are addresses or local paths, outputs addresses or `None` for what Runyard keeps.

        With `wait` it returns when the job has ended. `ValueError`: something is wrong, and nothing was sent. `Refused`: the
        server says what is wrong. `JobFailedError`: it failed; a job that was stopped is no error.
        """
        inputs, outputs = dict(inputs or {}), dict(outputs or {})
        self._check(inputs, outputs)
        server = self._server = self._server or Server.of_user()
        spec: Dict[str, Any] = dict(self._spec, command=self._command)
        if self._source_dir is not None:
            with Package(Path(self._source_dir), whole=False) as package:
                server.upload_source(package)
                spec["source"] = package.digest
        spec["inputs"] = {name: self._address(server, given) for name, given in inputs.items()}
        spec["outputs"] = self._destinations(outputs)
        new = {"name": self._name, "kind": "processing", "spec": spec, "labels": self._labels}
        more = {"config": self._parameters, "executor": self._executor, "project_id": self._project}
        new.update({field: value for field, value in more.items() if value})
        # The key makes one run of it, however often it is sent.
        self.latest_run = run = server.create("/runs", new, uuid.uuid4().hex)
        if not wait:
            return run
        self.latest_run = run = _wait(server, run["id"], show_logs)
        if run["status"] in _FAILED:
            raise JobFailedError(run)
        return run

    def get_outputs_data(self) -> Dict[str, str]:
        """Where the outputs of the latest job are: `run://RUN/output/CHANNEL` for what Runyard keeps."""
        if self.latest_run is None:
            return {}
        run_id, outputs = self.latest_run["id"], self.latest_run["spec"].get("outputs", {})
        return {name: uri or f"run://{run_id}/output/{name}" for name, uri in outputs.items()}

    def _check(self, inputs: Mapping[str, str], outputs: Mapping[str, Optional[str]]) -> None:
        wrong = []
        if not self._command and not self._image:
            wrong.append("command: is needed: say what is executed")
        for channel in self._input_channels:
            if channel.required and channel.name not in inputs:
                wrong.append(f"inputs.{channel.name}: is required, and was not given")
        for name, given in inputs.items():
            if "://" not in given and not Path(given).exists():
                wrong.append(f"inputs.{name}: {given!r} is neither an address nor a path here")
        for name, given in outputs.items():
            if given is not None and "://" not in given:
                wrong.append(f"outputs.{name}: {given!r} is no address: an output goes to s3:// or oss://, or is kept (None)")
        if wrong:
            raise ValueError("; ".join(wrong))

    def _destinations(self, given: Mapping[str, Optional[str]]) -> Dict[str, Optional[str]]:
        names = list(given) + [channel.name for channel in self._output_channels if channel.name not in given]
        folder = None
        if self._output_path:
            plain = re.sub("[^A-Za-z0-9_]", "_", self._name)
            folder = f"{self._output_path.rstrip('/')}/{plain}_{uuid.uuid4().hex}"
        return {name: given.get(name) or (f"{folder}/{name}/" if folder else None) for name in names}

    @staticmethod
    def _address(server: Server, given: str) -> str:
        if "://" in given:
            return given
        with Package(Path(given), whole=True) as package:
            server.upload_source(package)
            return package.uri


def _words(command: Union[str, Sequence[str]]) -> List[str]:
    """A line is the shell's; words are seen by no shell."""
    if isinstance(command, str):
        return ["sh", "-c", command] if command.strip() else []
    return list(command)


def _wait(server: Server, run_id: str, show_logs: bool) -> Dict[str, Any]:
    """Waits for the end; shows what the program prints meanwhile, each byte once."""
    job, offset = None, 0
    while True:
        run = server.get(f"/runs/{run_id}")
        while show_logs:
            part = server.output(run_id, offset)
            if part.job != job:
                # A restart is another job, with an output of its own.
                job, offset = part.job, 0
                part = server.output(run_id, offset)
            if not part.text:
                break
            sys.stdout.write(part.text.decode(errors="replace"))
            sys.stdout.flush()
            offset = part.next_offset
        if run["status"] in _ENDED:
            return run
        time.sleep(_PAUSE_S)
