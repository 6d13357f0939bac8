"""The package as its users meet it: imports, warnings, dependencies (P13, P39, P40)."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "clients" / "python"
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
    for path in (PACKAGE / "interlace").rglob("*.py")
)


def test_p39_every_module_imports_from_another_directory(tmp_path: Path) -> None:
    """P39: with warnings as errors, in a process that has imported nothing else."""
    lines = [f"import {module}" for module in MODULES]
    told = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join(lines)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    assert told.stderr == ""
    assert len(MODULES) > 20


@pytest.mark.parametrize("module", MODULES)
def test_the_client_needs_only_what_it_declares(module: str) -> None:
    path = PACKAGE / Path(*module.split("."))
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    allowed = {"interlace", "grpc", "google", *sys.stdlib_module_names}
    for node in ast.walk(ast.parse(source.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        assert {name.split(".")[0] for name in names} <= allowed, source


def test_p13_the_least_versions_are_those_of_the_generated_code() -> None:
    """P13: stubs refuse an older grpcio, and code newer than its runtime refuses protobuf."""
    stubs = PACKAGE / "interlace" / "v1"
    least_grpc = {
        found[1]
        for path in stubs.glob("*_pb2_grpc.py")
        if (found := re.search(r"GRPC_GENERATED_VERSION = '([\d.]+)'", path.read_text()))
    }
    least_protobuf = {
        found[1]
        for path in stubs.glob("*_pb2.py")
        if (found := re.search(r"Protobuf Python Version: ([\d.]+)", path.read_text()))
    }
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
    assert f"grpcio>={least_grpc.pop()}" in " ".join(project["dependencies"])
    assert f"protobuf>={least_protobuf.pop()}" in " ".join(project["dependencies"])
    assert not least_grpc
    assert not least_protobuf


def test_p40_the_package_says_that_it_is_typed() -> None:
    assert (PACKAGE / "interlace" / "py.typed").is_file()


def test_the_package_depends_on_three_things() -> None:
    requires = metadata.requires("interlace") or []
    names = {re.split(r"[<>=!~ ;\[]", line)[0] for line in requires}
    assert names == {"grpcio", "protobuf", "googleapis-common-protos"}


def test_the_front_door_has_everything_that_it_lists() -> None:
    import interlace

    assert sorted(interlace.__all__) == list(interlace.__all__)
    assert [name for name in interlace.__all__ if not hasattr(interlace, name)] == []
