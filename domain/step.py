"""One effect of a run, as data: what is to be done and how it is undone."""

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


class Undo(BaseModel):
    """The inverse of a step: a name that `tasks` knows and its arguments. Running it twice is running it once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    arguments: dict[str, Any] = {}


class Step(BaseModel):
    """One named effect. A step without an undo says why it has none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    arguments: dict[str, Any] = {}
    undo: Undo | None = None
    no_undo: str = ""

    @model_validator(mode="after")
    def _has_undo_or_reason(self) -> "Step":
        if (self.undo is None) == (not self.no_undo):
            raise ValueError(f"step {self.name}: give an undo, or the reason why there is none")
        return self
