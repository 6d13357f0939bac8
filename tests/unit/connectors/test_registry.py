"""Kinds are imported on first use, and a missing library names its extra."""

import importlib
import subprocess
import sys

import pytest

from interlaced.connectors import registry
from interlaced.connectors.registry import KINDS, MissingLibrary, load_kind
from interlaced.schema.fields import Strict


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_its_settings_and_its_build(kind: str) -> None:
    loaded = load_kind(kind)
    assert loaded.name == kind
    assert issubclass(loaded.config, Strict)
    assert {"upstream"} <= set(loaded.config.model_fields)
    assert (
        kind
        in loaded.config.model_json_schema()["$defs"][
            loaded.config.model_json_schema()["properties"]["upstream"]["$ref"].rpartition("/")[2]
        ]["properties"]
    )
    assert callable(loaded.build)
    assert load_kind(kind) is loaded


def test_an_unknown_kind_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        load_kind("kafkaesque")


def test_a_missing_library_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(name: str) -> object:
        raise ModuleNotFoundError("No module named 'nats'", name="nats")

    monkeypatch.setattr(registry.importlib, "import_module", find)
    with pytest.raises(MissingLibrary) as caught:
        load_kind.__wrapped__("nats")
    assert caught.value.hint == "pip install 'interlaced[nats]'"
    assert str(caught.value) == "the library of the kind nats is not installed"


def test_a_broken_kind_of_our_own_is_no_missing_library(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(name: str) -> object:
        raise ModuleNotFoundError("No module", name="interlaced.connectors.nats.config")

    monkeypatch.setattr(importlib, "import_module", find)
    with pytest.raises(ModuleNotFoundError) as caught:
        load_kind.__wrapped__("nats")
    assert not isinstance(caught.value, MissingLibrary)


def test_a_kind_that_no_manifest_names_is_not_imported() -> None:
    code = (
        "import sys, interlaced.manifest.load\n"
        "loaded = [m for m in sys.modules if m.startswith('interlaced.connectors.')]\n"
        "print(*loaded, *{'aiohttp', 'nats', 'grpc'} & set(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True
    )
    assert done.stdout.split() == ["interlaced.connectors.registry"]
