"""What every worker is: its command line, its configuration, its signals and exit codes. What it works on is elsewhere."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import tempfile
import threading
import urllib.parse
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from .exceptions import ServerError
from .server import NotFound, Server
from .unpack import unpack

log = logging.getLogger("runyard")

# How long a server that is away is waited for once the worker is asked to stop.
_STOP_PATIENCE_S = 30.0


class NothingToDo(Exception):
    """There is nothing to process, or it cannot be processed: the program ends with 1."""


class Worker:
    """What `ElementsWorker` and `DatasetWorker` have in common."""

    def __init__(self) -> None:
        #: The arguments of the command line; those that `add_arguments` has added too.
        self.args = argparse.Namespace()
        #: What the worker brings, covered by the model version's, by the defaults of what people may choose (where the model
        #: says nothing), and by what was chosen for the run. With `--config`: what is in that file.
        self.config: Dict[str, Any] = {}
        #: The worker run; None outside of a job.
        self.worker_run: Optional[Dict[str, Any]] = None
        #: The model version to work with: of the worker run, of $RUNYARD_MODEL_VERSION, or of `model_version` in the config.
        self.model_version: Optional[Dict[str, Any]] = None
        #: Whether nothing may be written.
        self.read_only = True
        self._server: Optional[Server] = None
        self._stop = threading.Event()

    @property
    def server(self) -> Server:
        """The server, with the token of the job."""
        if self._server is None:
            if not os.environ.get("RUNYARD_URL") or not os.environ.get("RUNYARD_TOKEN"):
                raise ServerError("no server is known: set RUNYARD_URL and RUNYARD_TOKEN, or run this as a job")
            self._server = Server.of_job()
        return self._server

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Adds arguments of one's own to the command line. To be overridden."""

    def configure(self) -> None:
        """Called once, before anything is processed: loads models, reads `self.config`. To be overridden."""

    def pull_model(self, folder: "os.PathLike[str] | str | None" = None) -> Path:
        """Brings the files of the model version into a new folder, and answers it. Without a name it is a temporary one."""
        if self.model_version is None:
            raise ServerError("no model version is named: set RUNYARD_MODEL_VERSION, or `model_version` in the config")
        version = self.model_version
        target = Path(folder) if folder is not None else Path(tempfile.mkdtemp(prefix="runyard-model-")) / "model"
        if target.exists():
            raise ServerError(f"{target} is there already: name a folder that is not")
        known = {"size": version["archive_size"], "sha256": version["archive_sha256"]}
        with tempfile.TemporaryDirectory(prefix="runyard-") as place:
            archive = Path(place) / "model.tar.zst"
            self.server.archive(f"/model_versions/{version['id']}/archive", known, archive)
            unpack(archive, target)
        return target

    def run(self, argv: Optional[Sequence[str]] = None) -> None:
        """The whole program: reads the command line, works, and ends as Arkindex's workers do.

        It returns after a success, and exits with 1 when everything failed or there was nothing to do, with 2 when the
        command line was wrong, and with 143 when it was stopped before all was done.
        """
        self.args = self._parser().parse_args(argv)
        if not logging.getLogger().handlers:
            form = "%(asctime)s %(levelname)s/%(name)s: %(message)s"
            logging.basicConfig(stream=sys.stderr, level=logging.INFO, format=form)
        self._listen()
        try:
            code = self._work()
        except (NothingToDo, ServerError, NotFound) as error:
            log.error("%s", error)
            code = 1
        if code:
            sys.exit(code)

    def _work(self) -> int:
        raise NotImplementedError

    def _parser(self) -> argparse.ArgumentParser:
        about = "Without elements or sets, a job works through its worker run. Outside of a job everything is read-only."
        parser = argparse.ArgumentParser(epilog=about)
        parser.add_argument("--dev", action="store_true", help="read-only: fetch and process, write nothing")
        parser.add_argument("--config", metavar="FILE", help="read-only: the configuration, as a JSON object")
        sets = "of these sets of datasets; DATASET is an id"
        parser.add_argument("--set", nargs="+", action="extend", type=_set, metavar="DATASET:SET", default=[], help=sets)
        self.add_arguments(parser)
        return parser

    def _listen(self) -> None:
        def stop(number: int, _frame: Any) -> None:
            log.info("stopping: what is under work is finished, the rest is given back")
            self._stop.set()
            if self._server is not None:
                self._server.hurry(_STOP_PATIENCE_S)
            # The second one ends the program at once.
            signal.signal(number, signal.SIG_DFL)

        # Python lets only the main thread choose what signals do.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, stop)
            signal.signal(signal.SIGINT, stop)

    def _read(self) -> None:
        """Asks the server for all that a worker knows besides its elements."""
        worker_run = os.environ.get("RUNYARD_WORKER_RUN_ID")
        read_only = os.environ.get("RUNYARD_READ_ONLY", "")
        self.read_only = bool(self.args.dev or not worker_run or read_only not in ("", "0"))
        if worker_run:
            self.worker_run = self.server.get(f"/worker_runs/{urllib.parse.quote(worker_run, safe='')}")
        named = self._named_model()
        if named:
            self.model_version = find_model_version(self.server, named)
        if self.args.config is None:
            self.config = self._merged()
        elif self.read_only:
            self.config = _object(self.args.config)
        else:
            raise NothingToDo("--config goes with --dev: a worker run has a configuration of its own")

    def _named_model(self) -> Optional[str]:
        run = self.worker_run or {}
        chosen = run.get("configuration", {}).get("model_version")
        named = run.get("model_version_id") or os.environ.get("RUNYARD_MODEL_VERSION") or chosen
        return named if isinstance(named, str) else None

    def _merged(self) -> Dict[str, Any]:
        model = (self.model_version or {}).get("config") or {}
        run = self.worker_run or {}
        return merge(
            run.get("worker_configuration") or {},
            model,
            run.get("user_configuration") or {},
            run.get("configuration") or {},
        )


def merge(worker: Dict[str, Any], model: Dict[str, Any], user: Dict[str, Any], run: Dict[str, Any]) -> Dict[str, Any]:
    """The configuration that a worker sees, in the order of Arkindex's contract."""
    defaults = {key: field["default"] for key, field in user.items() if key not in model and "default" in field}
    return {**worker, **model, **defaults, **run}


def find_model_version(server: Server, text: str) -> Dict[str, Any]:
    """The version that is meant by an id, `NAME` (its newest one) or `NAME@TAG`."""
    name, _, tag = text.partition("@")
    wanted = {"model": name, "state": "available", "limit": 1, **({"tag": tag} if tag else {})}
    found: List[Dict[str, Any]] = server.get("/model_versions", **wanted)
    if found:
        return found[0]
    try:
        return dict(server.get(f"/model_versions/{urllib.parse.quote(text, safe='')}"))
    except (NotFound, ServerError):
        raise NothingToDo(f"there is no available version {text!r} of a model") from None


def _set(text: str) -> "tuple[str, str]":
    parts = text.split(":")
    if len(parts) != 2 or not all(parts):
        raise argparse.ArgumentTypeError(f"{text!r} is not DATASET:SET, the id of a dataset and the name of a set")
    return parts[0], parts[1]


def _object(path: str) -> Dict[str, Any]:
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise NothingToDo(f"{path}: {error}") from None
    if not isinstance(value, dict):
        raise NothingToDo(f"{path} is no JSON object")
    return value
