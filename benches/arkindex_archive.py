"""Times what Arkindex does to publish a folder, without its network: `create_archive` of arkindex-base-worker, as it is.

`md5` and `zstd` do only that to the same bytes, in large pieces. Prints one JSON object.
Usage: arkindex_archive.py archive|md5|zstd FOLDER
"""

import hashlib
import json
import os
import resource
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

PIECE = 1 << 20


def pieces(folder):
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                while piece := file.read(PIECE):
                    yield piece


def archive(folder):
    from arkindex_worker.worker.training import create_archive

    tar = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    began = time.monotonic()
    with create_archive(folder) as (_, content, size, _):
        return {"seconds": time.monotonic() - began, "size": size, "content": content, "temporary": tar + size}


def md5(folder):
    began, digest = time.monotonic(), hashlib.md5()
    for piece in pieces(folder):
        digest.update(piece)
    return {"seconds": time.monotonic() - began, "content": digest.hexdigest()}


def zstd(folder):
    import zstandard

    began, size = time.monotonic(), 0
    stream = zstandard.ZstdCompressor(level=3, threads=-1).compressobj()
    for piece in pieces(folder):
        size += len(stream.compress(piece))
    size += len(stream.flush())
    return {"seconds": time.monotonic() - began, "size": size}


def main():
    what, folder = sys.argv[1], Path(sys.argv[2])
    tempfile.tempdir = os.environ.get("TMPDIR")
    figures = {"archive": archive, "md5": md5, "zstd": zstd}[what](folder)
    figures["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    figures["version"] = version("arkindex-base-worker")
    print(json.dumps(figures))


main()
