"""Extracts archives of the server (tar.zst) with whatever this machine has for zstd: Python 3.14, `zstandard`, or the program."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator

from .exceptions import ServerError


def unpack(archive: Path, folder: Path) -> None:
    """Extracts into `folder`, which must not be there: whole, or not at all."""
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    with _zstd(archive) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
        for member in tar:
            _extract(tar, member, partial)
    partial.replace(folder)


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    if hasattr(tarfile, "data_filter"):
        tar.extract(member, folder, filter="data")
        return
    # A Python that is older than the filters: nothing that could lead out of the folder.
    parts = Path(member.name).parts
    if member.name.startswith("/") or ".." in parts or not (member.isfile() or member.isdir()):
        raise ServerError(f"the archive has {member.name!r}, which this Python does not extract: use a newer one")
    tar.extract(member, folder)


@contextmanager
def _zstd(archive: Path) -> Iterator[Any]:
    try:
        from compression import zstd  # Python 3.14
    except ImportError:
        zstd = None
    if zstd is not None:
        with zstd.open(archive, "rb") as stream:
            yield stream
        return
    try:
        import zstandard
    except ImportError:
        zstandard = None
    if zstandard is not None:
        with open(archive, "rb") as file:
            with zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as stream:
                yield stream
        return
    program = shutil.which("zstd")
    if program is None:
        raise ServerError(
            "nothing here reads zstd: add the requirement `zstandard`, use Python 3.14, or install the program `zstd`"
        )
    with subprocess.Popen([program, "-dc", "--", str(archive)], stdout=subprocess.PIPE) as process:
        yield process.stdout
        # tar may leave what follows its end.
        while process.stdout is not None and process.stdout.read(1 << 20):
            pass
    if process.returncode != 0:
        raise ServerError(f"{archive.name} cannot be read: zstd ended with {process.returncode}")
