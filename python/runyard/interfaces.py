"""What a run context is made of: an interface per thing that a program loads or saves, and the shapes they pass."""

from __future__ import annotations

import abc
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple, TypedDict, Union

JSON = Union[Dict[str, Any], List[Any], str, int, float, bool, None]


class SaveMetricDict(TypedDict):
    """One value of a metric."""

    global_step: int
    tag: str
    value: JSON


class SaveProgressDict(TypedDict):
    """A named operation under way."""

    operation: str
    value: float
    final_value: float
    units: str


class _SnapshotRequired(TypedDict):
    snapshot_id: str


class SnapshotDict(_SnapshotRequired, total=False):
    """A dataset snapshot, and one of its splits."""

    split: Optional[str]


class _DatumRequired(TypedDict):
    id: str


class DatumMetadataDict(_DatumRequired, total=False):
    """What is known of a datum besides its bytes; more keys may follow."""

    created_at: str
    metadata: Dict[str, Any]


class _ModelConfigRequired(TypedDict):
    artifact_type: str
    copy_key_suffixes: List[str]


class ModelConfigDict(_ModelConfigRequired, total=False):
    """The catalog file of a checkpoint: how it becomes a model."""

    class_labels: Dict[str, int]


@dataclass
class DatasetSnapshot:
    """A config value that names a dataset snapshot."""

    snapshot_id: str
    split: Optional[str] = None


@dataclass
class Model:
    """A config value that names a model."""

    model_id: str


@dataclass
class Checkpoint:
    """A config value that names a checkpoint."""

    checkpoint_id: str


@dataclass
class SaveCheckpointData:
    """Where to write the files of a new checkpoint."""

    dir: Path


@dataclass
class LoadCheckpointData:
    """The files of a checkpoint, and what it is."""

    dir: Path
    id: str
    global_step: int
    run_id: str


@dataclass
class LoadModelData:
    """The files of a model."""

    dir: Path
    id: str


class ConfigLoader(abc.ABC):
    """Loads the config of the run."""

    @abc.abstractmethod
    def load_config(self) -> Dict[Any, Any]:
        """The config."""


class MetricSaver(abc.ABC):
    """Saves metrics."""

    @abc.abstractmethod
    def save_metrics(self, metrics: List[SaveMetricDict]) -> None:
        """Saves several values."""


class ProgressSaver(abc.ABC):
    """Saves progress."""

    @abc.abstractmethod
    def save_progress(self, progress: List[SaveProgressDict]) -> None:
        """Saves all operations under way, in place of what was saved before."""


class CheckpointManager(abc.ABC):
    """Saves and loads checkpoints."""

    @abc.abstractmethod
    def save_checkpoint(self, global_step: int) -> AbstractContextManager:
        """`with save_checkpoint(step) as c:` keeps what is written below `c.dir`; after an exception, nothing of it."""

    @abc.abstractmethod
    def load_checkpoint(self, id: Optional[str] = None) -> AbstractContextManager:
        """`with load_checkpoint() as c:` has the run's newest checkpoint, or the one with this id, in `c.dir`."""


class ModelLoader(abc.ABC):
    """Loads models."""

    @abc.abstractmethod
    def load_model(self, id: str) -> AbstractContextManager:
        """`with load_model(id) as m:` has the files of the model in `m.dir`."""


class DatasetFetcher(abc.ABC):
    """Reads one split of a dataset snapshot at a time."""

    @abc.abstractmethod
    def prepare_snapshot_split(self, snapshot_id: str, split: Optional[str]) -> None:
        """From here on, this snapshot and split are read."""

    @abc.abstractmethod
    def get_datum_at_index(self, index: int) -> Tuple[bytes, Any]:
        """The bytes of a datum and what is known of it. `ValueError` when there are not so many."""

    @property
    @abc.abstractmethod
    def snapshot(self) -> SnapshotDict:
        """What is read."""

    @abc.abstractmethod
    def get_class_labels(self) -> List[str]:
        """The labels of the split, sorted."""

    @property
    @abc.abstractmethod
    def num_datums(self) -> int:
        """How many there are."""

    @property
    @abc.abstractmethod
    def task_type(self) -> str:
        """What the annotations are for; empty when it is not known."""
