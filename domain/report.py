"""The reports that a run leaves as Prefect artifacts: markdown, written from what was recorded."""

from collections import Counter
from collections.abc import Iterable, Sequence

from pydantic import BaseModel, ConfigDict

from domain.changes import Changes
from domain.gaps import Gap
from domain.progress import Event
from domain.spec import EnvironmentSpec
from domain.teardown import Leftover


class Made(BaseModel):
    """What a provisioning run has to report, or with `is_plan` the run that only looked at what would change."""

    model_config = ConfigDict(frozen=True)

    changes: Changes
    resource_types: tuple[str, ...]
    outputs: dict[str, str]
    critical_path: tuple[Event, ...]
    gaps: tuple[Gap, ...]
    pair: dict[str, str] = {}
    is_plan: bool = False


def render_made(spec: EnvironmentSpec, made: Made) -> str:
    """The report of a provisioning or plan run."""
    return "\n".join(
        [
            *_headline(spec.name, made),
            "",
            *_table(
                ("what", "value"),
                [
                    ("class", spec.cls),
                    ("cloud and region", f"{spec.cloud}, {spec.region}"),
                    ("owner", spec.owner),
                    ("cost centre", spec.cost_centre),
                    ("monthly budget", f"{spec.budget_usd_monthly} USD"),
                ],
            ),
            *_section("Changes", ("address", "action"), [(c.address, c.action) for c in made.changes.items]),
            *_section("Made", ("resource type", "count"), sorted(Counter(made.resource_types).items())),
            *_section("Endpoints", ("output", "value"), sorted(made.outputs.items())),
            *_section("Database pair", ("what", "value"), list(made.pair.items())),
            *_section(
                "Critical path: what decided how long it took",
                ("resource", "seconds"),
                [(event.address, f"{event.elapsed_seconds:.0f}") for event in made.critical_path],
            ),
            *_section("Not made", ("what", "why", "way"), [(g.summary, g.detail, g.resolution) for g in made.gaps]),
        ]
    )


def _headline(name: str, made: Made) -> tuple[str, str]:
    counts = made.changes.counts
    if made.is_plan:
        changes = f"{counts.add} to add, {counts.change} to change, {counts.destroy} to destroy."
        return f"# {name}: a plan, nothing was changed", changes
    changes = f"{counts.add} added, {counts.change} changed, {counts.destroy} destroyed by this run."
    return f"# {name}: {len(made.resource_types)} resources", changes


def render_removed(spec: EnvironmentSpec, destroyed: int, leftovers: Iterable[Leftover], found: Iterable[str]) -> str:
    """The report of a teardown: `found` names what the account still holds, each one expected."""
    return "\n".join(
        [
            f"# {spec.name}: removed",
            f"{destroyed} resources destroyed.",
            *_section("Stays on purpose", ("what", "how long"), [(item.what, item.stays) for item in leftovers]),
            *_section("Found in the account afterwards", ("resource",), [(name,) for name in found]),
        ]
    )


def _section(title: str, header: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> list[str]:
    return ["", f"## {title}", "", *_table(header, rows)] if rows else []


def _table(header: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> list[str]:
    lines = [header, tuple("---" for _ in header), *rows]
    return ["| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in lines]
