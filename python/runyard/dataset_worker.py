"""Workers that process sets of datasets, each brought as files. A set has no activities: nothing is recorded of it."""

from __future__ import annotations

import os
import shutil
import tempfile
import urllib.parse
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from .exceptions import ServerError
from .server import NotFound
from .unpack import unpack
from .worker import NothingToDo, Worker, log


class Set:
    """A set to process: the archive of its dataset, extracted. It goes once the worker is done with the dataset."""

    def __init__(self, dataset: Dict[str, Any], name: str, folder: Path):
        #: The dataset as the server knows it, and the name of the set.
        self.dataset = dataset
        self.name = name
        #: The folder of the archive.
        self.folder = folder
        #: The image files: `<image id><extension>`.
        self.files = folder / "files"
        #: The SQLite database of the elements, in the schema of Arkindex's cache: those of this set are the rows of
        #: `dataset_elements` with its name; ids there are 32 hexadecimal digits.
        self.database = folder / "db.sqlite"

    def __repr__(self) -> str:
        return f"Set({self.dataset['name']!r}, {self.name!r})"


class DatasetWorker(Worker):
    """Processes the sets that the command line names, or those of its worker run; of several processes, each has its share."""

    def process_set(self, set: Set) -> None:
        """Does what is to be done with a set. To be overridden. An exception is logged and counted, and the next set follows."""
        raise NotImplementedError("write process_set")

    def _work(self) -> int:
        self._read()
        self.configure()
        if self.read_only:
            log.warning("read-only: a worker must write nothing")
        ran = failed = 0
        with tempfile.TemporaryDirectory(prefix="runyard-dataset-") as place:
            brought: Optional[Dict[str, Any]] = None
            for dataset, name in self._wanted():
                if self._stop.is_set():
                    return 143
                ran += 1
                try:
                    if brought is None or brought["id"] != dataset:
                        brought = self._bring(dataset, Path(place))
                    self._check(brought, name)
                    self.process_set(Set(brought, name, Path(place) / "content"))
                except NothingToDo:
                    raise
                except Exception as error:
                    failed += 1
                    log.warning("set %s of dataset %s failed: %s", name, dataset, error, exc_info=True)
        log.info("Ran on %d set(s): %d completed, %d failed", ran, ran - failed, failed)
        return 1 if ran and failed == ran else 0

    def _wanted(self) -> List[Tuple[str, str]]:
        """The sets of this process, those of one dataset behind each other."""
        sets = list(self.args.set)
        if not sets and self.worker_run is not None:
            sets = [(one["dataset"], one["set"]) for one in self.worker_run["selection"].get("sets", [])]
        if not sets:
            raise NothingToDo("there is nothing to process: name sets with --set DATASET:SET, or select some in the run")
        own = int(os.environ.get("RUNYARD_WORKER_PROCESS") or 0)
        of = max(1, int(os.environ.get("RUNYARD_WORKER_PROCESSES") or 1))
        return sorted(dict.fromkeys(sets))[own % of :: of]

    def _bring(self, id: str, place: Path) -> Dict[str, Any]:
        # The files of the last one go first: two may not fit on the disk.
        shutil.rmtree(place / "content", ignore_errors=True)
        path = f"/datasets/{urllib.parse.quote(id, safe='')}"
        try:
            dataset = dict(self.server.get(path))
        except NotFound as error:
            raise NothingToDo(str(error)) from None
        if dataset["state"] != "complete":
            raise ServerError(f"dataset {dataset['name']!r} is {dataset['state']}: it can be read once it is complete")
        archive = place / "archive"
        self.server.archive(f"{path}/archive", dataset["archive"], archive)
        unpack(archive, place / "content")
        archive.unlink()
        return dataset

    @staticmethod
    def _check(dataset: Dict[str, Any], name: str) -> None:
        names = [one["name"] for one in dataset["sets"]]
        if name not in names:
            raise ServerError(f"dataset {dataset['name']!r} has no set {name!r}: it has {', '.join(names)}")
