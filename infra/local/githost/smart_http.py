"""git's smart HTTP through `git http-backend`: one process per request, streamed, with an end in time."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import IO
from wsgiref.types import StartResponse, WSGIEnvironment

from infra.local.githost.git import Git

SECONDS_PER_REQUEST = 300.0
_PIECE = 64 * 1024
_MAX_HEADERS = 50


class GitResponse:
    """Runs `git http-backend` for one WSGI request; iterating gives the body, `close` ends whatever still runs."""

    def __init__(
        self,
        git: Git,
        request: WSGIEnvironment,
        start_response: StartResponse,
        variables: dict[str, str],
        closed: Callable[[], None],
    ) -> None:
        """`variables`: what http-backend and the hooks read. `closed` is called once after the process has ended."""
        self._closed = closed
        self._process = subprocess.Popen(
            ["git", "http-backend"],
            env={**git.environment(), **_cgi(request), **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._watchdog = threading.Timer(SECONDS_PER_REQUEST, self._kill)
        self._watchdog.daemon = True
        self._watchdog.start()
        length = int(request.get("CONTENT_LENGTH") or 0)
        # Its own thread: git answers while it still reads.
        threading.Thread(target=self._feed, args=(request["wsgi.input"], length), daemon=True).start()
        self._answer(start_response)

    def __iter__(self) -> Iterator[bytes]:
        while piece := self._output.read1(_PIECE):  # type: ignore[attr-defined]
            yield piece

    def close(self) -> None:
        """Called by the server when the answer is out, or the client has gone away."""
        self._output.close()
        try:
            # A push whose client went away is still taken to its end: half a push is none to git, a whole one counts.
            self._process.wait(GIT_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._kill()
            self._process.wait()
        self._watchdog.cancel()
        self._closed()

    @property
    def _output(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def _answer(self, start_response: StartResponse) -> None:
        status, headers = "200 OK", []
        for _ in range(_MAX_HEADERS):
            line = self._output.readline().strip().decode("latin-1")
            if not line:
                break
            name, _, value = line.partition(":")
            if name.lower() == "status":
                status = value.strip()
            else:
                headers.append((name, value.strip()))
        if not headers:
            status, headers = "500 Internal Server Error", [("Content-Type", "text/plain")]
        start_response(status, headers)

    def _feed(self, body: IO[bytes], left: int) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        try:
            with pipe:
                while left > 0 and (piece := body.read(min(_PIECE, left))):
                    pipe.write(piece)
                    left -= len(piece)
        except (BrokenPipeError, ValueError):
            return  # git ended early, for example because it refused the push

    def _kill(self) -> None:
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return


GIT_END_SECONDS = 30.0
"""For hooks that still run after the last byte was written."""


def _cgi(request: WSGIEnvironment) -> dict[str, str]:
    names = {
        "REQUEST_METHOD": "REQUEST_METHOD",
        "QUERY_STRING": "QUERY_STRING",
        "CONTENT_TYPE": "CONTENT_TYPE",
        "CONTENT_LENGTH": "CONTENT_LENGTH",
        "HTTP_CONTENT_ENCODING": "HTTP_CONTENT_ENCODING",
        "HTTP_GIT_PROTOCOL": "GIT_PROTOCOL",
    }
    return {cgi: request[wsgi] for wsgi, cgi in names.items() if request.get(wsgi)}
