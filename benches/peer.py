"""Times HyperQueue on `count` tasks of `true`: as one job of many tasks, and as jobs of one task each.

Server and worker run inside this process, as its Python package brings them; the server keeps no journal.
Prints one JSON object. Usage: peer.py FOLDER COUNT CORES
"""

import contextlib
import json
import os
import sys
import time
from importlib.metadata import version

from hyperqueue import Job
from hyperqueue.cluster import LocalCluster, WorkerConfig


def job(folder, tasks):
    made = Job(default_workdir=folder)
    for _ in range(tasks):
        made.program(["true"])
    return made


def timed(client, folder, jobs, tasks):
    began = time.monotonic()
    submitted = [client.submit(job(folder, tasks)) for _ in range(jobs)]
    client.wait_for_jobs(submitted)
    return time.monotonic() - began


def main():
    folder, count, cores = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    os.makedirs(folder, exist_ok=True)
    with open(os.devnull, "w") as quiet, contextlib.redirect_stderr(quiet):
        with LocalCluster(os.path.join(folder, "server"), WorkerConfig(cores=cores)) as cluster:
            client = cluster.client()
            timed(client, folder, 1, 20)  # warm
            array, single = timed(client, folder, 1, count), timed(client, folder, count, 1)
    print(json.dumps({"version": version("hyperqueue"), "array_s": array, "single_s": single}))


main()
