"""What every call passes before a route sees it: who asks, how often, whether they may, and how much they send.

It stands before the body is read, so that a stranger's bytes are never parsed.
"""

from anyio import to_thread
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from console.access import OPEN_PATHS
from console.auth import UnauthorizedError, authenticate, authorize
from console.errors import answer_error
from console.limiter import Limiter
from console.sources import Sources
from domain.access import Caller
from domain.errors import TerrariumError


class Gate:
    """Middleware: lets a call through with its `caller` in the request's state, or answers in the one shape.

    `scope["path"]` is what the router goes by; the request's own address is made of a header that the client sends.
    """

    def __init__(self, app: ASGIApp, sources: Sources, limiter: Limiter, body_bytes: int) -> None:
        self._app, self._sources, self._limiter, self._body_bytes = app, sources, limiter, body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One call."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            return await self._app(scope, receive, send)
        request = Request(scope)
        try:
            # On a thread, because the ledger is asked.
            scope.setdefault("state", {})["caller"] = await to_thread.run_sync(self._admit, request)
        except TerrariumError as error:
            return await answer_error(request, error)(scope, receive, send)
        return await self._app(scope, self._limit_body(receive), send)

    def _admit(self, request: Request) -> Caller:
        try:
            caller = authenticate(self._sources, request.headers.get("Authorization", ""))
        except UnauthorizedError:
            self._limiter.count(f"address {request.client.host if request.client else 'of nobody'}")
            raise
        self._limiter.count(f"token {caller.name}")
        authorize(caller, request.method, request.scope["path"])
        return caller

    def _limit_body(self, receive: Receive) -> Receive:
        seen_bytes = 0

        async def receive_limited() -> Message:
            nonlocal seen_bytes
            message = await receive()
            seen_bytes += len(message.get("body", b""))
            if seen_bytes > self._body_bytes:
                raise HTTPException(413, f"The body is larger than {self._body_bytes} bytes")
            return message

        return receive_limited
