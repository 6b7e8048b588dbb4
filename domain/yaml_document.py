"""A YAML text as plain values, with the place of every key, so that a fault can name its line.

Invariant: what is odd (a key twice, a tag, a merge key, an endless alias) is a fault and never a guess.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from domain.declared import quote
from domain.spec_fault import Key, Place, SpecFault

MAX_CHARACTERS = 200_000
MAX_NODES = 20_000  # aliases can make more values than there are characters
MAX_DEPTH = 50
MAX_NUMBER_LENGTH = 100
_SCALARS = {f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "int", "float")}
_COLLECTIONS = {f"tag:yaml.org,2002:{kind}" for kind in ("map", "seq")}
_TEXTS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "timestamp", "value")}


@dataclass
class Document:
    """The values of one file; `places` has the place of each key and list item, and the root's under ()."""

    file: str
    value: dict[str, Any] = field(default_factory=dict)
    places: dict[Key, Place] = field(default_factory=dict)
    faults: list[SpecFault] = field(default_factory=list)


def read_document(text: str, file: str) -> Document:
    """The document of a text; where the text is no mapping, its value is empty and a fault says why."""
    document = Document(file)
    document.places[()] = start = Place(file, 1, 1)
    if len(text) > MAX_CHARACTERS:
        found = f"{len(text)} characters"
        document.faults.append(SpecFault.at(start, (), found, f"at most {MAX_CHARACTERS} characters"))
        return document
    try:
        root = YAML(typ="safe", pure=True).compose(text)
        if isinstance(root, MappingNode):
            document.value = _Reader(document).read(root, ())
        else:
            found = "an empty file" if root is None else _name_kind(root)
            document.faults.append(SpecFault.at(start, (), found, "a mapping of keys to values"))
    except YAMLError as error:
        document.faults.append(_syntax_fault(error, text, file))
    except RecursionError:
        document.faults.append(SpecFault.at(start, (), "endless nesting", "a few levels"))
    return document


def _name_kind(node: Node) -> str:
    return (
        "a single value" if isinstance(node, ScalarNode) else "a mapping" if isinstance(node, MappingNode) else "a list"
    )


def _syntax_fault(error: YAMLError, text: str, file: str) -> SpecFault:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is not None:
        place = Place(file, mark.line + 1, mark.column + 1)
        problem = ", ".join(part for part in (error.context, error.problem) if part)  # type: ignore[attr-defined]  # with a mark
    else:
        before = text[: getattr(error, "position", 0)]
        place = Place(file, before.count("\n") + 1, len(before) - before.rfind("\n"))
        problem = getattr(error, "reason", str(error))
    allowed = "YAML of one document, indented with spaces"
    return SpecFault.at(place, (), f"broken YAML ({problem})", allowed)


class _Reader:
    """Turns composed nodes into plain values, noting places and faults in its document."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.constructor = YAML(typ="safe", pure=True).constructor
        self.node_count = 0
        self.open_nodes: list[Node] = []

    def read(self, node: Node, key: Key) -> Any:
        self.node_count += 1
        if self.node_count > MAX_NODES:
            return None
        if node in self.open_nodes or len(self.open_nodes) == MAX_DEPTH or self.node_count == MAX_NODES:
            self.refuse(node, key, "values without end", f"at most {MAX_NODES} values, {MAX_DEPTH} deep")
            return None
        if isinstance(node, ScalarNode):
            return self.read_scalar(node, key)
        if node.tag not in _COLLECTIONS:
            self.refuse(node, key, f"the tag {node.tag}", "a value without a tag")
        self.open_nodes.append(node)
        value = self.read_mapping(node, key) if isinstance(node, MappingNode) else list(self.read_items(node, key))
        self.open_nodes.pop()
        return value

    def read_mapping(self, node: MappingNode, key: Key) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for name_node, value_node in node.value:
            name = self.read_name(name_node, key)
            if name is None:
                continue
            place = self.place(name_node)
            if name in value:
                first = self.document.places[(*key, name)]
                self.refuse(name_node, (*key, name), f'"{name}" again', f"one; the first stands in line {first.line}")
                continue
            self.document.places[(*key, name)] = place
            value[name] = self.read(value_node, (*key, name))
        return value

    def read_name(self, node: Node, key: Key) -> str | None:
        if isinstance(node, ScalarNode) and node.tag != "tag:yaml.org,2002:merge":
            return self.read_text(node, key)
        found = "a merge key (<<)" if isinstance(node, ScalarNode) else f"{_name_kind(node)} as a key"
        self.refuse(node, key, found, "a word as a key; what environments share stands in their class")
        return None

    def read_items(self, node: Node, key: Key) -> Iterator[Any]:
        for index, item in enumerate(node.value):
            self.document.places[(*key, index)] = self.place(item)
            yield self.read(item, (*key, index))

    def read_scalar(self, node: ScalarNode, key: Key) -> Any:
        place = self.document.places[key]
        self.document.places[key] = place._replace(text=str(node.value))
        if node.tag in _TEXTS:
            return self.read_text(node, key)
        if node.tag not in _SCALARS:
            self.refuse(node, key, f"the tag {node.tag}", "a value without a tag")
        elif len(node.value) > MAX_NUMBER_LENGTH:
            self.refuse(node, key, "a number without end", f"at most {MAX_NUMBER_LENGTH} digits")
        else:
            return self.read_number(node, key)
        return None

    def read_number(self, node: ScalarNode, key: Key) -> Any:
        try:
            return self.constructor.construct_object(node)
        except (ValueError, KeyError):  # only where a tag asks for it: `!!int many`
            self.refuse(node, key, quote(node.value), f"what the tag {node.tag} asks for")
            return None

    def read_text(self, node: ScalarNode, key: Key) -> str | None:
        if any("\ud800" <= character <= "\udfff" for character in node.value):
            self.refuse(node, key, "half a character", "whole Unicode characters")
            return None
        return str(node.value)

    def refuse(self, node: Node, key: Key, found: str, allowed: str) -> None:
        self.document.faults.append(SpecFault.at(self.place(node), key, found, allowed))

    def place(self, node: Node) -> Place:
        return Place(self.document.file, node.start_mark.line + 1, node.start_mark.column + 1)
