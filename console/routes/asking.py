"""A call that starts a run: who asks, and under which id. The same call again under its own key starts nothing."""

import hashlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Request, Response

from console.auth import Asker
from console.contract import Run
from console.routes.views import merge_run, show_run
from console.sources import Sources
from domain.errors import PermanentError, RefusedError

#: What ids of requests are made in, together with the token's name and its key.
KEYS = uuid.UUID("6d1f1f0e-6f0b-5a52-9d3c-6a3c5b0f4c11")


class RefusedRunError(RefusedError):
    """A refusal that stands in the ledger as a run of its own."""

    def __init__(self, refusal: RefusedError, run: Run) -> None:
        super().__init__(refusal.summary, refusal.resolution)
        self.run = run


class KeyReusedError(PermanentError):
    """An idempotency key that came before, with another call."""


@dataclass(frozen=True)
class Asking:
    """`fingerprint` is the hash of the call; None where it has no key, and then `request_id` is a random one."""

    actor: str
    request_id: str
    fingerprint: str | None


async def _read_asking(
    request: Request,
    caller: Asker,
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=200,
            description="Yours, a new one for each thing that you want: the same call under it starts nothing more.",
        ),
    ] = None,
) -> Asking:
    if idempotency_key is None:
        return Asking(caller.name, str(uuid.uuid4()), None)
    call = f"{request.method} {request.scope['path']}\n".encode() + await request.body()
    request_id = str(uuid.uuid5(KEYS, f"{caller.name}\n{idempotency_key}"))
    return Asking(caller.name, request_id, hashlib.sha256(call).hexdigest())


Asked = Annotated[Asking, Depends(_read_asking)]


def answer_once(response: Response, sources: Sources, asking: Asking, start: Callable[[], Run]) -> Run:
    """The run that `start` starts, with its address in `Location`; or the one that the same call started before.

    KeyReusedError where the key came with another call. What was refused then is refused again.
    """
    run = _find_repeated(sources, asking) or start()
    response.headers["Location"] = f"/api/runs/{run.run_id}"
    return run


def find_recorded_version(sources: Sources, asking: Asking) -> int | None:
    """The spec version of the same call before, which came no further than the request; None where there was none.

    The call is about that version still: another one may be the newest by now.
    """
    known = sources.ledger.read_request(asking.request_id) if asking.fingerprint else None
    return known.spec_version if known else None


def _find_repeated(sources: Sources, asking: Asking) -> Run | None:
    """The run of the same call before; None where there was none, or where it came no further than the request."""
    known = sources.ledger.read_request(asking.request_id) if asking.fingerprint else None
    if known is None:
        return None
    if known.fingerprint != asking.fingerprint:
        raise KeyReusedError(
            f"This Idempotency-Key was sent before, with another call: {known.operation} of {known.environment}.",
            "Send a new key for each thing that you want.",
        )
    if sources.ledger.read_run(known.id) is not None:  # a run whose id is its request's was refused here
        run = show_run(sources, known.id)
        raise RefusedRunError(RefusedError(run.error or "", run.resolution or ""), run)
    found = sources.prefect.find_run(known.id)
    return merge_run(sources, sources.ledger.read_run(found.run_id), found) if found else None
