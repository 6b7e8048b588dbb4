"""The files of `environments/` in this checkout: the truth of an environment is what stands there."""

from pathlib import Path

from blocks.settings import CHECKOUT
from domain.errors import PermanentError
from domain.spec import EnvironmentSpec
from domain.spec_file import resolve_spec

FOLDER = CHECKOUT / "environments"


def read_classes(folder: Path = FOLDER) -> dict[str, str]:
    """The text of each class by its name."""
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted((folder / "classes").glob("*.yaml"))}


def read_declared(name: str, folder: Path = FOLDER) -> tuple[str, EnvironmentSpec]:
    """An environment's file, as text and resolved. PermanentError where there is none, SpecError for its faults."""
    path = folder / f"{name}.yaml"
    # A name with a slash or dots would leave the folder.
    if path.parent != folder or not path.is_file():
        known = ", ".join(sorted(file.stem for file in folder.glob("*.yaml")))
        raise PermanentError(f"There is no file environments/{name}.yaml.", f"Write it, or name one of: {known}.")
    text = path.read_text(encoding="utf-8")
    return text, resolve_spec(text, f"environments/{path.name}", read_classes(folder))
