"""Reports to Runyard and resumes from its checkpoints. Every job can import it; outside of a job, reports go nowhere.

In short: `runyard.log_metric("train/loss", 0.5, step)`, `runyard.progress("train", 3, 10, "epochs")`,
`runyard.config()`, `with runyard.save_checkpoint(step) as c:`, `with runyard.load_checkpoint() as c:`,
`runyard.publish_model(path, "digits", tag="v3")`. For programs written against a run context, `open_run_context()` is one.
Workers that process elements or datasets derive from `ElementsWorker` or `DatasetWorker`. `Processor` submits processing jobs in
the words of PAI's.
"""

from .activities import Element
from .context import (
    RunContext,
    config,
    load_checkpoint,
    local_run_context,
    open_run_context,
    save_checkpoint,
)
from .dataset_worker import DatasetWorker, Set
from .elements_worker import ElementsWorker
from .exceptions import (
    CheckpointNotFoundError,
    DatumNotFoundError,
    JobFailedError,
    ModelNotFoundError,
    RunContextInterruptedError,
    ServerError,
)
from .interfaces import (
    JSON,
    Checkpoint,
    CheckpointManager,
    ConfigLoader,
    DatasetFetcher,
    DatasetSnapshot,
    DatumMetadataDict,
    LoadCheckpointData,
    LoadModelData,
    MetricSaver,
    Model,
    ModelConfigDict,
    ModelLoader,
    ProgressSaver,
    SaveCheckpointData,
    SaveMetricDict,
    SaveProgressDict,
    SnapshotDict,
)
from .local import (
    FileConfigLoader,
    LocalFileCheckpointManager,
    LocalFileDatasetFetcher,
    LocalFileModelLoader,
    MemoryConfigLoader,
    MemoryMetricSaver,
    MemoryProgressSaver,
)
from .processor import Channel, Processor
from .records import log_artifact, log_metric, log_metrics, progress, publish_model
from .s3 import download_directory_from_s3, upload_directory_to_s3

__all__ = [
    "JSON",
    "Channel",
    "Checkpoint",
    "CheckpointManager",
    "CheckpointNotFoundError",
    "ConfigLoader",
    "DatasetFetcher",
    "DatasetSnapshot",
    "DatasetWorker",
    "DatumMetadataDict",
    "DatumNotFoundError",
    "Element",
    "ElementsWorker",
    "FileConfigLoader",
    "JobFailedError",
    "LoadCheckpointData",
    "LoadModelData",
    "LocalFileCheckpointManager",
    "LocalFileDatasetFetcher",
    "LocalFileModelLoader",
    "MemoryConfigLoader",
    "MemoryMetricSaver",
    "MemoryProgressSaver",
    "MetricSaver",
    "Model",
    "ModelConfigDict",
    "ModelLoader",
    "ModelNotFoundError",
    "Processor",
    "ProgressSaver",
    "RunContext",
    "RunContextInterruptedError",
    "SaveCheckpointData",
    "SaveMetricDict",
    "SaveProgressDict",
    "ServerError",
    "Set",
    "SnapshotDict",
    "config",
    "download_directory_from_s3",
    "load_checkpoint",
    "local_run_context",
    "log_artifact",
    "log_metric",
    "log_metrics",
    "open_run_context",
    "progress",
    "publish_model",
    "save_checkpoint",
    "upload_directory_to_s3",
]
