"""A worker over sets of datasets as a user of arkindex-base-worker writes one: it reads the archive that the package downloaded,
and prints which elements of the set are in its database, and whose images are beside it."""

import json
import os
import sqlite3
import tempfile
from pathlib import Path

from arkindex_worker.utils import extract_tar_zst_archive
from arkindex_worker.worker import DatasetWorker

MEMBERS = """SELECT e.id, e.type, i.width, i.height, i.id FROM dataset_elements d
    JOIN elements e ON e.id = d.element_id LEFT JOIN images i ON i.id = e.image_id
    WHERE d.set_name = ? ORDER BY e.id"""


class Counter(DatasetWorker):
    def process_set(self, dataset_set):
        folder = Path(tempfile.mkdtemp())
        _, path = extract_tar_zst_archive(self.downloaded_dataset_artifact, folder)
        with sqlite3.connect(folder / "db.sqlite") as database:
            members = database.execute(MEMBERS, [dataset_set.name]).fetchall()
            version = database.execute("SELECT version FROM version").fetchone()[0]
        said = {"set": dataset_set.name, "version": version, "members": members,
                "listed": sorted(element.id for element in self.list_set_elements(dataset_set)),
                "files": sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())}
        print("SET", json.dumps(said), flush=True)


if __name__ == "__main__":
    Path(os.environ["PONOS_DATA"], "current").mkdir(parents=True, exist_ok=True)
    Counter("Counts").run()
