"""Point 16 of the Chariot checklist: a program written against the toolkit does the same with this package."""

import json
import math
import os
import signal
import tempfile
import unittest
from pathlib import Path

import runyard
from runyard import (
    CheckpointNotFoundError,
    DatumNotFoundError,
    LocalFileDatasetFetcher,
    ModelNotFoundError,
    RunContext,
    RunContextInterruptedError,
    local_run_context,
)

# What a program may import from the toolkit.
TOOLKIT = """
    CheckpointNotFoundError DatumNotFoundError ModelNotFoundError RunContextInterruptedError RunContext
    local_run_context SaveProgressDict ProgressSaver MemoryProgressSaver SaveMetricDict MetricSaver
    MemoryMetricSaver CheckpointManager LocalFileCheckpointManager ConfigLoader FileConfigLoader MemoryConfigLoader
    ModelLoader LocalFileModelLoader DatasetSnapshot Model Checkpoint ModelConfigDict upload_directory_to_s3
    download_directory_from_s3 DatasetFetcher LocalFileDatasetFetcher SnapshotDict DatumMetadataDict
"""


class Case(unittest.TestCase):
    def setUp(self):
        self.base = Path(self.enter(tempfile.TemporaryDirectory()))
        self.handlers = [(number, signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM)]
        self.addCleanup(lambda: [signal.signal(*handler) for handler in self.handlers])

    def enter(self, manager):
        self.addCleanup(manager.__exit__, None, None, None)
        return manager.__enter__()

    def context(self, **more):
        return local_run_context(run_id="run-1", config={"lr": 0.5}, base_dir=str(self.base), **more)


class Names(unittest.TestCase):
    def test_every_name_of_the_toolkit_can_be_imported(self):
        for name in TOOLKIT.split():
            self.assertIn(name, runyard.__all__)
            self.assertTrue(hasattr(runyard, name), name)

    def test_errors_say_what_was_looked_for(self):
        self.assertIn("abc", str(CheckpointNotFoundError(id="abc")))
        self.assertIn("checkpoint", str(CheckpointNotFoundError()))
        self.assertIn("m1", str(ModelNotFoundError(id="m1")))
        self.assertEqual(str(DatumNotFoundError(3, "gone")), "there is no datum at index 3: gone")
        self.assertTrue(issubclass(RunContextInterruptedError, Exception))


class Reports(Case):
    def test_the_config_is_what_was_given(self):
        self.assertEqual(self.context().load_config(), {"lr": 0.5})

    def test_what_is_not_finite_is_saved_as_none_also_inside(self):
        with self.context() as context:
            context.save_metrics([{"global_step": 1, "tag": "a", "value": math.nan}])
            context.save_metrics(metrics=[{"global_step": 2, "tag": "b", "value": {"x": [math.inf, 1.5, -math.inf]}}])
            context.save_metrics([{"global_step": 3, "tag": "c", "value": 7}])
            saved = context.metric_saver.metrics
        self.assertEqual([point["value"] for point in saved], [None, {"x": [None, 1.5, None]}, 7])
        self.assertEqual([point["global_step"] for point in saved], [1, 2, 3])

    def test_progress_replaces_what_was_saved_before(self):
        one = {"operation": "train", "value": 1.0, "final_value": 2.0, "units": "epochs"}
        other = {"operation": "test", "value": 0.0, "final_value": 5.0, "units": "images"}
        with self.context() as context:
            context.save_progress([one])
            context.save_progress(progress=[other])
            self.assertEqual(context.progress_saver.current_progress, [other])


class Checkpoints(Case):
    def test_a_checkpoint_reads_back_and_none_is_said_to_be_none(self):
        with self.context() as context:
            with self.assertRaises(CheckpointNotFoundError):
                with context.load_checkpoint():
                    self.fail("there is none")
            with context.save_checkpoint(global_step=5) as saved:
                (saved.dir / "model.bin").write_text("five")
            with context.load_checkpoint() as loaded:
                self.assertEqual((loaded.dir / "model.bin").read_text(), "five")
                self.assertEqual((loaded.global_step, loaded.run_id), (5, "run-1"))
            with context.load_checkpoint(id=loaded.id) as again:
                self.assertEqual(again, loaded)
            with self.assertRaises(CheckpointNotFoundError):
                with context.load_checkpoint("nonesuch"):
                    self.fail("there is none")
        folders = list((self.base / "runs" / "run-1" / "checkpoints").iterdir())
        self.assertEqual([folder.name for folder in folders], [loaded.id])
        self.assertRegex(loaded.id, r"^5-run-1__[0-9a-f-]{36}$")

    def test_the_newest_is_loaded_and_that_of_another_run_by_its_id(self):
        with self.context() as context:
            for step in (5, 10, -1):
                with context.save_checkpoint(step) as saved:
                    (saved.dir / "step").write_text(str(step))
                folder = next((self.base / "runs/run-1/checkpoints").glob(f"{step}-*"))
                os.utime(folder, (1000 + abs(step), 1000 + abs(step)))
            with context.load_checkpoint() as loaded:
                self.assertEqual((loaded.dir / "step").read_text(), "10")
        other = local_run_context(run_id="run-2", config={}, base_dir=self.base)
        with other, other.load_checkpoint(loaded.id) as same:
            self.assertEqual((same.run_id, same.global_step), ("run-1", 10))

    def test_after_an_exception_nothing_of_a_checkpoint_is_left(self):
        with self.context() as context:
            with self.assertRaises(ZeroDivisionError):
                with context.save_checkpoint(1) as saved:
                    (saved.dir / "half").write_text("half")
                    raise ZeroDivisionError
            self.assertEqual(list((self.base / "runs/run-1/checkpoints").iterdir()), [])

    def test_what_was_not_finished_is_never_loaded(self):
        manager = self.context().checkpoint_manager
        unfinished = manager.save_checkpoint(1)
        unfinished.__enter__()
        with self.assertRaises(CheckpointNotFoundError):
            with manager.load_checkpoint():
                self.fail("it is not whole")


class Models(Case):
    def test_a_model_is_found_by_its_id_and_nowhere_else(self):
        (self.base / "models" / "m1").mkdir(parents=True)
        context = self.context()
        with context.load_model("m1") as model:
            self.assertEqual((model.id, model.dir), ("m1", self.base / "models" / "m1"))
        for id in ("m2", "../models/m1", "..", ""):
            with self.assertRaises(ModelNotFoundError):
                with context.load_model(id):
                    self.fail(f"{id} is no model")


class Interruptions(Case):
    def test_a_stop_ends_the_context_and_not_the_program(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            after = False
            with self.context():
                os.kill(os.getpid(), number)
                after = True
            self.assertFalse(after)

    def test_a_stop_in_the_middle_of_a_checkpoint_discards_it(self):
        with self.context() as context:
            with context.save_checkpoint(1) as saved:
                (saved.dir / "half").write_text("half")
                os.kill(os.getpid(), signal.SIGTERM)
        self.assertEqual(list((self.base / "runs/run-1/checkpoints").iterdir()), [])

    def test_other_exceptions_come_out(self):
        with self.assertRaises(KeyError):
            with self.context():
                raise KeyError("x")

    def test_parts_that_are_context_managers_are_entered_except_the_datasets(self):
        entered = []

        class Part:
            def __init__(self, name):
                self.name = name

            def __enter__(self):
                entered.append(self.name)

            def __exit__(self, *_):
                entered.append(f"-{self.name}")

        names = ["config_loader", "model_loader", "progress_saver", "metric_saver", "checkpoint_manager"]
        parts = {name: Part(name) for name in names}
        with RunContext(run_id="r", dataset_fetcher=Part("dataset_fetcher"), **parts):
            self.assertEqual(entered, names)
        self.assertEqual(entered, names + [f"-{name}" for name in reversed(names)])


class Datasets(Case):
    def setUp(self):
        super().setUp()
        folder = self.base / "datasets" / "s1" / "train"
        folder.mkdir(parents=True)
        for id, label in (("b", "dog"), ("a", "cat"), ("c", "dog")):
            (folder / id).write_bytes(id.encode())
            (folder / f"{id}.json").write_text(json.dumps({"id": id, "annotations": [{"class_label": label}]}))
        self.folder = folder

    def test_a_split_is_read_by_index(self):
        fetcher = LocalFileDatasetFetcher(base_dir=self.base)
        fetcher.prepare_snapshot_split("s1", "train")
        self.assertEqual((fetcher.num_datums, fetcher.task_type), (3, ""))
        self.assertEqual(fetcher.snapshot, {"snapshot_id": "s1", "split": "train"})
        self.assertEqual([fetcher.get_datum_at_index(i)[0] for i in range(3)], [b"a", b"b", b"c"])
        self.assertEqual(fetcher.get_datum_at_index(1)[1]["id"], "b")
        self.assertEqual(fetcher.get_class_labels(), ["cat", "dog"])
        for index in (-1, 3):
            with self.assertRaises(ValueError):
                fetcher.get_datum_at_index(index)
        (self.folder / "a").unlink()
        with self.assertRaises(DatumNotFoundError):
            fetcher.get_datum_at_index(0)

    def test_a_split_that_does_not_exist_has_no_datums(self):
        fetcher = self.context().dataset_fetcher
        fetcher.prepare_snapshot_split("s1", None)
        self.assertEqual((fetcher.num_datums, fetcher.get_class_labels()), (0, []))


class FakeS3:
    def __init__(self):
        self.objects = {}

    def upload_file(self, Filename, Bucket, Key):
        self.objects[Bucket, Key] = Path(Filename).read_bytes()

    def download_file(self, Bucket, Key, Filename):
        Path(Filename).write_bytes(self.objects[Bucket, Key])

    def get_paginator(self, name):
        assert name == "list_objects_v2"
        return self

    def paginate(self, Bucket, Prefix):
        keys = [key for bucket, key in self.objects if bucket == Bucket and key.startswith(Prefix)]
        return [{"Contents": [{"Key": key}]} for key in keys] + [{}]


class S3(Case):
    def test_a_folder_goes_there_and_back(self):
        (self.base / "src" / "deep").mkdir(parents=True)
        (self.base / "src" / "a").write_text("1")
        (self.base / "src" / "deep" / "b").write_text("2")
        s3 = FakeS3()
        runyard.upload_directory_to_s3(s3, self.base / "src", "bucket", "x/")
        self.assertEqual(sorted(key for _, key in s3.objects), ["x/a", "x/deep/b"])
        runyard.download_directory_from_s3(s3, "bucket", "x/", self.base / "dst")
        self.assertEqual((self.base / "dst" / "deep" / "b").read_text(), "2")

    def test_a_prefix_ends_with_a_slash_and_no_key_leaves_the_folder(self):
        s3 = FakeS3()
        with self.assertRaises(ValueError):
            runyard.upload_directory_to_s3(s3, self.base, "bucket", "x")
        with self.assertRaises(ValueError):
            runyard.download_directory_from_s3(s3, "bucket", "x", self.base)
        s3.objects["bucket", "x/../../evil"] = b"evil"
        with self.assertRaises(ValueError):
            runyard.download_directory_from_s3(s3, "bucket", "x/", self.base / "dst")


if __name__ == "__main__":
    unittest.main()
