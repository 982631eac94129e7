"""What a program of a job does with the package: records in a file, checkpoints from a server that may be away."""

import hashlib
import json
import math
import os
import re
import tempfile
import threading
import unittest
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest import mock

import runyard
from runyard.job import JobCheckpointManager
from runyard.server import Server


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.ml = Path(folder.name) / "ml"
        self.ml.mkdir()
        self.records = Path(folder.name) / "records.jsonl"
        config = Path(folder.name) / "config.json"
        config.write_text('{"lr": 0.25}')
        variables = {
            "RUNYARD_ML": str(self.ml),
            "RUNYARD_RECORDS": str(self.records),
            "RUNYARD_CONFIG": str(config),
            "RUNYARD_URL": "http://127.0.0.1:1",
            "RUNYARD_TOKEN": "secret",
            "RUN_ID": "run-1",
        }
        patch = mock.patch.dict(os.environ, variables)
        patch.start()
        self.addCleanup(patch.stop)

    def lines(self):
        return [json.loads(line) for line in self.records.read_text().splitlines()]


class Records(Case):
    def test_a_metric_is_a_line_and_says_what_json_cannot(self):
        runyard.log_metric("train/loss", 0.5, 1)
        runyard.log_metric("train/loss", -math.inf, 2)
        runyard.log_metrics({"a": math.nan, "b": 3}, step=3)
        points = [{"tag": "a", "global_step": 3, "value": "NaN"}, {"tag": "b", "global_step": 3, "value": 3}]
        self.assertEqual(
            self.lines(),
            [
                {"metric": {"tag": "train/loss", "global_step": 1, "value": 0.5}},
                {"metric": {"tag": "train/loss", "global_step": 2, "value": "-Infinity"}},
                {"metrics": points},
            ],
        )

    def test_scalars_of_other_libraries_are_numbers_and_lists_are_not(self):
        class Scalar:
            def item(self):
                return 0.25

        runyard.log_metric("loss", Scalar(), 1)
        self.assertEqual(self.lines()[0]["metric"]["value"], 0.25)
        with self.assertRaisesRegex(ValueError, "'loss' must be a number, not list"):
            runyard.log_metric("loss", [1, 2], 1)
        with self.assertRaisesRegex(ValueError, "whole number, not 1.5"):
            runyard.log_metric("loss", 1, 1.5)

    def test_progress_of_several_operations_is_one_list(self):
        runyard.progress("train", 1, 10, "epochs")
        runyard.progress("test", 0, 5)
        runyard.progress("train", 2, 10, "epochs")
        self.assertEqual([operation["operation"] for operation in self.lines()[-1]["progress"]], ["train", "test"])
        self.assertEqual(self.lines()[-1]["progress"][0]["value"], 2)

    def test_an_artifact_is_named_by_its_path(self):
        runyard.log_artifact(self.ml / "output" / "model", type="model")
        expected = {"artifact": {"path": str(self.ml / "output" / "model"), "type": "model"}}
        self.assertEqual(self.lines(), [expected])

    def test_a_model_is_named_with_what_was_given(self):
        runyard.publish_model(self.ml / "output" / "model", "digits")
        runyard.publish_model(
            "/ml/m", "digits", tag="v3", description="Best", config={"classes": 10}, parent="v2", move_tag=True
        )
        given = {"tag": "v3", "description": "Best", "config": {"classes": 10}, "parent": "v2", "move_tag": True}
        self.assertEqual(
            self.lines(),
            [
                {"model": {"path": str(self.ml / "output" / "model"), "name": "digits"}},
                {"model": {"path": "/ml/m", "name": "digits", **given}},
            ],
        )

    def test_many_points_are_cut_into_lines_that_the_server_takes(self):
        runyard.log_metrics({f"tag{i}": i for i in range(1200)}, 1)
        self.assertEqual([len(line["metrics"]) for line in self.lines()], [500, 500, 200])

    def test_outside_of_a_job_reports_go_nowhere(self):
        with mock.patch.dict(os.environ):
            for name in ("RUNYARD_RECORDS", "RUNYARD_CONFIG"):
                del os.environ[name]
            runyard.log_metric("loss", 1, 1)
            runyard.progress("train", 1, 2)
            self.assertEqual(runyard.config(), {})
        self.assertFalse(self.records.exists())


class Context(Case):
    def test_in_a_job_everything_saved_is_a_record(self):
        with runyard.open_run_context(config={"lr": "not this"}) as context:
            self.assertEqual((context.run_id, context.load_config()), ("run-1", {"lr": 0.25}))
            context.save_metrics([{"global_step": 1, "tag": "a", "value": math.inf}])
            context.save_progress([{"operation": "o", "value": 1.0, "final_value": 2.0, "units": "u"}])
            with context.save_checkpoint(7) as saved:
                (saved.dir / "weights").write_text("w")
            with context.load_checkpoint() as loaded:
                self.assertEqual((loaded.global_step, (loaded.dir / "weights").read_text()), (7, "w"))
            with context.load_checkpoint(loaded.id) as again:
                self.assertEqual(again.dir, loaded.dir)
        metrics, progress, checkpoint = self.lines()
        self.assertEqual(metrics, {"metrics": [{"global_step": 1, "tag": "a", "value": None}]})
        self.assertEqual(progress["progress"][0]["operation"], "o")
        self.assertEqual(checkpoint["checkpoint"]["global_step"], 7)
        self.assertEqual(self.ml / checkpoint["checkpoint"]["path"], loaded.dir)

    def test_a_checkpoint_that_failed_is_no_record(self):
        manager = JobCheckpointManager("run-1")
        with self.assertRaises(OSError):
            with manager.save_checkpoint(1) as saved:
                (saved.dir / "half").write_text("half")
                raise OSError("disk full")
        self.assertFalse(self.records.exists())
        self.assertEqual(list((self.ml / "output/checkpoints").iterdir()), [])

    def test_the_newest_of_one_step_is_loaded(self):
        manager = JobCheckpointManager("run-1")
        for text in ("first", "second"):
            with manager.save_checkpoint(-3) as saved:
                (saved.dir / "f").write_text(text)
        with manager.load_checkpoint() as loaded:
            self.assertEqual((loaded.global_step, (loaded.dir / "f").read_text()), (-3, "second"))

    def test_a_job_reports_for_its_own_run_only(self):
        with self.assertRaises(ValueError):
            runyard.open_run_context(run_id="another")


class FakeServer:
    """Has one checkpoint with two files, and whatever is wrong with them."""

    def __init__(self, case):
        self.files = {"a.bin": b"x" * 3_000_000, "deep/b.txt": b"hello", "empty": b""}
        self.asked = []
        self.troubles = []  # answers with these statuses first; -1 cuts a download short, -2 damages it
        self.status = "complete"
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                fake.answer(self)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()
        case.addCleanup(self.http.server_close)
        case.addCleanup(self.http.shutdown)

    def answer(self, request):
        self.asked.append((request.path, request.headers.get("authorization"), request.headers.get("range")))
        if request.path.startswith("/objects/"):
            return self.object(request)
        trouble = self.troubles.pop(0) if self.troubles and self.troubles[0] >= 500 else None
        if trouble:
            return self.json(request, trouble, {"error": "busy"})
        checkpoint = {"id": "c-1", "global_step": 40, "run_id": "run-0", "status": self.status}
        if re.match(r"/api/v2/checkpoints\?", request.path):
            return self.json(request, 200, {"data": [checkpoint] if self.status == "complete" else []})
        if request.path == "/api/v2/checkpoints/c-1":
            return self.json(request, 200, {"data": checkpoint})
        if request.path.startswith("/api/v2/checkpoints/c-1/files?"):
            after = urllib.parse.parse_qs(request.path.split("?")[1]).get("path_after", [""])[0]
            page = [path for path in sorted(self.files) if path > after][:2]
            return self.json(request, 200, {"data": [self.file(path) for path in page]})
        return self.json(request, 404, {"error": "not found"})

    def file(self, path):
        body = self.files[path]
        return {
            "path": path,
            "size": len(body),
            "sha256": hashlib.sha256(body).hexdigest(),
            "url": f"/objects/{path}" if path == "empty" else f"{self.url}/objects/{path}",
        }

    def object(self, request):
        body = self.files[request.path[len("/objects/") :]]
        trouble = self.troubles.pop(0) if self.troubles else 0
        if trouble >= 400:
            return self.json(request, trouble, {"error": "this address has expired"})
        first = int((request.headers.get("range") or "bytes=0-")[len("bytes=") : -1])
        rest = body[first:]
        request.send_response(206 if first else 200)
        request.send_header("content-length", str(len(rest)))
        request.end_headers()
        if trouble == -1:
            request.wfile.write(rest[: len(rest) // 2])
            request.close_connection = True
        else:
            request.wfile.write(b"y" * len(rest) if trouble == -2 else rest)

    @staticmethod
    def json(request, status, body):
        text = json.dumps(body).encode()
        request.send_response(status)
        request.send_header("content-length", str(len(text)))
        request.end_headers()
        request.wfile.write(text)


class FromServer(Case):
    def setUp(self):
        super().setUp()
        self.server = FakeServer(self)
        self.manager = JobCheckpointManager("run-1", server=Server(self.server.url, "secret", patience_s=20))

    def loaded(self, id=None):
        with self.manager.load_checkpoint(id) as loaded:
            for path, body in self.server.files.items():
                self.assertEqual((loaded.dir / path).read_bytes(), body)
            return loaded

    def objects_asked(self):
        return [asked for asked in self.server.asked if asked[0].startswith("/objects/a.bin")]

    def test_the_newest_complete_checkpoint_is_what_load_checkpoint_gets(self):
        loaded = self.loaded()
        self.assertEqual((loaded.id, loaded.global_step, loaded.run_id), ("c-1", 40, "run-0"))
        asked = self.server.asked[0]
        for word in ("run_id=run-1", "status=complete", "sort=created_at%3Adesc", "limit=1"):
            self.assertIn(word, asked[0])
        self.assertEqual(asked[1], "Bearer secret")
        # The token goes to the server's API, and not with a signed address.
        self.assertEqual([asked[1] for asked in self.objects_asked()], [None])
        # Loaded again, nothing is brought twice.
        self.loaded()
        self.assertEqual(len(self.objects_asked()), 1)

    def test_one_by_its_id_and_one_that_does_not_exist(self):
        self.assertEqual(self.loaded("c-1").id, "c-1")
        for id in ("c-2", "../c-1", ""):
            with self.assertRaises(runyard.CheckpointNotFoundError):
                self.loaded(id)
        self.server.status = "incomplete"
        for id in ("c-1", None):
            with self.assertRaises(runyard.CheckpointNotFoundError):
                self.loaded(id)

    def test_a_download_that_breaks_goes_on_where_it_was(self):
        self.server.troubles = [-1]
        self.loaded()
        ranges = [asked[2] for asked in self.objects_asked()]
        self.assertEqual(len(ranges), 2)
        self.assertIsNone(ranges[0])
        self.assertRegex(ranges[1], r"^bytes=[1-9][0-9]*-$")

    def test_a_download_that_arrives_damaged_is_brought_again(self):
        self.server.troubles = [-2]
        self.loaded()
        self.assertEqual([asked[2] for asked in self.objects_asked()], [None, None])

    def test_an_address_that_has_expired_is_asked_for_again(self):
        self.server.troubles = [403]
        self.loaded()
        listed = [asked for asked in self.server.asked if asked[0].endswith("/files?limit=1000")]
        self.assertEqual(len(listed), 2)

    def test_a_server_that_is_busy_is_waited_for(self):
        self.server.troubles = [503, 502]
        self.assertEqual(self.loaded().global_step, 40)

    def test_a_server_that_came_back_elsewhere_is_found(self):
        file = self.ml / "server.json"
        file.write_text(json.dumps({"url": self.server.url}))
        server = Server("http://127.0.0.1:1", "secret", patience_s=20, address_file=str(file))
        self.manager = JobCheckpointManager("run-1", server=server)
        self.assertEqual(self.loaded().global_step, 40)

    def test_a_server_that_stays_away_is_an_error_that_names_it(self):
        server = Server("http://127.0.0.1:1", "secret", patience_s=0)
        with self.assertRaisesRegex(runyard.ServerError, "http://127.0.0.1:1"):
            with JobCheckpointManager("run-1", server=server).load_checkpoint():
                self.fail("nobody is there")

    def test_a_file_that_would_leave_its_folder_is_refused(self):
        self.server.files = {"../evil": b"evil"}
        with self.assertRaises(runyard.ServerError):
            self.loaded()
        self.assertFalse((self.ml / "input" / "checkpoints" / "evil").exists())


if __name__ == "__main__":
    unittest.main()
