"""Workers that process each element of a worker run: claims, failures, commits. Nothing is claimed ahead: what is handed out alone,
because its workers died before, has to be alone."""

from __future__ import annotations

import argparse
import json
import os
import time
import uuid
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from . import values
from .activities import Activities, Element, failure, log, own_name
from .worker import NothingToDo, Worker

# Elements that are claimed at once when nothing was said.
_BATCH = 100
# What is done is committed at least this often: a kill costs no more.
_COMMIT_EVERY_S = 2.0
# Well below what the server takes as one commit.
_COMMIT_BYTES = 4 << 20
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0
_PAGE = 1000
_FETCHED = 100

# Of each element what it is, and its results or why there are none.
Outcome = Tuple[Element, Optional[Dict[str, Any]], Optional[str]]


class ElementsWorker(Worker):
    """Processes elements, one by one or in batches:

        class Lengths(runyard.ElementsWorker):
            def process_element(self, element):
                return {"classifications": [{"class": "long" if len(element.name) > 10 else "short", "confidence": 1.0}]}

        if __name__ == "__main__":
            Lengths().run()
    """

    #: How many elements `process_batch` wants at once; 1: it is never called.
    batch_size = 1

    def process_element(self, element: Element) -> Optional[Dict[str, Any]]:
        """What there is to say of one element: `classifications`, `transcriptions`, `metadata`, `children`. To be overridden.

        An exception is recorded with the element, and the next one follows.
        """
        raise NotImplementedError("write process_element")

    def process_batch(self, elements: List[Element]) -> Sequence[Optional[Dict[str, Any]]]:
        """The same for several elements at once, in their order. To be overridden, with `batch_size`.

        When it fails, each element is given to `process_element`, so that only those fail that must.
        """
        return [self.process_element(element) for element in elements]

    def _parser(self) -> argparse.ArgumentParser:
        parser = super()._parser()
        parser.add_argument("--element", nargs="+", action="extend", metavar="ID", default=[], help="only these elements")
        parser.add_argument("--elements-list", metavar="FILE", help='only these elements: JSON, [{"id": "..."}, ...]')
        parser.add_argument("--batch", type=_batch, help="claim so many elements at once, 1 to 1000")
        return parser

    def _work(self) -> int:
        self._ran = self._failed = self._dropped = 0
        chosen = self._chosen()
        self._read()
        self.configure()
        if chosen is None and self.args.set:
            chosen = self._of_sets()
        batch = self.args.batch or int(os.environ.get("RUNYARD_WORKER_BATCH") or _BATCH)
        if self.read_only or self.worker_run is None:
            all_failed = self._look_at(chosen, batch)
        else:
            all_failed = self._work_in(self.worker_run, chosen, batch)
        completed = self._ran - self._failed - self._dropped
        log.info("Ran on %d element(s): %d completed, %d failed", self._ran, completed, self._failed)
        if self._stopped:
            return 143
        return 1 if all_failed else 0

    _stopped = False

    def _work_in(self, run: Dict[str, Any], chosen: Optional[List[str]], batch: int) -> bool:
        lease_ms = int(os.environ.get("RUNYARD_WORKER_LEASE_MS") or run["lease_ms"])
        activities = Activities(self.server, run["id"], own_name(), lease_ms)
        with activities.kept():
            try:
                if chosen is not None:
                    self._work_through(activities, chosen, batch)
                    return self._failed >= self._ran
                self._claim_all(activities, batch)
                if self._stopped:
                    return False
                return self._judge(activities, run)
            finally:
                if self._stopped:
                    released = activities.release()
                    log.info("%d elements were given back", released)

    def _claim_all(self, activities: Activities, batch: int) -> None:
        pause = _FIRST_PAUSE_S
        while not self._stop.is_set():
            elements, left = activities.claim(batch)
            if elements:
                pause = _FIRST_PAUSE_S
                self._process(activities, elements)
            elif left == 0:
                return
            else:
                # What others hold may come back, and what a claim took whose answer was lost.
                self._stop.wait(pause)
                activities.release()
                pause = min(2 * pause, _LONGEST_PAUSE_S)
        self._stopped = True

    @staticmethod
    def _judge(activities: Activities, run: Dict[str, Any]) -> bool:
        """Whether the whole worker run went wrong, in whichever process."""
        counts = activities.counts()
        if counts["processed"] + counts["error"] == 0:
            raise NothingToDo(f"worker run {run['id']} has no elements: there is nothing to process")
        return counts["processed"] == 0

    def _work_through(self, activities: Activities, chosen: List[str], batch: int) -> None:
        activities.select(chosen)
        for at in range(0, len(chosen), batch):
            started = []
            for id in chosen[at : at + batch]:
                if self._stop.is_set():
                    self._stopped = True
                    return
                attempt = activities.start(id)
                if attempt is None:
                    log.info("element %s is done, or under work elsewhere: it is left alone", id)
                    self._ran += 1
                    continue
                started.append(Element({**self.server.get(f"/elements/{id}"), "attempt": attempt}))
            self._process(activities, started)

    def _process(self, activities: Activities, elements: List[Element]) -> None:
        """Processes elements that are held, and commits what came of them. After a stop, the rest stays held."""
        done: List[Dict[str, Any]] = []
        bytes, since = 0, time.monotonic()
        for element, results, error in self._outcomes(elements):
            item: Dict[str, Any] = {"element_id": element.id, "attempt": element.attempt, "state": "processed"}
            if error is not None:
                item = failure(item, error)
            elif results:
                item["results"] = results
                bytes += len(json.dumps(results))
            done.append(item)
            if bytes >= _COMMIT_BYTES or time.monotonic() - since >= _COMMIT_EVERY_S:
                self._commit(activities, done)
                done, bytes, since = [], 0, time.monotonic()
        self._commit(activities, done)

    def _commit(self, activities: Activities, items: List[Dict[str, Any]]) -> None:
        for item in activities.commit(items):
            self._ran += 1
            if item["outcome"] not in ("accepted", "repeated"):
                self._dropped += 1
                log.warning("element %s: its results are dropped: %s", item["element_id"], item.get("reason"))
            elif item["state"] == "error":
                self._failed += 1
                log.warning("element %s failed: %s", item["element_id"], item["error"])

    def _outcomes(self, elements: List[Element]) -> Iterator[Outcome]:
        size = max(1, int(self.batch_size))
        for at in range(0, len(elements), size):
            if self._stop.is_set():
                self._stopped = True
                return
            some = elements[at : at + size]
            batch = self._try_batch(some) if size > 1 else None
            for index, element in enumerate(some):
                yield self._outcome(element, batch[index] if batch is not None else None, batch is not None)

    def _try_batch(self, elements: List[Element]) -> Optional[List[Any]]:
        try:
            all = list(self.process_batch(elements))
        except Exception:
            log.warning("a batch failed, and its elements are processed one by one", exc_info=True)
            return None
        if len(all) == len(elements):
            return all
        log.warning("a batch of %d has %d results: its elements are processed one by one", len(elements), len(all))
        return None

    def _outcome(self, element: Element, found: Any, done: bool) -> Outcome:
        try:
            if not done:
                found = self.process_element(element)
            return element, _results(found), None
        except Exception as error:
            log.debug("element %s", element.id, exc_info=True)
            return element, None, f"{type(error).__name__}: {error}"

    def _chosen(self) -> Optional[List[str]]:
        """The elements that the command line names; None: it names none."""
        given, path = self.args.element, self.args.elements_list
        if given and path:
            raise NothingToDo("--element and --elements-list both name elements: give one of them")
        if not given and not path:
            return None
        if self.args.set:
            raise NothingToDo("--set goes with neither --element nor --elements-list: give one of them")
        ids = given or _listed(path)
        for id in ids:
            try:
                uuid.UUID(id)
            except ValueError:
                raise NothingToDo(f"{id!r} is not the id of an element: ids are UUIDs") from None
        if not ids:
            raise NothingToDo("no elements are named: there is nothing to process")
        return list(dict.fromkeys(ids))

    def _of_sets(self) -> List[str]:
        found: Dict[str, None] = {}
        for dataset, set in self.args.set:
            known = self.server.get(f"/datasets/{dataset}")
            names = [one["name"] for one in known["sets"]]
            if set not in names:
                raise NothingToDo(f"dataset {known['name']!r} has no set {set!r}: it has {', '.join(names)}")
            after: Dict[str, str] = {}
            while True:
                page = self.server.get(f"/datasets/{dataset}/elements", set=set, limit=_PAGE, **after)
                found.update((one["element_id"], None) for one in page)
                if len(page) < _PAGE:
                    break
                after = {"id_after": page[-1]["element_id"], "set_after": set}
        if not found:
            raise NothingToDo("the sets have no elements: there is nothing to process")
        return list(found)

    def _look_at(self, chosen: Optional[List[str]], batch: int) -> bool:
        """Processes elements and writes nothing: those that were named, or those of the worker run."""
        log.warning("read-only: nothing is written")
        for elements in self._pages(chosen, batch):
            for element, results, error in self._outcomes(elements):
                self._ran += 1
                if error is None:
                    log.info("element %s: not written: %s", element.id, json.dumps(results)[:2000])
                else:
                    self._failed += 1
                    log.warning("element %s failed: %s", element.id, error)
            if self._stopped:
                return False
        if self._ran == 0:
            raise NothingToDo("there is nothing to process: name elements with --element, --elements-list or --set")
        return self._failed >= self._ran

    def _pages(self, chosen: Optional[List[str]], batch: int) -> Iterator[List[Element]]:
        if chosen is not None:
            for at in range(0, len(chosen), batch):
                yield [Element(self.server.get(f"/elements/{id}")) for id in chosen[at : at + batch]]
            return
        if self.worker_run is None:
            return
        path, after = f"/worker_runs/{self.worker_run['id']}/activities", {}
        while True:
            page = self.server.get(path, limit=_FETCHED, **after)
            if not page:
                return
            ids = [one["element_id"] for one in page]
            corpus = self.worker_run["corpus_id"]
            yield [Element(one) for one in self.server.get("/elements", corpus_id=corpus, id=ids, limit=_FETCHED)]
            after = {"id_after": ids[-1]}


def _batch(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"{text} is no number from 1 to 1000")
    return int(text)


def _listed(path: str) -> List[str]:
    try:
        entries = json.loads(Path(path).read_text(encoding="utf-8"))
        return [str(entry["id"]) for entry in entries if entry.get("id")]
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise NothingToDo(f'--elements-list {path} is no list [{{"id": ...}}, ...]: {error}') from None


def _results(found: Any) -> Dict[str, Any]:
    """Results as JSON has them: scalars of numpy are numbers, NaN is nothing that can be said."""
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise TypeError(f"results are a dict of lists, not {type(found).__name__}")
    return dict(json.loads(json.dumps(found, allow_nan=False, default=_plain)))


def _plain(value: Any) -> Any:
    plain = values.plain(value)
    if plain is value:
        raise TypeError(f"results have a {type(value).__name__}, which JSON cannot say")
    return plain
