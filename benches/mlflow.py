"""Times MLflow's tracking server on SQLite: `mlflow.py FOLDER CLIENTS`. Each client logs batches of 1,000 points of one metric into a
run of its own, over HTTP. Prints one JSON object."""

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from importlib.metadata import version

BATCHES = 10
BATCH = 1000


def main():
    folder, clients = sys.argv[1], int(sys.argv[2])
    os.makedirs(folder, exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "2"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", f"{folder}/artifacts"]
    with open(f"{folder}/log", "w") as log:
        # A session of its own: its workers end with it.
        server = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        wait(port, server, f"{folder}/log")
        runs = [begin(port) for _ in range(clients)]
        log_all(port, runs, 1)  # warm
        began = time.monotonic()
        log_all(port, runs, BATCHES)
        took = time.monotonic() - began
    finally:
        os.killpg(server.pid, 15)
        server.wait()
    print(json.dumps({"version": version("mlflow"), "points_per_second": clients * BATCHES * BATCH / took}))


def wait(port, server, log):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    with open(log) as said:
        sys.exit(f"MLflow's server does not answer: {said.read()}")


def call(connection, path, body):
    connection.request("POST", f"/api/2.0/mlflow/{path}", json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != 200:
        raise SystemExit(f"MLflow answers {answer.status} to {path}: {text[:500]!r}")
    return json.loads(text)


def begin(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    return call(connection, "runs/create", {"experiment_id": "0"})["run"]["info"]["run_id"]


def log_all(port, runs, batches):
    failures = []

    def log(run):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
            for batch in range(batches):
                steps = range(batch * BATCH, (batch + 1) * BATCH)
                points = [{"key": "train/loss", "value": 2.0 / (1 + s / 1000), "timestamp": 1700000000000 + s * 50, "step": s} for s in steps]
                call(connection, "runs/log-batch", {"run_id": run, "metrics": points})
        except (Exception, SystemExit) as error:
            failures.append(error)

    threads = [threading.Thread(target=log, args=(run,)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        sys.exit(str(failures[0]))


main()
