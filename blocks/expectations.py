"""Great Expectations: suites asked of a database. Imported where it is used, for it takes seconds."""

import contextlib
import io
import logging
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from domain.errors import PermanentError
from domain.expectations import Checked, Expectation, tell_observed

if TYPE_CHECKING:
    from great_expectations.core import ExpectationSuite
    from great_expectations.datasource.fluent.sql_datasource import SQLDatasource

LOGGERS = ("great_expectations", "alembic")


def load_expectations() -> None:
    """Import it ahead of time: it takes seconds, in which something else can be waited for."""
    import great_expectations  # noqa: F401 - to have it in memory


def validate_tables(
    url: str, suites: Mapping[str, tuple[str, str, Sequence[Expectation]]], parameters: Mapping[str, Any]
) -> list[Checked]:
    """Each expectation of each table with its answer; `suites` has schema, table and expectations by shown name.

    `parameters` are what a suite may refer to as {"$PARAMETER": name}. PermanentError where a suite is none.
    """
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):  # it prints advice
        warnings.simplefilter("ignore")
        import great_expectations as gx
        from great_expectations.data_context.types.base import ProgressBarsConfig

        prepared = {name: _prepare(name, expectations) for name, (_, _, expectations) in suites.items()}
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = ProgressBarsConfig(globally=False)
        source = context.data_sources.add_sql("restored", connection_string=url)
        try:
            return [
                checked
                for name, (schema, table, _) in suites.items()
                for checked in _validate(source, name, (schema, table), prepared[name], parameters)
            ]
        finally:
            _close(source)


def _prepare(table: str, expectations: Sequence[Expectation]) -> "ExpectationSuite":
    """A suite of its own kind: Great Expectations only logs what it does not take in, and then does not ask it."""
    import great_expectations as gx

    given = [one.to_json() for one in expectations]
    try:
        suite = gx.ExpectationSuite(name=table, expectations=given)
        taken = len(suite.expectations)
    except Exception as error:  # its errors have no common class
        raise _refuse(table, str(error)) from error
    if taken != len(given):
        raise _refuse(table, f"{len(given) - taken} of {len(given)} expectations are not valid")
    return suite


def _refuse(table: str, fault: str) -> PermanentError:
    return PermanentError(
        f"The expectations of table {table} are not Great Expectations': {' '.join(fault.split())[:300]}.",
        "Correct the suite: each expectation has a type and its kwargs, in the spelling of Great Expectations 1.",
    )


def _validate(
    source: "SQLDatasource",
    name: str,
    place: tuple[str, str],
    suite: "ExpectationSuite",
    parameters: Mapping[str, Any],
) -> list[Checked]:
    schema, table = place
    asset = source.add_table_asset(name=name, table_name=table, schema_name=schema)
    batch = asset.add_batch_definition_whole_table("all").get_batch()
    result = batch.validate(suite, result_format="BASIC", expectation_parameters=dict(parameters))
    return [_read(name, one) for one in result.results]


def _read(table: str, result: Any) -> Checked:
    config = result.expectation_config
    column = config.kwargs.get("column") or config.kwargs.get("column_list") or ""
    raised = [one["exception_message"] for one in _list_exceptions(result.exception_info)]
    observed = f"it could not be asked: {' '.join(raised[0].split())[:300]}" if raised else tell_observed(result.result)
    return Checked(
        table=table,
        expectation=f"{config.type} {column}".strip(),
        passed=bool(result.success) and not raised,
        observed="" if result.success else observed,
    )


def _list_exceptions(told: Any) -> list[dict[str, Any]]:
    """One, or one for each metric."""
    if "raised_exception" in told:
        return [told] if told["raised_exception"] else []
    return [one for one in told.values() if isinstance(one, dict) and one.get("raised_exception")]


def _close(source: "SQLDatasource") -> None:
    with contextlib.suppress(Exception):  # the server is removed next; nothing of it has to be saved
        source.get_engine().dispose()
        source.get_execution_engine().engine.dispose()
