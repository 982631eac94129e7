"""Packs code or data for the server: a tar in a zstd frame that is not compressed, so that any Python can write it. The same files
give the same bytes. Nothing is changed on the disk."""

from __future__ import annotations

import fnmatch
import hashlib
import os
import tarfile
import tempfile
from pathlib import Path
from typing import IO, List, Tuple

IGNORE_FILE = ".runyardignore"
# What is never part of a program.
_IGNORED = (".git", "__pycache__", ".venv", "*.pyc")
_MAGIC = b"\x28\xb5\x2f\xfd"
# A frame of unknown length, with a window of one block.
_HEADER = b"\x00\x38"
_BLOCK = 1 << 17


class Package:
    """Something packed, in a temporary file. To be used in a `with`."""

    def __init__(self, path: Path, whole: bool):
        """`whole`: data, of which nothing may be missing; else code."""
        self.only = None
        if path.is_dir():
            base, names = path, _files(path, whole)
        elif whole:
            path = path.resolve(strict=True)
            self.only, base, names = path.name, path.parent, [path.name]
        else:
            raise ValueError(f"{str(path)!r} is no folder: name the folder that holds the program")
        self._file: IO[bytes] = tempfile.TemporaryFile()
        try:
            frame = _Frame(self._file)
            with tarfile.open(fileobj=frame, mode="w|", format=tarfile.PAX_FORMAT) as tar:
                for name in names:
                    _add(tar, base, name)
            self.digest = frame.finish()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> "Package":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def rewound(self) -> Tuple[IO[bytes], int]:
        """The file from its beginning, and its length."""
        length = self._file.seek(0, os.SEEK_END)
        self._file.seek(0)
        return self._file, length

    @property
    def uri(self) -> str:
        """The address of it as an input."""
        return f"upload://{self.digest}" + (f"/{self.only}" if self.only else "")


class _Frame:
    """Writes raw blocks of zstd, and knows the digest of all bytes."""

    def __init__(self, file: IO[bytes]):
        self._file = file
        self._digest = hashlib.sha256()
        self._rest = b""
        self._write(_MAGIC + _HEADER)

    def write(self, data: bytes) -> int:
        self._rest += data
        while len(self._rest) > _BLOCK:
            self._block(self._rest[:_BLOCK], last=False)
            self._rest = self._rest[_BLOCK:]
        return len(data)

    def finish(self) -> str:
        """Ends the frame; the digest in hex."""
        self._block(self._rest, last=True)
        self._rest = b""
        return self._digest.hexdigest()

    def _block(self, data: bytes, last: bool) -> None:
        self._write((len(data) << 3 | int(last)).to_bytes(3, "little") + data)

    def _write(self, data: bytes) -> None:
        self._digest.update(data)
        self._file.write(data)


def _files(folder: Path, whole: bool) -> List[str]:
    """Everything in the folder that is packed, sorted, relative to it."""
    if not whole and (folder / IGNORE_FILE).exists():
        raise ValueError(f"{folder / IGNORE_FILE} is not understood here: submit with `runyard process`, or remove it")
    found = []
    for here, folders, files in os.walk(folder, onerror=_raise):
        if not whole:
            folders[:] = [name for name in folders if not _is_ignored(name)]
            files = [name for name in files if not _is_ignored(name)]
        found += [os.path.relpath(os.path.join(here, name), folder) for name in folders + files]
    return sorted(found, key=os.fsencode)


def _raise(error: OSError) -> None:
    raise error


def _is_ignored(name: str) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in _IGNORED)


def _add(tar: tarfile.TarFile, base: Path, name: str) -> None:
    path = base / name
    info = tar.gettarinfo(str(path), arcname=name)
    if info is None:
        raise ValueError(f"{str(path)!r} is a socket and cannot be packed: remove it")
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mtime = 0
    info.mode = 0o755 if info.isdir() or info.issym() or info.mode & 0o111 else 0o644
    if info.islnk():
        # A second name of a file is a file.
        info.type, info.linkname, info.size = tarfile.REGTYPE, "", path.stat().st_size
    if info.issym():
        target = os.path.normpath(os.path.join(os.path.dirname(name), info.linkname))
        if os.path.isabs(info.linkname) or target.split(os.sep)[0] == "..":
            raise ValueError(f"the link {str(path)!r} leads out of the folder: replace it by what it points to")
        tar.addfile(info)
    elif info.isdir():
        tar.addfile(info)
    elif info.isreg():
        with open(path, "rb") as file:
            tar.addfile(info, file)
    else:
        raise ValueError(f"{str(path)!r} is no file and cannot be packed: remove it")
