"""The errors everybody raises: the raiser knows whether waiting helps, the catcher does not.

Every message names what failed, on which environment or resource, and the way out.
"""


class TerrariumError(Exception):
    """`summary` says what failed and where; `resolution` says what to do about it."""

    def __init__(self, summary: str, resolution: str) -> None:
        super().__init__(f"{summary} {resolution}")
        self.summary = summary
        self.resolution = resolution


class TemporaryError(TerrariumError):
    """Waiting helps: the step is tried again."""


class PermanentError(TerrariumError):
    """Waiting does not help: a person has to change something first."""


class RefusedError(TerrariumError):
    """Policy said no: a limit, a protection, a window, a missing approval. Nothing was changed."""
