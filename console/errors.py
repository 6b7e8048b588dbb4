"""Every error in the one shape, with the HTTP status that its kind asks for."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from console.auth import ForbiddenError, UnauthorizedError, WrongMethodError
from console.contract import ErrorAnswer, ErrorKind, Fault, Problem
from console.limiter import TooManyError
from console.routes.asking import KeyReusedError, RefusedRunError
from console.sources import UnknownError
from domain.errors import PermanentError, RefusedError, TemporaryError, TerrariumError
from domain.spec_fault import SpecError

#: Errors from the most to the least particular, with their kind and HTTP status.
KINDS: tuple[tuple[type[TerrariumError], ErrorKind, int], ...] = (
    (UnauthorizedError, "unauthorized", 401),
    (ForbiddenError, "forbidden", 403),
    (UnknownError, "unknown", 404),
    (WrongMethodError, "bad_request", 405),
    (KeyReusedError, "conflict", 422),
    (SpecError, "broken_spec", 422),
    (TooManyError, "too_many", 429),
    (RefusedError, "refused", 409),
    (TemporaryError, "unavailable", 503),
    (PermanentError, "conflict", 409),
)
HTTP_KINDS: dict[int, ErrorKind] = {404: "unknown", 413: "too_large"}


def add_error_answers(app: FastAPI) -> None:
    """Have every error answered in the one shape."""
    app.add_exception_handler(TerrariumError, answer_error)
    app.add_exception_handler(RequestValidationError, _answer_bad_request)
    app.add_exception_handler(HTTPException, _answer_http_error)
    app.add_exception_handler(Exception, _answer_surprise)


def answer_error(_: Request, error: Exception) -> JSONResponse:
    """Every error of ours in the one shape, with the status that its kind asks for."""
    assert isinstance(error, TerrariumError)
    kind, status_code = next((kind, code) for type_, kind, code in KINDS if isinstance(error, type_))
    faults = [Fault(**fault._asdict()) for fault in error.faults] if isinstance(error, SpecError) else []
    answer = ErrorAnswer(
        error=Problem(kind=kind, summary=error.summary, resolution=error.resolution, faults=faults),
        run=error.run if isinstance(error, RefusedRunError) else None,
    )
    headers = {"WWW-Authenticate": "Bearer"} if kind == "unauthorized" else {}
    if isinstance(error, WrongMethodError):
        headers["Allow"] = ", ".join(error.allowed)
    if isinstance(error, TooManyError):
        headers["Retry-After"] = str(error.delay_seconds)
    return JSONResponse(answer.to_json(), status_code, headers=headers)


def _answer_bad_request(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    places = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
    return _answer_plainly(422, "bad_request", f"The request is not what this address takes: {'; '.join(places)}.")


def _answer_http_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    answer = _answer_plainly(error.status_code, HTTP_KINDS.get(error.status_code, "bad_request"), f"{error.detail}.")
    answer.headers.update(error.headers or {})
    return answer


def _answer_surprise(_: Request, error: Exception) -> JSONResponse:
    """A fault of ours. Its text may hold anything, so only its type is told; the log of the API has the rest."""
    summary = f"The API failed: {type(error).__name__}."
    problem = Problem(
        kind="failed", summary=summary, resolution="Read the log of the api in the state folder, logs/api.log."
    )
    return JSONResponse(ErrorAnswer(error=problem).to_json(), 500)


def _answer_plainly(status_code: int, kind: ErrorKind, summary: str) -> JSONResponse:
    problem = Problem(kind=kind, summary=summary, resolution="See /openapi.json for what there is.")
    return JSONResponse(ErrorAnswer(error=problem).to_json(), status_code)
