"""The server as a program of a job needs it: reads and writes with the job's token, and waits for a server that is away."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import socket
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any, Callable, Dict, NamedTuple, Optional, TypeVar

from .exceptions import ServerError
from .package import Package

_CHUNK = 1 << 20
_TIMEOUT_S = 60.0
_PAUSE_MAX_S = 5.0
# A server that is being moved may be away for long; a program that waits loses less than one that fails.
_PATIENCE_S = 3600.0
# A person looks at it.
_PATIENCE_USER_S = 60.0

T = TypeVar("T")


class NotFound(Exception):
    """The server has no such thing."""


class Refused(ServerError):
    """The server says no: its status, its words, and each wrong field by its path."""

    def __init__(self, status: int, said: str, errors: Dict[str, Any]):
        super().__init__(f"the server refuses ({status}): {said}")
        self.status = status
        self.said = said
        self.errors = errors


class _Expired(Exception):
    """An address that was signed for a while is used too late."""


class Part(NamedTuple):
    """A part of the output of a run."""

    job: Optional[str]
    text: bytes
    next_offset: int


class Server:
    """Speaks to the server with a token: that of the job, or a person's."""

    def __init__(self, url: str, token: str, patience_s: float = _PATIENCE_S, address_file: Optional[str] = None):
        self._url = url.rstrip("/")
        self._token = token
        self._patience_s = patience_s
        self._address_file = address_file
        self._hurry_until: Optional[float] = None

    @classmethod
    def of_job(cls) -> "Server":
        """The server that this job reports to."""
        env = os.environ
        return cls(env["RUNYARD_URL"], env["RUNYARD_TOKEN"], address_file=env.get("RUNYARD_SERVER_FILE"))

    @classmethod
    def of_user(cls) -> "Server":
        """The server of RUNYARD_URL and RUNYARD_TOKEN, or one on this machine. `ServerError`: there is none."""
        env = os.environ
        base = env.get("XDG_DATA_HOME") or os.path.join(os.path.expanduser("~"), ".local", "share")
        data = Path(env.get("RUNYARD_DATA") or os.path.join(base, "runyard"))
        url, token = env.get("RUNYARD_URL"), env.get("RUNYARD_TOKEN")
        try:
            if not url:
                url = json.loads((data / "server.json").read_text(encoding="utf-8"))["url"]
                # The token of this machine's server is for no other.
                token = token or (data / "token").read_text(encoding="utf-8").strip()
        except (OSError, ValueError, KeyError):
            pass
        if not url or not token:
            raise ServerError(
                f"no server runs on {data}: start one with `runyard serve`, or name one with RUNYARD_URL and RUNYARD_TOKEN"
            )
        return cls(url, token, patience_s=_PATIENCE_USER_S, address_file=str(data / "server.json"))

    def create(self, path: str, body: Any, key: str) -> Any:
        """As `send`, of what is made once for a key, however often it is sent."""
        text = json.dumps(body, allow_nan=False).encode()
        return self._insist(lambda: self._call(f"/api/v2{path}", "POST", text, {"idempotency-key": key}))

    def upload_source(self, package: Package) -> None:
        """Brings a package to the server, unless it is there."""

        def bring() -> None:
            address = f"/api/v2/sources/{package.digest}"
            try:
                _open(self._request(address, "HEAD")).close()
                return
            except urllib.error.HTTPError as error:
                if error.code != 404:
                    raise
                error.close()
            file, length = package.rewound()
            request = self._request("/api/v2/sources", "POST")
            request.data = file
            request.add_header("content-type", "application/zstd")
            request.add_header("content-length", str(length))
            with _open(request) as answer:
                answer.read()

        self._insist(bring)

    def output(self, run: str, offset: int) -> Part:
        """What the newest job of a run has printed from this byte on, a part of it."""

        def read() -> Part:
            with _open(self._request(f"/api/v2/runs/{run}/logs?offset={offset}&limit={_CHUNK}", "GET")) as answer:
                text, headers = answer.read(), answer.headers
                # What was dropped is stood for by a line, which is not as long.
                following = int(headers.get("x-runyard-next-offset") or offset + len(text))
                return Part(headers.get("x-runyard-job-id"), text, following)

        return self._insist(read)

    def get(self, path: str, **query: Any) -> Any:
        """The `data` of `GET /api/v2{path}`. `NotFound` for 404."""
        encoded = urllib.parse.urlencode(query, doseq=True)
        address = f"/api/v2{path}" + (f"?{encoded}" if encoded else "")
        return self._insist(lambda: self._call(address, "GET", None))

    def send(self, path: str, body: Any, method: str = "POST") -> Any:
        """The `data` of the answer to a body of JSON. What may not be sent twice must not be sent so. `Refused`: it is wrong."""
        text = body if isinstance(body, bytes) else json.dumps(body, allow_nan=False).encode()
        return self._insist(lambda: self._call(f"/api/v2{path}", method, text))

    def once(self, path: str, body: Any) -> Any:
        """The same with one attempt, whatever comes of it: OSError, `Refused`."""
        try:
            return self._call(f"/api/v2{path}", "POST", json.dumps(body).encode())
        except urllib.error.HTTPError as error:
            raise _refused(error) from None
        except OSError:
            self._find_again()
            raise

    def archive(self, path: str, known: Dict[str, Any], target: Path) -> None:
        """Brings the archive that `GET /api/v2{path}` leads to, and holds it against its size and SHA-256."""

        def bring() -> None:
            url = urllib.parse.urljoin(self._url, self._redirect(f"/api/v2{path}"))
            try:
                _bring(url, known, target)
            except _Expired as error:
                raise ConnectionError(f"the address of {target.name} has expired: {error}") from None

        self._insist(bring)

    def hurry(self, patience_s: float) -> None:
        """From now on a server that is away is waited for no longer than this. May be called by a signal handler."""
        self._hurry_until = time.monotonic() + patience_s

    def _call(self, address: str, method: str, body: Optional[bytes], headers: Optional[Dict[str, str]] = None) -> Any:
        request = self._request(address, method, body)
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        with _open(request) as answer:
            return json.loads(answer.read())["data"]

    def _request(self, address: str, method: str, body: Optional[bytes] = None) -> urllib.request.Request:
        request = urllib.request.Request(self._url + address, data=body, method=method)
        request.add_header("authorization", f"Bearer {self._token}")
        if body is not None:
            request.add_header("content-type", "application/json")
        return request

    def _redirect(self, address: str) -> str:
        """Where a signed address is. It is not followed here: the token belongs to this server alone."""
        try:
            with _open(self._request(address, "GET"), _Stay()) as answer:
                raise ServerError(f"{address} leads nowhere ({answer.status})")
        except urllib.error.HTTPError as error:
            if error.code in (302, 303, 307):
                error.close()
                return str(error.headers["location"])
            raise

    def download(self, files: Callable[[], Dict[str, Dict[str, Any]]], folder: Path) -> None:
        """Brings all files into `folder`, each verified; goes on where an earlier download ended. `files` says anew
        where each can be read, since addresses expire."""
        known = files()
        for path in sorted(known):
            target = folder.joinpath(*_parts(path))
            target.parent.mkdir(parents=True, exist_ok=True)

            def bring() -> None:
                nonlocal known
                try:
                    _bring(self._absolute(known[path]["url"]), known[path], target)
                except _Expired:
                    known = files()
                    _bring(self._absolute(known[path]["url"]), known[path], target)

            self._insist(bring)

    def _absolute(self, url: str) -> str:
        return self._url + url if url.startswith("/") else url

    def _insist(self, call: Callable[[], T]) -> T:
        """Tries again, for long, whatever may be better later."""
        pause, until = 0.1, time.monotonic() + self._patience_s
        while True:
            try:
                return call()
            except urllib.error.HTTPError as error:
                if error.code == 404:
                    raise NotFound(_said(error)) from None
                if error.code not in (429, 500, 502, 503, 504):
                    raise _refused(error) from None
                error.close()
                problem: Exception = error
            except _Expired as error:
                raise ServerError(f"the server refuses a file: {error}") from None
            # Not every OSError: a full disk is not worth waiting for.
            except (urllib.error.URLError, http.client.HTTPException, ConnectionError, socket.timeout) as error:
                problem = error
            if time.monotonic() + pause > min(until, self._hurry_until or until):
                raise ServerError(f"the server at {self._url} cannot be used: {problem}") from problem
            time.sleep(pause)
            pause = min(2 * pause, _PAUSE_MAX_S)
            self._find_again()

    def _find_again(self) -> None:
        """A server that was started again on this machine may be elsewhere: a file says where."""
        try:
            with open(self._address_file or "", encoding="utf-8") as file:
                self._url = json.load(file)["url"].rstrip("/")
        except (OSError, ValueError, KeyError):
            pass


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirection."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _open(request: urllib.request.Request, *handlers: urllib.request.BaseHandler) -> Any:
    host = (urllib.parse.urlsplit(request.full_url).hostname or "").lower()
    if host == "localhost" or host == "::1" or host.startswith("127."):
        # What is on this machine is never asked through a proxy.
        return urllib.request.build_opener(urllib.request.ProxyHandler({}), *handlers).open(request, timeout=_TIMEOUT_S)
    return urllib.request.build_opener(*handlers).open(request, timeout=_TIMEOUT_S)


def _said(error: urllib.error.HTTPError) -> str:
    return _refused(error).said


def _refused(error: urllib.error.HTTPError) -> Refused:
    with error:
        body = error.read(_CHUNK)
    try:
        answer = json.loads(body)
        return Refused(error.code, str(answer["error"]), answer.get("errors") or {})
    except (ValueError, KeyError, TypeError, AttributeError):
        return Refused(error.code, body.decode(errors="replace")[:200] or str(error.reason), {})


def _parts(path: str) -> "list[str]":
    parts = path.split("/")
    if not path or any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise ServerError(f"the server names a file {path!r}, which would be outside of its folder")
    return parts


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for chunk in iter(lambda: file.read(_CHUNK), b""):
            digest.update(chunk)
    return digest.hexdigest()


def _bring(url: str, known: Dict[str, Any], target: Path) -> None:
    """Brings one file, unless it is there; what came before is kept and only the rest is asked for."""
    size, sha256 = known["size"], known["sha256"]
    if target.is_file() and target.stat().st_size == size and _digest(target) == sha256:
        return
    partial = target.with_name(target.name + ".partial")
    have = partial.stat().st_size if partial.exists() else 0
    if have > size:
        partial.unlink()
        have = 0
    if have < size or size == 0:
        request = urllib.request.Request(url)
        if have:
            request.add_header("range", f"bytes={have}-")
        try:
            with _open(request) as answer, open(partial, "ab") as file:
                if have and answer.status != 206:
                    file.truncate(0)
                for chunk in iter(lambda: answer.read(_CHUNK), b""):
                    file.write(chunk)
        except urllib.error.HTTPError as error:
            if error.code == 403:
                raise _Expired(_said(error)) from None
            raise
    if partial.stat().st_size < size:
        raise ConnectionError(f"{target.name} arrived only in part")
    if _digest(partial) != sha256:
        partial.unlink()
        raise ConnectionError(f"{target.name} arrived damaged")
    partial.replace(target)
