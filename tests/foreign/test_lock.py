"""The locks of the client in Node: each package by its hash, and nothing about where it is from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path(__file__).parent / "node"
LOCK = json.loads((FOLDER / "package-lock.json").read_text())


def texts(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every text of a JSON document, with the keys that lead to it."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from texts(part, (*path, key))
    elif isinstance(value, list):
        for part in value:
            yield from texts(part, path)
    elif isinstance(value, str):
        yield path, value


def test_the_lock_names_no_registry() -> None:
    """The only addresses are those under which a package's authors ask for support."""
    assert "resolved" not in (FOLDER / "package-lock.json").read_text()
    assert [path for path, text in texts(LOCK) if "://" in text and "funding" not in path] == []
    assert not (FOLDER / ".npmrc").exists()


def test_every_package_has_its_version_and_its_hash() -> None:
    packages = {name: entry for name, entry in LOCK["packages"].items() if name}
    assert packages
    for name, entry in packages.items():
        assert entry["version"], name
        assert entry["integrity"].startswith("sha512-"), name


def test_the_lock_is_that_of_the_package_and_the_package_pins() -> None:
    wanted = json.loads((FOLDER / "package.json").read_text())["dependencies"]
    assert LOCK["packages"][""]["dependencies"] == wanted
    for name, version in wanted.items():
        assert LOCK["packages"][f"node_modules/{name}"]["version"] == version


def test_the_wheel_of_node_is_locked_likewise() -> None:
    text = (FOLDER / "runtime.txt").read_text()
    assert "://" not in text
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    pins = [line for line in lines if not line.startswith(" ")]
    assert pins
    assert all("==" in pin and pin.endswith("\\") for pin in pins)
    assert text.count("--hash=sha256:") > len(pins)
