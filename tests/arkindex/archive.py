"""Makes an archive of a folder with the package's own function, and prints what the package knows of it."""

import json
import sys
from pathlib import Path

from arkindex_worker.utils import create_tar_zst_archive

folder, destination = map(Path, sys.argv[1:])
_, _, archive_hash, content_hash = create_tar_zst_archive(folder, destination)
print(json.dumps({"size": destination.stat().st_size, "archive_hash": archive_hash, "hash": content_hash}))
