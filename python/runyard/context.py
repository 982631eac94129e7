"""The run context: everything that a training program loads and saves, on a person's machine or as a job."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, Dict, List, Optional, Union

from . import records
from .exceptions import RunContextInterruptedError
from .interfaces import (
    CheckpointManager,
    ConfigLoader,
    DatasetFetcher,
    MetricSaver,
    ModelLoader,
    ProgressSaver,
    SaveMetricDict,
    SaveProgressDict,
)
from .job import JobCheckpointManager, RecordsMetricSaver, RecordsProgressSaver
from .local import (
    FileConfigLoader,
    LocalFileCheckpointManager,
    LocalFileDatasetFetcher,
    LocalFileModelLoader,
    MemoryConfigLoader,
    MemoryMetricSaver,
    MemoryProgressSaver,
)


class RunContext:
    """What a training program loads and saves. `with` it, a stop (SIGTERM, SIGINT) ends the program well.

    The signals raise `RunContextInterruptedError` wherever the program is; leaving the context swallows it.
    """

    def __init__(
        self,
        *,
        run_id: str,
        config_loader: ConfigLoader,
        dataset_fetcher: DatasetFetcher,
        model_loader: ModelLoader,
        progress_saver: ProgressSaver,
        metric_saver: MetricSaver,
        checkpoint_manager: CheckpointManager,
    ):
        def interrupt(_signum: int, _frame: Any) -> None:
            raise RunContextInterruptedError()

        # Python lets only the main thread choose what signals do.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, interrupt)
            signal.signal(signal.SIGTERM, interrupt)
        self.run_id = run_id
        self.config_loader = config_loader
        self.dataset_fetcher = dataset_fetcher
        self.model_loader = model_loader
        self.progress_saver = progress_saver
        self.metric_saver = metric_saver
        self.checkpoint_manager = checkpoint_manager
        self._entered = ExitStack()

    def __enter__(self) -> "RunContext":
        """Enters those of its parts that are context managers, except the dataset fetcher."""
        self._entered.__enter__()
        parts = (
            self.config_loader,
            self.model_loader,
            self.progress_saver,
            self.metric_saver,
            self.checkpoint_manager,
        )
        for part in parts:
            if hasattr(part, "__enter__") and hasattr(part, "__exit__"):
                self._entered.enter_context(part)
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> Optional[bool]:
        swallowed = self._entered.__exit__(kind, error, traceback)
        return True if isinstance(error, RunContextInterruptedError) else swallowed

    def load_config(self) -> Dict[Any, Any]:
        """The run's config."""
        return self.config_loader.load_config()

    def save_metrics(self, metrics: List[SaveMetricDict]) -> None:
        """Saves `[{"global_step": 1, "tag": "train/loss", "value": 0.5}]`. NaN and infinities become None."""
        self.metric_saver.save_metrics(metrics=metrics)

    def save_progress(self, progress: List[SaveProgressDict]) -> None:
        """Saves all operations under way: `[{"operation": .., "value": .., "final_value": .., "units": ..}]`."""
        self.progress_saver.save_progress(progress=progress)

    def save_checkpoint(self, global_step: int) -> AbstractContextManager:
        """`with save_checkpoint(step) as c:` keeps what is written below `c.dir`; after an exception, nothing of it."""
        return self.checkpoint_manager.save_checkpoint(global_step=global_step)

    def load_checkpoint(self, id: Optional[str] = None) -> AbstractContextManager:
        """`with load_checkpoint() as c:` has the run's newest checkpoint in `c.dir`, and what it is in `c.global_step`.

        With an id: that checkpoint. `c.id` and `c.run_id` say which it is. `CheckpointNotFoundError`: there is none.
        """
        return self.checkpoint_manager.load_checkpoint(id=id)

    def load_model(self, id: str) -> AbstractContextManager:
        """`with load_model(id) as m:` has the files of a model in `m.dir`. `ModelNotFoundError` when there is none."""
        return self.model_loader.load_model(id=id)


def local_run_context(
    *,
    run_id: str,
    config: Dict[Any, Any],
    base_dir: Union[str, Path],
    dataset_fetcher: Optional[DatasetFetcher] = None,
) -> RunContext:
    """A run context on this machine: files below `base_dir`, metrics and progress in memory."""
    return RunContext(
        run_id=run_id,
        config_loader=MemoryConfigLoader(config=config),
        dataset_fetcher=dataset_fetcher or LocalFileDatasetFetcher(base_dir=base_dir),
        model_loader=LocalFileModelLoader(base_dir=base_dir),
        progress_saver=MemoryProgressSaver(),
        metric_saver=MemoryMetricSaver(),
        checkpoint_manager=LocalFileCheckpointManager(run_id=run_id, base_dir=base_dir),
    )


def open_run_context(
    *,
    run_id: Optional[str] = None,
    config: Optional[Dict[Any, Any]] = None,
    base_dir: Union[str, Path, None] = None,
    dataset_fetcher: Optional[DatasetFetcher] = None,
) -> RunContext:
    """The run context of this program: that of its job, else `local_run_context`.

    In a job the run's own config is loaded, whatever `config` says; `base_dir` is where datasets and models are found
    (`$RUNYARD_ML/input` when absent).
    """
    if not records.inside_job():
        return local_run_context(
            run_id=run_id or os.environ.get("RUN_ID") or "local",
            config=config if config is not None else {},
            base_dir=base_dir or ".",
            dataset_fetcher=dataset_fetcher,
        )
    own_id = os.environ["RUN_ID"]
    if run_id is not None and run_id != own_id:
        raise ValueError(f"this is a job of the run {own_id}: it cannot report for the run {run_id}")
    base_dir = base_dir or Path(os.environ["RUNYARD_ML"]) / "input"
    return RunContext(
        run_id=own_id,
        config_loader=FileConfigLoader(os.environ["RUNYARD_CONFIG"]),
        dataset_fetcher=dataset_fetcher or LocalFileDatasetFetcher(base_dir=base_dir),
        model_loader=LocalFileModelLoader(base_dir=base_dir),
        progress_saver=RecordsProgressSaver(),
        metric_saver=RecordsMetricSaver(),
        checkpoint_manager=JobCheckpointManager(run_id=own_id),
    )


def config() -> Dict[Any, Any]:
    """The run's config; empty outside of a job."""
    path = os.environ.get("RUNYARD_CONFIG")
    return FileConfigLoader(path).load_config() if path else {}


def _checkpoints() -> CheckpointManager:
    run_id = os.environ.get("RUN_ID") or "local"
    return JobCheckpointManager(run_id) if records.inside_job() else LocalFileCheckpointManager(run_id, ".")


def save_checkpoint(global_step: int) -> AbstractContextManager:
    """`RunContext.save_checkpoint` for programs that need no more than this. Outside of a job: below `./runs/`."""
    return _checkpoints().save_checkpoint(global_step)


def load_checkpoint(id: Optional[str] = None) -> AbstractContextManager:
    """`RunContext.load_checkpoint` for programs that need no more than this. Outside of a job: from below `./runs/`."""
    return _checkpoints().load_checkpoint(id)
