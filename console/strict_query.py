"""Unknown query parameters are errors, as unknown keys of a spec are: a misspelt filter would filter nothing."""

from collections.abc import Iterator

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError


def refuse_unknown_query(request: Request) -> None:
    """RequestValidationError names each parameter that the address does not know."""
    known = set(_list_query(request.scope["route"].dependant))
    unknown = [name for name in request.query_params if name not in known]
    if unknown:
        allowed = f"Not known here; there is {', '.join(sorted(known)) or 'none'}"
        raise RequestValidationError([{"loc": ("query", name), "msg": allowed, "type": "extra"} for name in unknown])


def _list_query(dependant: Dependant) -> Iterator[str]:
    yield from (field.alias for field in dependant.query_params)
    for inner in dependant.dependencies:
        yield from _list_query(inner)
