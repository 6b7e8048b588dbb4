"""The REST API: it writes specs and requests to the ledger, starts runs in Prefect, and reads. It never acts itself.

Routes are plain functions, so FastAPI runs each on a thread and a slow database blocks nobody else.
"""

from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from console.auth import UnauthorizedError, authorize, read_token_hash
from console.contract import ErrorAnswer, ErrorKind, Fault, Problem
from console.routes import environments, evidence, metrics, runs, status
from console.routes.requests import RefusedRunError
from console.sources import Sources, UnknownError
from domain.errors import PermanentError, RefusedError, TemporaryError, TerrariumError
from domain.evidence import Anchor
from domain.spec_fault import SpecError

#: Errors from the most to the least particular, with their kind and HTTP status.
KINDS: tuple[tuple[type[TerrariumError], ErrorKind, int], ...] = (
    (UnauthorizedError, "unauthorized", 401),
    (UnknownError, "unknown", 404),
    (SpecError, "broken_spec", 422),
    (RefusedError, "refused", 409),
    (TemporaryError, "unavailable", 503),
    (PermanentError, "conflict", 409),
)
ERROR_CODES: dict[int | str, dict[str, Any]] = {code: {"model": ErrorAnswer} for code in (401, 404, 409, 422, 500, 503)}


def create_app(sources: Sources | None = None, token_hash: bytes | None = None) -> FastAPI:
    """The application; what is not given is opened as the settings say."""
    # No /docs: its page loads scripts from elsewhere.
    app = FastAPI(
        title="Terrarium",
        description="Environments from one YAML file: made, watched and removed by Prefect flows.",
        docs_url=None,
        redoc_url=None,
        dependencies=[Depends(authorize)],
        responses=ERROR_CODES,
    )
    app.state.sources = sources or _open_sources()
    app.state.token_hash = token_hash or _read_own_token()
    for router in (environments.router, runs.router, status.router, evidence.router, metrics.router):
        app.include_router(router)
    app.add_exception_handler(TerrariumError, _answer_error)
    app.add_exception_handler(RequestValidationError, _answer_bad_request)
    app.add_exception_handler(HTTPException, _answer_http_error)
    app.add_exception_handler(Exception, _answer_surprise)
    return app


def _open_sources() -> Sources:
    from blocks.environment_files import FOLDER
    from blocks.ledger import open_ledger
    from blocks.logs import write_json
    from blocks.prefect_api import open_prefect
    from blocks.settings import read_settings

    settings = read_settings()
    if settings.log_format == "json":
        write_json()
    return Sources(
        ledger=open_ledger(settings.ledger_url.get_secret_value()),
        prefect=open_prefect(settings.prefect_api_url),
        prefect_url=settings.prefect_url,
        environments_dir=FOLDER,
        list_anchors=_list_anchors,
    )


def _list_anchors() -> list[Anchor]:
    """The anchors in the vault. Importing what asks AWS takes a second, so only who wants them waits for it."""
    from blocks.prefect_api import read_auth
    from blocks.settings import read_settings
    from blocks.vault import find_account, list_anchors

    settings = read_settings()
    return list_anchors(
        find_account(settings.prefect_api_url, settings.vault_account, read_auth()), settings.ledger_name
    )


def _read_own_token() -> bytes:
    from blocks.settings import read_settings

    return read_token_hash(read_settings().state_dir / "token")


def _answer_error(_: Request, error: Exception) -> JSONResponse:
    """Every error of ours in the one shape, with the status that its kind asks for."""
    assert isinstance(error, TerrariumError)
    kind, status_code = next((kind, code) for type_, kind, code in KINDS if isinstance(error, type_))
    faults = [Fault(**fault._asdict()) for fault in error.faults] if isinstance(error, SpecError) else []
    answer = ErrorAnswer(
        error=Problem(kind=kind, summary=error.summary, resolution=error.resolution, faults=faults),
        run=error.run if isinstance(error, RefusedRunError) else None,
    )
    headers = {"WWW-Authenticate": "Bearer"} if kind == "unauthorized" else {}
    return JSONResponse(answer.to_json(), status_code, headers=headers)


def _answer_bad_request(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    places = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
    return _answer_plainly(422, "bad_request", f"The request is not what this address takes: {'; '.join(places)}.")


def _answer_http_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    kind: ErrorKind = "unknown" if error.status_code == 404 else "bad_request"
    return _answer_plainly(error.status_code, kind, f"{error.detail}.")


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
