"""Implementations for a person's own machine: everything in a folder or in memory, and no server anywhere."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple, Union
from uuid import uuid4

from .exceptions import CheckpointNotFoundError, DatumNotFoundError, ModelNotFoundError
from .interfaces import (
    CheckpointManager,
    ConfigLoader,
    DatasetFetcher,
    LoadCheckpointData,
    LoadModelData,
    MetricSaver,
    ModelLoader,
    ProgressSaver,
    SaveCheckpointData,
    SaveMetricDict,
    SaveProgressDict,
    SnapshotDict,
)
from .values import without_non_finite


class FileConfigLoader(ConfigLoader):
    """The config is a JSON file."""

    def __init__(self, config_path: Union[str, Path]):
        self.config_path = config_path

    def load_config(self) -> Dict[Any, Any]:
        with open(self.config_path, encoding="utf-8") as file:
            return json.load(file)


class MemoryConfigLoader(ConfigLoader):
    """The config is given."""

    def __init__(self, config: Dict[Any, Any]):
        self.config = config

    def load_config(self) -> Dict[Any, Any]:
        return self.config


class MemoryMetricSaver(MetricSaver):
    """Keeps metrics in `metrics`."""

    def __init__(self) -> None:
        self.metrics: List[SaveMetricDict] = []

    def save_metrics(self, metrics: List[SaveMetricDict]) -> None:
        self.metrics.extend(
            {"global_step": m["global_step"], "tag": m["tag"], "value": without_non_finite(m["value"])} for m in metrics
        )


class MemoryProgressSaver(ProgressSaver):
    """Keeps progress in `current_progress`."""

    def __init__(self) -> None:
        self.current_progress: List[SaveProgressDict] = []

    def save_progress(self, progress: List[SaveProgressDict]) -> None:
        self.current_progress = progress


def _is_name(text: str) -> bool:
    """Whether an id can be looked for below a folder."""
    return text not in ("", ".", "..") and "/" not in text and "\0" not in text


class LocalFileCheckpointManager(CheckpointManager):
    """Keeps checkpoints in `{base_dir}/runs/{run_id}/checkpoints/{step}-{run_id}__{uuid4}/`."""

    def __init__(self, run_id: str, base_dir: Union[str, Path]):
        self.run_id = run_id
        self.base_dir = Path(base_dir)

    @contextmanager
    def save_checkpoint(self, global_step: int) -> Iterator[SaveCheckpointData]:
        folder = self._folder(self.run_id) / f"{global_step}-{self.run_id}__{uuid4()}"
        # Under another name until it is whole: what is killed here is never loaded.
        partial = folder.with_name(f".{folder.name}")
        partial.mkdir(parents=True)
        try:
            yield SaveCheckpointData(dir=partial)
            partial.rename(folder)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise

    @contextmanager
    def load_checkpoint(self, id: Optional[str] = None) -> Iterator[LoadCheckpointData]:
        if id is None:
            found = [path for path in self._folder(self.run_id).glob("*") if self._parse(path)]
            found.sort(key=lambda path: (path.stat().st_mtime, self._parse(path)))
        else:
            runs = self.base_dir / "runs"
            found = [path for path in runs.glob("*/checkpoints/*") if path.name == id and self._parse(path)]
        if not found:
            raise CheckpointNotFoundError(id)
        path = found[-1]
        step, run_id = self._parse(path)
        yield LoadCheckpointData(dir=path, id=path.name, global_step=step, run_id=run_id)

    def _folder(self, run_id: str) -> Path:
        return self.base_dir / "runs" / run_id / "checkpoints"

    @staticmethod
    def _parse(path: Path) -> Optional[Tuple[int, str]]:
        """Step and run, when a folder is a checkpoint. A step may be negative: its minus is no separator."""
        base, found, _ = path.name.rpartition("__")
        at = base.find("-", 1)
        if not found or at < 0:
            return None
        try:
            return int(base[:at]), base[at + 1 :]
        except ValueError:
            return None


class LocalFileModelLoader(ModelLoader):
    """Finds models in `{base_dir}/models/{model_id}/`."""

    def __init__(self, base_dir: Union[str, Path]):
        self.base_dir = Path(base_dir)

    @contextmanager
    def load_model(self, id: str) -> Iterator[LoadModelData]:
        path = self.base_dir / "models" / id
        if not _is_name(id) or not path.exists():
            raise ModelNotFoundError(id)
        yield LoadModelData(dir=path, id=id)


class LocalFileDatasetFetcher(DatasetFetcher):
    """Reads `{base_dir}/datasets/{snapshot_id}/{split}/{datum_id}`, with a `{datum_id}.json` beside each datum."""

    def __init__(self, *, base_dir: Union[str, Path] = "."):
        self.file_root = Path(base_dir).absolute() / "datasets"
        self.snapshot_id = ""
        self.split: Optional[str] = None
        self._ids: List[str] = []

    def prepare_snapshot_split(self, snapshot_id: str, split: Optional[str]) -> None:
        self.snapshot_id = snapshot_id
        self.split = split
        # Sorted, so that an index means the same datum on every machine.
        self._ids = sorted(path.name[: -len(".json")] for path in self._folder().glob("*.json") if path.is_file())

    def get_datum_at_index(self, index: int) -> Tuple[bytes, Any]:
        if not 0 <= index < self.num_datums:
            raise ValueError(f"index {index} is not below the number of datums, {self.num_datums}")
        path = self._folder() / self._ids[index]
        try:
            return path.read_bytes(), self._description(self._ids[index])
        except FileNotFoundError as error:
            raise DatumNotFoundError(index, str(error)) from error

    @property
    def snapshot(self) -> SnapshotDict:
        return {"snapshot_id": self.snapshot_id, "split": self.split}

    def get_class_labels(self) -> List[str]:
        labels = set()
        for id in self._ids:
            for annotation in self._description(id).get("annotations") or []:
                if annotation.get("class_label") is not None:
                    labels.add(annotation["class_label"])
        return sorted(labels)

    @property
    def num_datums(self) -> int:
        return len(self._ids)

    @property
    def task_type(self) -> str:
        return ""

    def _folder(self) -> Path:
        return self.file_root / self.snapshot_id / str(self.split)

    def _description(self, id: str) -> Dict[str, Any]:
        return json.loads((self._folder() / f"{id}.json").read_text(encoding="utf-8"))
