"""The CLI's way to the API, by the standard library: httpx alone would take a third of a second to import."""

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from console.cli.output import CommandError

TIMEOUT_SECONDS = 30
PART_BYTES = 1 << 20


class Api:
    """The API at `url`, with the token of the person who ran `make up`. Errors are raised as CommandError."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url.rstrip("/")
        self._token = token
        # No proxies: the API is on loopback, or an address that the person wrote down.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def get(self, path: str) -> dict[str, Any]:
        """Read."""
        return self.call("GET", path)

    def post(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask for something."""
        return self.call("POST", path, body or {})

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """The JSON answer; CommandError for an error and for an API that does not answer."""
        request = urllib.request.Request(  # noqa: S310 (the address is a setting, no file or answer gives it)
            self.url + path,
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"},
        )
        with self._open(request) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def stream(self, path: str) -> Iterator[bytes]:
        """A long answer, part by part."""
        headers = {"Authorization": f"Bearer {self._token}"}
        request = urllib.request.Request(self.url + path, headers=headers)  # noqa: S310 (as in `call`)
        with self._open(request) as answer:
            while part := answer.read(PART_BYTES):
                yield part

    @contextmanager
    def _open(self, request: urllib.request.Request) -> Iterator[Any]:
        try:
            with self._opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
                yield answer
        except urllib.error.HTTPError as error:
            raise _read_failure(error) from error
        except (OSError, http.client.HTTPException) as error:
            raise CommandError(
                "unavailable",
                f"The API at {self.url} does not answer: {getattr(error, 'reason', error)}.",
                "Run `make up`; `terrarium doctor` finds what is in its way.",
            ) from error


def _read_failure(error: urllib.error.HTTPError) -> CommandError:
    try:
        body = json.load(error)
        problem = body["error"]
        return CommandError(problem["kind"], problem["summary"], problem["resolution"], body)
    except (ValueError, KeyError, TypeError):
        return CommandError(
            "failed", f"The API answered HTTP {error.code}.", "See the log of the api with `make status`."
        )


def connect() -> Api:
    """The API of the stack that runs from this checkout; CommandError where none is up."""
    from console.cli.place import read_place

    place = read_place()
    return Api(place.api_url, place.token)
