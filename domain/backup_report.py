"""Backups and verdicts as a person reads them: markdown for Prefect's UI."""

from collections.abc import Sequence

from domain.backup import Answer, BackupVerdict, Manifest, Question
from domain.backup_upkeep import Alarm, Trend

WORDS = {
    Question.FILE: "Is the file whole?",
    Question.ENGINE: "Does PostgreSQL think so?",
    Question.DATA: "Does the data mean what it should?",
    Question.INVARIANTS: "Do the rules of the business hold?",
    Question.SENTINELS: "Are the sentinels there?",
}


def render_backup(backup_id: str, location: str, size_bytes: int, manifest: Manifest) -> str:
    """What was taken: when, where, and what is in it."""
    lines = [
        f"# Backup {backup_id}",
        "",
        f"- in `{location}`, {size_bytes / 1e6:.1f} MB" + (f", sha256 `{manifest.sha256}`" if manifest.sha256 else ""),
        f"- taken at {manifest.taken_at:%Y-%m-%d %H:%M:%S} UTC" if manifest.taken_at else "- taken",
        *([f"- of PostgreSQL {manifest.server_version}"] if manifest.server_version else []),
        *([f"- its schema has version `{manifest.schema_version}`"] if manifest.schema_version else []),
        *([f"- from WAL position {manifest.wal_position}"] if manifest.wal_position else []),
        f"- {len(manifest.sentinels)} sentinels",
        *([f"- {manifest.undescribed}: its verdict will be incomplete"] if manifest.undescribed else []),
        "",
        "It is not proved yet: a restore test does that.",
        "",
        "| table | rows | row hash |",
        "|---|---:|---|",
        *(
            f"| {name} | {content.rows} | {f'`{content.hash}`' if content.hash else ''} |"
            for name, content in sorted(manifest.tables.items())
        ),
    ]
    return "\n".join(lines) + "\n"


def render_verdict(backup_id: str, verdict: BackupVerdict, trend: Trend, alarms: Sequence[Alarm]) -> str:
    """The verdict, an answer to each question, its faults, how long the restore took, and what is wrong."""
    lines = [f"# Backup {backup_id}: {verdict.status}", ""]
    lines += [f"> **{alarm.kind}**: {alarm.summary} {alarm.resolution}\n>" for alarm in alarms]
    if verdict.restore_seconds is not None:
        before = f"; before, {trend.before_seconds:.1f} s" if trend.before_seconds is not None else ""
        lines.append(f"- restored in {verdict.restore_seconds:.1f} s{before}")
    if verdict.recovery_point_at:
        lines.append(f"- it has everything up to {verdict.recovery_point_at:%Y-%m-%d %H:%M:%S} UTC")
    if (file := verdict.questions.get(Question.FILE)) and (sha256 := file.figures.get("sha256")):
        lines.append(f"- the file's sha256 is `{_escape(str(sha256))}`")
    lines += ["", "| question | answer | figures |", "|---|---|---|"]
    answers = {question: verdict.questions[question] for question in WORDS if question in verdict.questions}
    for question, found in answers.items():
        lines.append(f"| {WORDS[question]} | {_tell(found)} | {_tell_figures(found)} |")
    for question, found in answers.items():
        if found.faults:
            lines += ["", f"## {WORDS[question]}", "", *(f"- {_escape(fault)}" for fault in found.faults)]
    return "\n".join(lines) + "\n"


def _tell(found: Answer) -> str:
    if found.passed is None:
        return f"not asked: {found.unasked}" if found.unasked else "not asked"
    return "yes" if found.passed else "**no**"


def _tell_figures(found: Answer) -> str:
    """In words. The hash of a file has a line of its own: Prefect's first UI cuts a long cell off."""
    told = {name: f"{len(value)}" if isinstance(value, dict) else value for name, value in found.figures.items()}
    return _escape(", ".join(f"{name.replace('_', ' ')} {value}" for name, value in told.items() if name != "sha256"))


def _escape(text: str) -> str:
    """Words of a dump's own are no markdown: a fault may quote what is in it."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
