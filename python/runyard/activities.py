"""The elements of a worker run: claimed under a lease that a thread renews, committed in batches, given back. Whose an element
is the server decides; what comes from a lease that was lost is dropped, and said."""

from __future__ import annotations

import http.client
import logging
import os
import threading
import time
import urllib.parse
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

from .exceptions import ServerError
from .server import Refused, Server

log = logging.getLogger("runyard")

# Renewals in the life of a lease.
_RENEWALS = 3
# What one attempt at a call may end with.
_TROUBLE = (OSError, ValueError, http.client.HTTPException, ServerError)


class Element:
    """An element to process."""

    def __init__(self, known: Dict[str, Any]):
        #: Id, slug of its type, name.
        self.id: str = known.get("element_id") or known["id"]
        self.type: str = known["type"]
        self.name: str = known["name"]
        #: What was stored with it.
        self.payload: Dict[str, Any] = known.get("payload") or {}
        #: The image that it is on: id, url, width, height; and where: points `[x, y]`, None for all of it.
        self.image: Optional[Dict[str, Any]] = known.get("image")
        self.polygon: Optional[List[List[int]]] = known.get("polygon")
        #: Degrees, clockwise, and whether it is seen in a mirror.
        self.rotation_angle: int = known.get("rotation_angle", 0)
        self.mirrored: bool = known.get("mirrored", False)
        #: Which attempt at it this is, from 1; 0 when nothing is written.
        self.attempt: int = known.get("attempt", 0)

    def __repr__(self) -> str:
        return f"Element({self.id!r}, type={self.type!r}, name={self.name!r})"

    def image_path(self) -> Optional[Path]:
        """The file of its image, where that is one of this machine (`file://...`)."""
        url = urllib.parse.urlsplit((self.image or {}).get("url", ""))
        if url.scheme != "file" or url.netloc not in ("", "localhost") or not url.path.startswith("/"):
            return None
        return Path(urllib.parse.unquote(url.path))

    def image_bytes(self) -> bytes:
        """The bytes of its image: of a file of this machine, or from an address of HTTP."""
        if self.image is None:
            raise ValueError(f"element {self.id} has no image")
        path = self.image_path()
        if path is not None:
            return path.read_bytes()
        url = self.image["url"]
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"the image {url} of element {self.id} cannot be read from here")
        with urllib.request.urlopen(url, timeout=60) as answer:
            return bytes(answer.read())


def own_name() -> str:
    """Who this process is in a worker run: what its job says, or a name that no other process has."""
    return os.environ.get("RUNYARD_WORKER_HOLDER") or f"worker-{os.getpid()}-{time.time_ns():x}"


class Activities:
    """What a worker does with the elements of a worker run."""

    def __init__(self, server: Server, worker_run: str, holder: str, lease_ms: int):
        self._server = server
        self._path = f"/worker_runs/{urllib.parse.quote(worker_run, safe='')}"
        self._holder = holder
        self._lease_ms = lease_ms

    def claim(self, limit: int) -> Tuple[List[Element], int]:
        """Takes up to so many elements, while none is held; with none: how many are left that others hold."""
        body = {"holder": self._holder, "limit": limit, "lease_ms": self._lease_ms}
        try:
            answer = self._server.once(f"{self._path}/claim", body)
        except _TROUBLE as error:
            # What a claim took whose answer was lost would be renewed for ever: it is given back first.
            log.debug("a claim is tried again: %s", error)
            self.release()
            answer = self._server.send(f"{self._path}/claim", body)
        return [Element(known) for known in answer["claimed"]], answer["left"]

    def select(self, elements: List[str]) -> None:
        """Adds elements to the worker run that it does not have."""
        for at in range(0, len(elements), 10_000):
            selection = {"elements": elements[at : at + 10_000]}
            self._server.send(f"{self._path}/select", {"selection": selection})

    def start(self, element: str) -> Optional[int]:
        """Takes this element, also one that failed before; answers its attempt. None: it is done, or another's."""
        body = {"state": "started", "holder": self._holder}
        try:
            return int(self._server.send(f"{self._path}/activities/{element}", body, method="PUT")["attempt"])
        except Refused as error:
            if error.status != 409:
                raise
        # When the answer to a start was lost, it is ours all the same.
        for known in self._server.get(f"{self._path}/activities", element_id=element):
            if known["state"] == "started" and known.get("holder") == self._holder:
                return int(known["attempt"])
        return None

    def commit(self, items: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
        """Commits items; answers each with `outcome`, as it was committed. What the server refuses of one is its failure."""
        waiting, done = [items], []
        while waiting:
            some = waiting.pop()
            if not some:
                continue
            try:
                answers = self._server.send(f"{self._path}/commit", {"items": some})
            except Refused as error:
                if error.status == 413 and len(some) > 1:
                    middle = len(some) // 2
                    waiting += [some[middle:], some[:middle]]
                    continue
                waiting.append(_blame(some, error))
                continue
            done += [{**item, **answer} for item, answer in zip(some, answers)]
        return done

    def release(self) -> int:
        """Gives back all that is held; answers how many."""
        return int(self._server.send(f"{self._path}/release", {"holder": self._holder})["count"])

    def counts(self) -> Dict[str, int]:
        """How many elements are in each state, whoever processed them."""
        return dict(self._server.get(self._path)["counts"])

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Renews the leases in the background, as long as this is open."""
        ended = threading.Event()
        thread = threading.Thread(target=self._renew, args=(ended,), name="runyard-leases", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()

    def _renew(self, ended: threading.Event) -> None:
        pause = self._lease_ms / 1000 / _RENEWALS
        body = {"holder": self._holder, "lease_ms": self._lease_ms}
        while not ended.wait(pause):
            try:
                self._server.once(f"{self._path}/renew", body)
            except _TROUBLE as error:
                # The work goes on: until somebody else takes an element, its commit is accepted.
                log.warning("the leases could not be renewed, and it is tried again: %s", error)


def _blame(items: List[Dict[str, Any]], error: Refused) -> List[Dict[str, Any]]:
    """The same items, those whose results were refused as failures."""
    wrong: Dict[int, List[str]] = {}
    if error.status == 413 and len(items) == 1:
        wrong[0] = [error.said]
    if error.status == 422:
        for path, messages in error.errors.items():
            parts = path.split(".", 2)
            if len(parts) < 3 or parts[0] != "items" or not parts[1].isdigit():
                raise error
            wrong.setdefault(int(parts[1]), []).append(f"{parts[2]}: {', '.join(messages)}")
    # One that has no results any more cannot be wrong for them: the refusal means something else.
    if not wrong or any(index >= len(items) or not items[index].get("results") for index in wrong):
        raise error
    mended = list(items)
    for index, messages in wrong.items():
        reason = f"the server refuses its results: {'; '.join(messages)}"
        mended[index] = failure(items[index], reason)
    return mended


def failure(item: Dict[str, Any], reason: str) -> Dict[str, Any]:
    """A failure of the element of this item."""
    return {"element_id": item["element_id"], "attempt": item["attempt"], "state": "error", "error": reason}
