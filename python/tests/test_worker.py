"""What a worker does with its elements: claims, failures, commits, leases that are lost, stops; and with sets of datasets."""

import hashlib
import io
import json
import os
import re
import shutil
import signal
import tarfile
import tempfile
import threading
import unittest
import urllib.parse
from contextlib import redirect_stderr
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest import mock

import runyard
from runyard.activities import Activities, Element
from runyard.server import Server
from runyard.unpack import unpack
from runyard.worker import merge

RUN = "01890a5d-0000-7000-8000-000000000000"


def id_of(number):
    return f"01890a5d-ac96-774b-bcce-{number:012x}"


def zst(data):
    """A Zstandard frame with the bytes as they are."""
    frame = b"\x28\xb5\x2f\xfd\xa0" + len(data).to_bytes(4, "little")
    pieces = [data[at : at + 100_000] for at in range(0, len(data), 100_000)] or [b""]
    for index, piece in enumerate(pieces):
        last = index == len(pieces) - 1
        frame += (len(piece) << 3 | last).to_bytes(3, "little") + piece
    return frame


def archive_of(files):
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return zst(tar.getvalue())


def can_unpack():
    try:
        import zstandard  # noqa: F401
    except ImportError:
        try:
            from compression import zstd  # noqa: F401
        except ImportError:
            return shutil.which("zstd") is not None
    return True


class FakeServer:
    """A worker run over elements `0`, `1`, ... and a dataset, held in memory, with the server's answers."""

    def __init__(self, case, count):
        self.elements = {id_of(n): {"state": "queued", "attempt": 0, "results": None} for n in range(count)}
        self.run = {"id": RUN, "corpus_id": "c", "lease_ms": 60_000, "configuration": {}, "selection": {}}
        self.run.update(worker_configuration={}, user_configuration={})
        self.datasets = {}
        self.versions = []
        self.archive = b""
        self.asked, self.troubles = [], []
        self.stolen = set()
        self.lost_claims = 0
        self.renewed = threading.Event()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do(self):
                size = int(self.headers.get("content-length") or 0)
                body = json.loads(self.rfile.read(size)) if size else None
                fake.answer(self, body)

            do_GET = do_POST = do_PUT = do

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()
        case.addCleanup(self.http.server_close)
        case.addCleanup(self.http.shutdown)

    def answer(self, request, body):
        path, _, query = request.path.partition("?")
        self.asked.append((request.command, path, request.headers.get("authorization")))
        if path == "/objects/archive":
            return self.send(request, 200, self.archive)
        status = self.troubles.pop(0) if self.troubles else 0
        if status:
            return self.send(request, status, {"error": "busy"})
        if path.endswith("/archive"):
            request.send_response(302)
            request.send_header("location", "/objects/archive")
            request.send_header("content-length", "0")
            return request.end_headers()
        found = self.route(path.replace("/api/v2", "", 1), urllib.parse.parse_qs(query), body)
        status, answer = found if isinstance(found, tuple) else (200, {"data": found})
        return self.send(request, status, answer)

    @staticmethod
    def send(request, status, answer):
        text = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        request.send_response(status)
        request.send_header("content-length", str(len(text)))
        request.end_headers()
        request.wfile.write(text)

    def route(self, path, query, body):
        named = re.match(r"/(elements|datasets|model_versions)/([^/]+)$", path)
        if path == f"/worker_runs/{RUN}":
            return {**self.run, "counts": self.counts()}
        if path == f"/worker_runs/{RUN}/activities":
            after = query.get("id_after", [""])[0]
            wanted = query.get("element_id", list(self.elements))
            return [{"element_id": id, **self.elements[id]} for id in sorted(self.elements) if id > after and id in wanted]
        if path.startswith(f"/worker_runs/{RUN}/activities/"):
            return self.start(path.rsplit("/", 1)[1], body)
        if path.startswith(f"/worker_runs/{RUN}/"):
            return getattr(self, path.rsplit("/", 1)[1])(body)
        if path == "/elements":
            return [self.element(id) for id in query["id"]]
        if path == "/model_versions":
            return [one for one in self.versions if [one["model"]] == query["model"]]
        if path.startswith("/datasets/") and path.endswith("/elements"):
            return [{"set": query["set"][0], "element_id": id_of(1)}]
        if named and named[1] == "elements" and named[2] in self.elements:
            return self.element(named[2])
        if named and named[1] == "datasets" and named[2] in self.datasets:
            return self.datasets[named[2]]
        return 404, {"error": f"there is no {path}"}

    def counts(self):
        states = [one["state"] for one in self.elements.values()]
        return {state: states.count(state) for state in ("queued", "started", "processed", "error")}

    @staticmethod
    def element(id):
        return {"id": id, "type": "page", "name": str(int(id[-12:], 16))}

    def claim(self, body):
        free = [id for id in sorted(self.elements) if self.elements[id]["state"] == "queued"][: body["limit"]]
        for id in free:
            self.elements[id].update(state="started", holder=body["holder"])
            self.elements[id]["attempt"] += 1
        claimed = [
            {"element_id": id, "attempt": self.elements[id]["attempt"], "type": "page", "name": self.element(id)["name"]}
            for id in free
        ]
        counts = self.counts()
        if self.lost_claims:
            self.lost_claims -= 1
            return 502, {"error": "lost on its way"}
        return {"claimed": claimed, "left": counts["queued"] + counts["started"] - len(free), "lease_until": 0}

    def start(self, id, body):
        if self.elements[id]["state"] not in ("queued", "error"):
            return 409, {"error": "an activity that is processed cannot become started"}
        self.elements[id].update(state="started", holder=body["holder"])
        self.elements[id]["attempt"] += 1
        return {"element_id": id, **self.elements[id]}

    def select(self, body):
        unknown = [id for id in body["selection"]["elements"] if id not in self.elements]
        return (422, {"error": f"there is no element `{unknown[0]}`", "errors": {}}) if unknown else {"count": 0}

    def renew(self, _):
        self.renewed.set()
        return {"count": 1}

    def release(self, body):
        held = [one for one in self.elements.values() if one["state"] == "started" and one["holder"] == body["holder"]]
        for one in held:
            one["state"] = "queued"
        return {"count": len(held)}

    def commit(self, body):
        items = body["items"]
        if len(json.dumps(items)) > 20_000:
            return 413, {"error": "the body is larger than 20000 bytes"}
        errors = {}
        for index, item in enumerate(items):
            for at, one in enumerate(item.get("results", {}).get("classifications", [])):
                if not isinstance(one.get("confidence"), (int, float)):
                    errors[f"items.{index}.results.classifications.{at}.confidence"] = ["is no number"]
        if errors:
            return 422, {"error": "the body is not valid", "errors": errors}
        return [self.settle(item) for item in items]

    def settle(self, item):
        if item["element_id"] in self.stolen:
            return {"element_id": item["element_id"], "outcome": "lease_lost", "reason": "`rival` has it now"}
        known = self.elements[item["element_id"]]
        assert known["attempt"] == item["attempt"] and known["state"] == "started", (known, item)
        known.update(state=item["state"], results=item.get("results"), error=item.get("error"))
        return {"element_id": item["element_id"], "outcome": "accepted"}


class Case(unittest.TestCase):
    COUNT = 10

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.server = FakeServer(self, self.COUNT)
        variables = {
            "RUNYARD_URL": self.server.url,
            "RUNYARD_TOKEN": "secret",
            "RUNYARD_WORKER_RUN_ID": RUN,
            "RUNYARD_WORKER_BATCH": "4",
            "RUNYARD_WORKER_HOLDER": "job/0",
        }
        kept = {key: value for key, value in os.environ.items() if not key.startswith("RUNYARD_")}
        patch = mock.patch.dict(os.environ, {**kept, **variables}, clear=True)
        patch.start()
        self.addCleanup(patch.stop)
        for number in (signal.SIGTERM, signal.SIGINT):
            self.addCleanup(signal.signal, number, signal.getsignal(number))

    def work(self, worker, *args):
        """The code that the program ends with."""
        with self.assertLogs("runyard", "INFO") as logs:
            try:
                worker.run(list(args))
                code = 0
            except SystemExit as end:
                code = end.code
        self.said = "\n".join(logs.output)
        return code

    def states(self):
        return [self.server.elements[id_of(n)]["state"] for n in range(self.COUNT)]

    def error(self, number):
        return self.server.elements[id_of(number)]["error"]

    def results(self, number):
        return self.server.elements[id_of(number)]["results"]


def class_of(name, confidence=0.5):
    return {"classifications": [{"class": name, "confidence": confidence}]}


class Does(runyard.ElementsWorker):
    def __init__(self, does):
        super().__init__()
        self.does = does

    def process_element(self, element):
        return self.does(element)


class Elements(Case):
    def test_what_fails_fails_alone_and_is_told_why(self):
        class Scalar:
            def item(self):
                return 0.25

        def does(element):
            return {
                "0": lambda: class_of("zero", Scalar()),
                "1": lambda: 1 / 0,
                "2": lambda: class_of("x", float("nan")),
                "3": lambda: [1],
                "4": lambda: class_of("x", "sure"),
                "5": lambda: class_of("x", object()),
                "6": lambda: None,
            }.get(element.name, lambda: class_of(element.name))()

        self.assertEqual(self.work(Does(does)), 0)
        ended = ["processed"] + 5 * ["error"] + 4 * ["processed"]
        self.assertEqual(self.states(), ended)
        self.assertEqual((self.results(0), self.results(6)), (class_of("zero", 0.25), None))
        self.assertEqual(self.error(1), "ZeroDivisionError: division by zero")
        self.assertIn("not JSON compliant", self.error(2))
        self.assertEqual(self.error(3), "TypeError: results are a dict of lists, not list")
        refused = "the server refuses its results: results.classifications.0.confidence: is no number"
        self.assertEqual(self.error(4), refused)
        self.assertIn("results have a object", self.error(5))
        self.assertIn("Ran on 10 element(s): 5 completed, 5 failed", self.said)
        self.assertEqual({asked[2] for asked in self.server.asked}, {"Bearer secret"})

    def test_all_that_fail_end_with_1_and_nothing_to_do_too(self):
        self.assertEqual(self.work(Does(lambda _: 1 / 0)), 1)
        self.assertEqual(self.states(), 10 * ["error"])
        self.server.elements.clear()
        self.assertEqual(self.work(Does(lambda _: None)), 1)
        self.assertIn("has no elements: there is nothing to process", self.said)

    def test_a_batch_that_fails_is_processed_one_by_one(self):
        class Model(runyard.ElementsWorker):
            batch_size = 3
            batches, alone = [], []

            def process_batch(self, elements):
                self.batches.append(len(elements))
                if any(element.name == "5" for element in elements):
                    raise RuntimeError("too dark")
                if any(element.name == "8" for element in elements):
                    return []
                return [class_of("together") for _ in elements]

            def process_element(self, element):
                self.alone.append(element.name)
                if element.name == "5":
                    raise RuntimeError("too dark")
                return class_of("alone")

        model = Model()
        self.assertEqual(self.work(model), 0)
        self.assertEqual((model.batches, model.alone), ([3, 1, 3, 1, 2], ["4", "5", "6", "8", "9"]))
        self.assertEqual((self.results(0), self.results(9)), (class_of("together"), class_of("alone")))
        self.assertEqual(self.error(5), "RuntimeError: too dark")

    def test_results_that_are_too_large_together_are_committed_apart(self):
        big = {"classifications": [], "metadata": [{"type": "text", "name": "n", "value": "v" * 9000}]}
        huge = {"classifications": [], "metadata": [{"type": "text", "name": "n", "value": "v" * 30000}]}
        self.assertEqual(self.work(Does(lambda element: huge if element.name == "2" else big)), 0)
        self.assertEqual(self.states().count("processed"), 9)
        self.assertEqual(self.error(2), "the server refuses its results: the body is larger than 20000 bytes")

    def test_what_comes_from_a_lost_lease_is_dropped_and_said(self):
        self.server.stolen = {id_of(3)}
        # Somebody else ends it, or nobody could.
        self.server.elements[id_of(3)]["state"] = "queued"
        worker = Does(lambda element: self.server.elements[id_of(3)].update(state="processed") or class_of("mine"))
        self.assertEqual(self.work(worker), 0)
        self.assertIsNone(self.results(3))
        self.assertIn("its results are dropped: `rival` has it now", self.said)
        self.assertIn("Ran on 10 element(s): 9 completed, 0 failed", self.said)

    def test_leases_are_renewed_while_an_element_takes_long(self):
        os.environ["RUNYARD_WORKER_LEASE_MS"] = "30"
        worker = Does(lambda _: self.assertTrue(self.server.renewed.wait(20)))
        self.assertEqual(self.work(worker), 0)

    def test_a_stop_finishes_the_element_and_gives_the_others_back(self):
        def does(element):
            if element.name == "5":
                os.kill(os.getpid(), signal.SIGTERM)
            return class_of("seen")

        self.assertEqual(self.work(Does(does)), 143)
        self.assertEqual(self.states(), 6 * ["processed"] + 4 * ["queued"])
        self.assertIn("2 elements were given back", self.said)
        self.assertEqual(self.work(Does(lambda _: class_of("later"))), 0)
        self.assertEqual((self.results(5), self.results(6)), (class_of("seen"), class_of("later")))

    def test_what_a_claim_took_whose_answer_was_lost_is_given_back_and_claimed_again(self):
        self.server.lost_claims = 2
        self.assertEqual(self.work(Does(lambda element: class_of(element.name))), 0)
        self.assertEqual((self.states(), self.results(0)), (10 * ["processed"], class_of("0")))
        self.assertGreater(self.server.elements[id_of(0)]["attempt"], 1)

    def test_a_server_that_is_busy_is_waited_for(self):
        self.server.troubles = [503, 0, 502, 0, 500]
        self.assertEqual(self.work(Does(lambda _: None)), 0)
        self.assertEqual(self.states(), 10 * ["processed"])

    def test_read_only_nothing_is_written(self):
        seen = []
        self.assertEqual(self.work(Does(seen.append), "--dev"), 0)
        self.assertEqual((len(seen), self.states()), (10, 10 * ["queued"]))
        self.assertEqual({asked[0] for asked in self.server.asked}, {"GET"})
        del os.environ["RUNYARD_WORKER_RUN_ID"]
        config = self.folder / "config.json"
        config.write_text('{"size": 3}')
        worker = Does(seen.append)
        self.assertEqual(self.work(worker, "--element", id_of(1), id_of(2), "--config", str(config)), 0)
        self.assertEqual((len(seen), worker.read_only, worker.config), (12, True, {"size": 3}))
        self.assertEqual(self.work(worker), 1)
        self.assertIn("name elements with --element", self.said)

    def test_named_elements_are_processed_and_those_that_are_done_left_alone(self):
        does = Does(lambda element: 1 / 0 if element.name == "1" else class_of("x"))
        self.assertEqual(self.work(does, "--element", id_of(0), id_of(1)), 0)
        self.assertEqual(self.states()[:3], ["processed", "error", "queued"])
        self.assertEqual(self.work(does, "--element", id_of(0), id_of(1)), 0)
        self.assertEqual(self.server.elements[id_of(0)]["attempt"], 1)
        self.assertEqual(self.server.elements[id_of(1)]["attempt"], 2)
        self.assertEqual(self.work(does, "--element", id_of(1)), 1)
        listed = self.folder / "list.json"
        listed.write_text(json.dumps([{"id": id_of(2)}, {"name": "no id"}]))
        self.assertEqual(self.work(does, "--elements-list", str(listed)), 0)
        self.server.datasets["d"] = {"name": "letters", "sets": [{"name": "train"}]}
        self.assertEqual(self.work(does, "--set", "d:dev"), 1)
        self.assertIn("dataset 'letters' has no set 'dev': it has train", self.said)
        self.assertEqual(self.work(does, "--set", "d:train"), 1, "its one element fails")

    def test_wrong_words_on_the_command_line_end_with_2_and_wrong_elements_with_1(self):
        for args, words in [
            (["--elements"], "--elements"),
            (["--set", "train"], "'train' is not DATASET:SET"),
            (["--batch", "0"], "0 is no number from 1 to 1000"),
            (["--element"], "--element"),
        ]:
            said = io.StringIO()
            with redirect_stderr(said), self.assertRaises(SystemExit) as end:
                Does(None).run(args)
            self.assertEqual(end.exception.code, 2)
            self.assertIn(words, said.getvalue())
        empty = self.folder / "empty.json"
        empty.write_text("[]")
        for args, words in [
            (["--element", "page"], "'page' is not the id of an element"),
            (["--element", id_of(99)], "there is no element"),
            (["--elements-list", str(empty)], "no elements are named"),
            (["--elements-list", "/none"], "--elements-list /none"),
            (["--element", id_of(1), "--elements-list", str(empty)], "give one of them"),
            (["--config", str(empty)], "goes with --dev"),
            (["--config", str(empty), "--dev"], "is no JSON object"),
        ]:
            self.assertEqual(self.work(Does(None), *args), 1, args)
            self.assertIn(words, self.said)
        del os.environ["RUNYARD_URL"]
        self.assertEqual(self.work(Does(None)), 1)
        self.assertIn("set RUNYARD_URL", self.said)


class Configuration(Case):
    def test_it_is_put_together_in_the_order_of_the_contract(self):
        user = {"b": {"default": 2}, "c": {"default": 2}, "d": {"title": "no default"}}
        self.assertEqual(merge({"a": 1, "b": 1, "c": 1}, {"b": 3}, user, {"c": 4}), {"a": 1, "b": 3, "c": 4})

    def test_the_model_version_that_the_config_names_is_found_and_pulled(self):
        self.server.archive = archive_of({"model.bin": b"weights", "deep/a.txt": b"a"})
        digest = hashlib.sha256(self.server.archive).hexdigest()
        self.server.versions = [
            {"id": "v", "model": "m", "config": {"b": 3}, "archive_size": len(self.server.archive), "archive_sha256": digest}
        ]
        self.server.run["configuration"] = {"model_version": "m@best", "c": 4}
        pulled = []

        class Uses(Does):
            def configure(inner):
                self.assertEqual(inner.config, {"b": 3, "c": 4, "model_version": "m@best"})
                pulled.append(inner.pull_model(self.folder / "model"))

        code = self.work(Uses(lambda _: None))
        if not can_unpack():
            self.assertEqual(code, 1)
            return self.assertIn("nothing here reads zstd: add the requirement `zstandard`", self.said)
        self.assertEqual(code, 0, self.said)
        self.assertEqual((pulled[0] / "model.bin").read_bytes(), b"weights")
        self.assertEqual((pulled[0] / "deep/a.txt").read_bytes(), b"a")
        # The token goes to the server's API, and not with a signed address.
        self.assertIn(("GET", "/objects/archive", None), self.server.asked)
        self.server.versions = []
        self.assertEqual(self.work(Uses(lambda _: None)), 1)
        self.assertIn("there is no available version 'm@best' of a model", self.said)

    def test_an_error_in_configure_ends_the_program(self):
        class Broken(Does):
            def configure(self):
                raise RuntimeError("no GPU")

        with self.assertRaisesRegex(RuntimeError, "no GPU"):
            Broken(None).run([])
        self.assertEqual(self.states(), 10 * ["queued"])


class Sets(Case):
    def setUp(self):
        super().setUp()
        self.server.archive = archive_of({"db.sqlite": b"rows", "files/1.png": b"png"})
        known = {"size": len(self.server.archive), "sha256": hashlib.sha256(self.server.archive).hexdigest()}
        sets = [{"name": "train"}, {"name": "dev"}]
        self.server.datasets = {
            "a": {"id": "a", "name": "letters", "state": "complete", "sets": sets, "archive": known},
            "b": {"id": "b", "name": "open", "state": "open", "sets": sets},
        }
        names = [("a", "train"), ("b", "train"), ("a", "dev")]
        self.server.run["selection"] = {"sets": [{"dataset": dataset, "set": name} for dataset, name in names]}

    @unittest.skipUnless(can_unpack(), "nothing here reads zstd")
    def test_each_set_comes_with_the_files_of_its_dataset_which_come_once(self):
        seen = []

        class Reads(runyard.DatasetWorker):
            def process_set(inner, set):
                self.assertEqual(set.database.read_bytes(), b"rows")
                seen.append((set.name, set.files))
                if set.name == "dev":
                    raise ValueError("dev is too small")

        self.assertEqual(self.work(Reads()), 0)
        self.assertEqual([name for name, _ in seen], ["dev", "train"])
        self.assertFalse(seen[0][1].exists(), "nothing is left")
        brought = [asked for asked in self.server.asked if asked[1] == "/objects/archive"]
        self.assertEqual(len(brought), 1)
        for words in ("dev is too small", "dataset 'open' is open", "Ran on 3 set(s): 1 completed, 2 failed"):
            self.assertIn(words, self.said)
        # Each of several processes has a share.
        os.environ.update(RUNYARD_WORKER_PROCESS="1", RUNYARD_WORKER_PROCESSES="2")
        seen.clear()
        self.assertEqual(self.work(Reads()), 0)
        self.assertEqual([name for name, _ in seen], ["train"])
        del os.environ["RUNYARD_WORKER_PROCESS"], os.environ["RUNYARD_WORKER_PROCESSES"]
        self.assertEqual(self.work(Reads(), "--set", "a:test"), 1)
        self.assertIn("has no set 'test': it has train, dev", self.said)

    def test_without_sets_there_is_nothing_to_do(self):
        self.server.run["selection"] = {"query": {}}
        self.assertEqual(self.work(runyard.DatasetWorker()), 1)
        self.assertIn("name sets with --set", self.said)
        self.assertEqual(self.work(runyard.DatasetWorker(), "--set", "nobody:train"), 1)
        self.assertIn("there is no /datasets/nobody", self.said)


class Pieces(Case):
    def test_the_image_of_an_element_is_read_from_this_machine_or_by_http(self):
        path = self.folder / "a b+c.png"
        path.write_bytes(b"png")

        def element(url):
            return Element({"id": "1", "type": "page", "name": "n", "image": {"id": "i", "url": url}})

        self.assertEqual(element(path.as_uri()).image_bytes(), b"png")
        self.server.archive = b"from afar"
        self.assertEqual(element(f"{self.server.url}/objects/archive").image_bytes(), b"from afar")
        self.assertIsNone(element("file://elsewhere/a.png").image_path())
        with self.assertRaisesRegex(ValueError, "object://x cannot be read|object://x of element 1 cannot be read"):
            element("object://x").image_bytes()

    def test_a_start_whose_answer_was_lost_is_known_as_ones_own(self):
        activities = Activities(Server(self.server.url, "secret", patience_s=5), RUN, "me", 1000)
        self.assertEqual(activities.start(id_of(1)), 1)
        self.assertEqual(activities.start(id_of(1)), 1)
        other = Activities(Server(self.server.url, "secret", patience_s=5), RUN, "other", 1000)
        self.assertIsNone(other.start(id_of(1)))

    @unittest.skipUnless(can_unpack(), "nothing here reads zstd")
    def test_an_archive_cannot_leave_its_folder(self):
        packed = self.folder / "a.tar.zst"
        packed.write_bytes(archive_of({"../evil": b"evil"}))
        with self.assertRaises(Exception):
            unpack(packed, self.folder / "deep" / "here")
        self.assertFalse((self.folder / "deep" / "evil").exists())
        self.assertFalse((self.folder / "deep" / "here").exists())


if __name__ == "__main__":
    unittest.main()
