"""What can go wrong for a training program. Each message says what was looked for."""

from __future__ import annotations

from typing import Any, Dict, Optional


class CheckpointNotFoundError(Exception):
    """There is no such checkpoint, or the run has none that is complete."""

    def __init__(self, id: Optional[str] = None):
        super().__init__(f"there is no checkpoint with the id {id}" if id else "the run has no complete checkpoint yet")


class ModelNotFoundError(Exception):
    """There is no such model."""

    def __init__(self, id: str):
        super().__init__(f"there is no model with the id {id}")


class DatumNotFoundError(Exception):
    """There is no datum at an index."""

    def __init__(self, index: int, additional_info: Optional[str] = None):
        more = f": {additional_info}" if additional_info else ""
        super().__init__(f"there is no datum at index {index}{more}")


class RunContextInterruptedError(Exception):
    """The run is being stopped: raised where the program is when SIGTERM or SIGINT arrives."""

    def __init__(self) -> None:
        super().__init__("the run is being stopped")


class ServerError(Exception):
    """The server refused, or was away for longer than a program can wait."""


class JobFailedError(Exception):
    """A job that was waited for failed."""

    def __init__(self, run: Dict[str, Any]):
        exit = run.get("exit") or {}
        reason = exit.get("message") or exit.get("reason") or "`runyard events` says why"
        super().__init__(f"run {run['id']} ({run['name']}) ended as {run['status']}: {reason}")
        self.run = run
