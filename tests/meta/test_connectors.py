"""The anatomy of a connector kind, checked for each."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from interlaced.connectors.registry import KINDS

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ROOT / "service" / "interlaced" / "connectors"
FILES = {"__init__.py", "config.py", "recipe.py", "connector.py", "errors.py", "README.md"}


def test_every_folder_is_registered_and_every_entry_has_its_folder() -> None:
    folders = {path.name for path in FOLDERS.iterdir() if path.is_dir() and path.name[0] != "_"}
    assert folders == set(KINDS)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_kind_has_exactly_the_five_files_and_an_empty_init(kind: str) -> None:
    names = {path.name for path in (FOLDERS / kind).iterdir() if path.name != "__pycache__"}
    assert names == FILES
    assert (FOLDERS / kind / "__init__.py").read_text() == ""


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_kind_has_a_conformance_class(kind: str) -> None:
    source = (ROOT / "tests" / "conformance" / f"test_{kind}.py").read_text()
    assert re.search(r"^class Test\w+\(.*(Suite|Conformance)", source, re.M)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_kind_is_named_in_the_changelog_and_the_readme(kind: str) -> None:
    for name in ("CHANGELOG.md", "README.md"):
        assert f"`{kind}`" in (ROOT / name).read_text()
