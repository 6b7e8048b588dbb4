"""The report of a drill: objectives against what was measured, the time of every step, and what to mend. Evidence."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from domain.finding import Finding
from domain.spec_parts import Recovery

#: Characters. A row of the timeline is as wide as the narrower of Prefect's two UIs shows without scrolling.
BAR_WIDTH, NAME_WIDTH = 28, 22
SCOPES = {"data": "the data and its name", "pilot_light": "the data, its name and the services of the pilot light"}


class Objective(BaseModel):
    """What was promised and what was measured, both in seconds."""

    model_config = ConfigDict(frozen=True)

    objective_seconds: float
    measured_seconds: float
    is_met: bool


class StepTime(BaseModel):
    """When a step began, in epoch seconds, and how long it took."""

    model_config = ConfigDict(frozen=True)

    name: str
    began_at: float
    seconds: float


class DrillReport(BaseModel):
    """What a drill showed. `rpo_rows` were acknowledged and are gone; rows in doubt are counted apart."""

    model_config = ConfigDict(frozen=True)

    status: Literal["passed", "failed"]
    mode: str
    fault: str | None
    old_primary: str
    new_primary: str
    rto_seconds: float
    rpo_rows: int
    rpo_seconds: float
    in_doubt_rows: int
    in_doubt_found: int
    acknowledged_rows: int
    detection_seconds: float
    diverged_rows_after_failback: int
    compared_rows: int
    outage_began_at: float
    outage_ended_at: float
    objectives: dict[str, Objective]
    scope: str
    is_synchronous: bool
    approved_by: str | None
    probe_log: str
    probe_log_sha256: str
    probe_log_kept: str
    steps: tuple[StepTime, ...]
    to_mend: tuple[str, ...]


def judge(recovery: Recovery, rto_seconds: float, rpo_seconds: float) -> dict[str, Objective]:
    """Each objective with what was measured."""
    pairs = {"rto": (recovery.rto_minutes * 60.0, rto_seconds), "rpo": (recovery.rpo_minutes * 60.0, rpo_seconds)}
    return {
        name: Objective(objective_seconds=wanted, measured_seconds=round(found, 3), is_met=found <= wanted)
        for name, (wanted, found) in pairs.items()
    }


def list_to_mend(
    measured: dict[str, Any], objectives: dict[str, Objective], findings: Iterable[Finding]
) -> tuple[str, ...]:
    """What has to be done before the next drill; empty where nothing has."""
    missed = [
        f"{name} was {one.measured_seconds:.1f} s, the objective is {one.objective_seconds:.0f} s"
        for name, one in objectives.items()
        if not one.is_met
    ]
    if measured["is_synchronous"] and measured["rpo_rows"]:
        missed.append(f"{measured['rpo_rows']} acknowledged rows are gone although commits wait for the standby")
    if measured["diverged_rows_after_failback"]:
        missed.append(
            f"{measured['diverged_rows_after_failback']} rows differ between the two sides after the failback"
        )
    return (*missed, *(f"{finding.summary}: {finding.resolution}" for finding in findings))


def is_passed(measured: dict[str, Any], objectives: dict[str, Objective]) -> bool:
    """The objectives are met, both sides are equal, and nothing is gone that was promised to be on both."""
    broken = measured["diverged_rows_after_failback"] or (measured["is_synchronous"] and measured["rpo_rows"])
    return not broken and all(one.is_met for one in objectives.values())


def render_drill(environment: str, report: DrillReport) -> str:
    """The report as markdown with a timeline."""
    how = report.mode if report.fault is None else f"{report.mode}, the primary was {report.fault.replace('_', ' ')}"
    told = [
        ("outage at the client (RTO)", f"{report.rto_seconds:.3f} s, of it {report.detection_seconds:.3f} s detection"),
        ("acknowledged rows that are gone (RPO)", f"{report.rpo_rows} ({report.rpo_seconds:.3f} s of writes)"),
        ("rows in doubt", f"{report.in_doubt_rows}, of which {report.in_doubt_found} are there"),
        ("acknowledged rows", report.acknowledged_rows),
        ("rows that differ after the failback", f"{report.diverged_rows_after_failback} of {report.compared_rows}"),
        ("commits wait for the standby", "yes" if report.is_synchronous else "no"),
        ("the objectives speak of", SCOPES[report.scope]),
        ("approved by", report.approved_by or "nobody had to"),
    ]
    objectives = [
        (name, f"{one.objective_seconds:.0f} s", f"{one.measured_seconds:.3f} s", "yes" if one.is_met else "NO")
        for name, one in report.objectives.items()
    ]
    return "\n".join(
        [
            f"# {environment}: drill {report.status}",
            f"{how}; {report.old_primary} gave way to {report.new_primary}.",
            *draw_table("Measured at the client", ("what", "value"), told),
            "",
            f"- the probe's log: `{report.probe_log_kept}`",
            f"- its sha256: `{report.probe_log_sha256}`",
            *draw_table("Objectives", ("objective", "promised", "measured", "met"), objectives),
            *draw_timeline((*report.steps, _find_outage(report))),
            *draw_list("To mend", report.to_mend),
        ]
    )


def _find_outage(report: DrillReport) -> StepTime:
    """The client's outage, as the last row of the timeline."""
    return StepTime(
        name="outage at the client",
        began_at=report.outage_began_at,
        seconds=report.outage_ended_at - report.outage_began_at,
    )


def draw_timeline(rows: Sequence[StepTime]) -> list[str]:
    """Each step as a bar on one scale; nothing where there is none."""
    if not rows:
        return []
    start = min(row.began_at for row in rows)
    whole = max(row.began_at + row.seconds for row in rows) - start or 1.0
    lines = [
        f"{row.name:<{NAME_WIDTH}} {_draw_bar(row, start, whole)} {row.began_at - start:8.3f} s + {row.seconds:.3f} s"
        for row in rows
    ]
    began = datetime.fromtimestamp(start, UTC)
    return ["", f"## Timeline from {began:%Y-%m-%d %H:%M:%S} UTC", "", "```text", *lines, "```"]


def _draw_bar(row: StepTime, start: float, whole: float) -> str:
    before = int((row.began_at - start) / whole * BAR_WIDTH)
    long = max(1, round(row.seconds / whole * BAR_WIDTH))
    return (" " * before + "█" * long)[: BAR_WIDTH + 1].ljust(BAR_WIDTH + 1)


def draw_list(title: str, lines: Sequence[str]) -> list[str]:
    """Sentences below their heading, which a table would not break where it is too narrow; nothing without any."""
    return ["", f"## {title}", "", *("- " + line.replace("\n", " ") for line in lines)] if lines else []


def draw_table(title: str, header: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> list[str]:
    """A table of markdown below its heading; nothing where it has no rows."""
    lines = [header, tuple("---" for _ in header), *rows]
    cells = [
        "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in lines
    ]
    return ["", f"## {title}", "", *cells] if rows else []


def render_failover(environment: str, expected_loss: str, steps: tuple[StepTime, ...]) -> str:
    """What a failover did, and when."""
    rows = [
        (step.name, f"{datetime.fromtimestamp(step.began_at, UTC):%H:%M:%S.%f}"[:-3], f"{step.seconds:.3f} s")
        for step in steps
    ]
    head = [f"# {environment}: failed over", f"Expected loss: {expected_loss}."]
    return "\n".join([*head, *draw_table("Steps", ("step", "began, UTC", "took"), rows)])


def render_readiness(environment: str, findings: Sequence[Finding], now: datetime) -> str:
    """Whether a recovery plan would work, and what is in its way."""
    blocking = sum(finding.is_blocking for finding in findings)
    verdict = "would not work now" if blocking else "would work now"
    told = [
        f"**{one.summary}**{' (refuses a drill)' if one.is_blocking else ''}: {one.detail} {one.resolution}"
        for one in findings
    ]
    head = [f"# {environment}: the recovery plan {verdict}", f"Looked at {now:%Y-%m-%d %H:%M} UTC."]
    return "\n".join([*head, *draw_list("Findings", told)])
