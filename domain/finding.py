"""Something that would keep a recovery plan from working, with its way out."""

from pydantic import BaseModel, ConfigDict


class Finding(BaseModel):
    """What is wrong with a recovery plan; one that is `blocking` refuses the drill."""

    model_config = ConfigDict(frozen=True)

    summary: str
    detail: str
    resolution: str
    is_blocking: bool = True
