"""A document on its way to a Manifest: its tree, its values, and where to note what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from pydantic import TypeAdapter, ValidationError

from interlaced.manifest.codes import Code
from interlaced.manifest.files import ManifestFile
from interlaced.manifest.references import Resolved
from interlaced.manifest.shape import Shape
from interlaced.manifest.source import Finding, MapNode, ScalarNode
from interlaced.manifest.validation import Keys, dotted, find_key, find_value
from interlaced.schema.fields import Name

__all__ = ["Draft"]

_NAME: TypeAdapter[str] = TypeAdapter(Name)


@dataclass(frozen=True, slots=True)
class Draft:
    """A mapping document with its references resolved."""

    file: ManifestFile
    node: MapNode
    resolved: Resolved

    @property
    def data(self) -> Mapping[str, Any]:
        """The document's values."""
        return self.resolved.data if isinstance(self.resolved.data, dict) else {}

    @property
    def file_name(self) -> str:
        """The file's name without its directory."""
        return PurePath(self.file.name).name

    def note(self, keys: Keys, code: Code, message: str, hint: str = "") -> None:
        """Notes a problem at a key."""
        self.file.findings.append(Finding(find_key(self.node, keys), code, message, hint))

    def note_value(self, keys: Keys, code: Code, message: str, hint: str = "") -> None:
        """Notes a problem at a value if it is a single one, else at its key."""
        node = find_value(self.node, keys)
        if isinstance(node, ScalarNode) and node.text:
            self.file.findings.append(Finding(node.span, code, message, hint))
        else:
            self.note(keys, code, message, hint)

    def has_shape(self, shape: Callable[[], Shape]) -> None:
        """Tells what this document should look like, so that it is known what may be shown."""
        self.file.shapes.append((self.node, shape))

    def is_broken(self, keys: Keys) -> bool:
        """Whether a value is not known since a reference in it failed."""
        return id(find_value(self.node, keys)) in self.resolved.broken

    def check_name(self, name: object, keys: Keys, *, is_key: bool = False) -> bool:
        """Whether a name fits; notes it if not."""
        try:
            _NAME.validate_python(name)
        except ValidationError:
            note = self.note if is_key else self.note_value
            hint = "a letter, then at most 62 letters, digits, - or _"
            note(keys, Code.BAD_NAME, f"{dotted(keys)}: the name does not fit", hint)
            return False
        return True
