"""The rules of the house that a program can check."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVICE = ROOT / "service" / "interlaced"
CLIENT = ROOT / "clients" / "python" / "interlace"
MODULES = sorted(SERVICE.rglob("*.py")) + sorted(
    path for path in CLIENT.rglob("*.py") if "v1" not in path.parts
)
BARE = [path for path in MODULES if path.name != "__init__.py"]


def tracked() -> list[Path]:
    """The files that git knows, and those that it would take."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def identify(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(tree: ast.Module) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def mirror(path: Path) -> list[Path]:
    """Where the tests of a module may be."""
    if path.is_relative_to(CLIENT):
        return [ROOT / "tests" / "client" / f"test_{path.stem}.py"]
    relative = path.relative_to(SERVICE)
    return [ROOT / "tests" / "unit" / relative.parent / f"test_{path.stem.strip('_')}.py"]


def has_logic(path: Path) -> bool:
    """Whether a module does anything; ports, records and tables have nothing to test alone."""
    return any(
        not isinstance(function.body[-1], ast.Expr)
        for function in functions(ast.parse(path.read_text()))
    )


@pytest.mark.parametrize("path", [path for path in BARE if has_logic(path)], ids=identify)
def test_every_module_has_a_test_of_its_own(path: Path) -> None:
    assert any(place.is_file() for place in mirror(path)), f"expected {mirror(path)[0]}"


@pytest.mark.parametrize("path", MODULES, ids=identify)
def test_files_and_functions_stay_inside_the_limits(path: Path) -> None:
    source = path.read_text()
    assert source.count("\n") <= 600, "stop at 600 lines"
    for function in functions(ast.parse(source)):
        length = (function.end_lineno or 0) - function.lineno + 1
        assert length <= 60, f"{function.name} has {length} lines"


@pytest.mark.parametrize("path", BARE, ids=identify)
def test_all_names_what_is_public(path: Path) -> None:
    tree = ast.parse(path.read_text())
    listed: set[str] = set()
    public: set[str] = set()
    defined: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            defined.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = {target.id for target in targets if isinstance(target, ast.Name)}
            if names == {"__all__"} and node.value is not None:
                listed = set(ast.literal_eval(node.value))
            public |= names
    assert {name for name in defined if not name.startswith("_")} <= listed, "missing in __all__"
    assert listed <= public | defined | imported(tree), "in __all__ but not there"


def imported(tree: ast.Module) -> set[str]:
    return {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


@pytest.mark.parametrize("path", MODULES, ids=identify)
def test_what_is_public_has_a_docstring(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree) or not path.read_text().strip(), "the module has none"
    for node in tree.body:
        named = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        if named and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{node.name} has none"


def test_no_module_hides_behind_an_empty_name() -> None:
    empty = {"utils", "util", "common", "helpers", "helper", "misc"}
    assert [path for path in MODULES if path.stem in empty] == []


def test_functions_are_short_as_a_rule() -> None:
    lengths = sorted(
        (function.end_lineno or 0) - function.body[0].lineno + 1
        for path in BARE
        for function in functions(ast.parse(path.read_text()))
    )
    assert lengths[len(lengths) // 2] <= 8
    assert lengths[len(lengths) * 9 // 10] <= 25


@pytest.mark.parametrize("mark", ["noqa", "type: ignore"])
def test_every_ignore_names_its_rule_and_its_reason(mark: str) -> None:
    bare = []
    pattern = {
        "noqa": re.compile(r"# noqa(?!: [A-Z0-9, ]+#? )"),
        "type: ignore": re.compile(r"# type: ignore(?!\[[a-z-]+(, ?[a-z-]+)*\] +#)"),
    }[mark]
    for path in [*MODULES, *(ROOT / "tools").glob("*.py")]:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if pattern.search(line):
                bare.append(f"{identify(path)}:{number}: {line.strip()}")
    assert bare == []


def test_the_folders_are_no_import_names() -> None:
    probe = (
        "import sys, interlaced.core.model, interlace.v1.call_pb2;"
        "print(sorted({'service', 'clients', 'protos'} & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", probe], capture_output=True, check=True, text=True)
    assert told.stdout.strip() == "[]"


def test_the_locks_have_hashes_and_name_neither_an_index_nor_our_own_packages() -> None:
    locks = sorted((ROOT / "requirements").glob("*.txt"))
    assert len(locks) >= 4
    for lock in locks:
        text = lock.read_text()
        assert "://" not in text
        assert "index" not in text
        pins = [
            line for line in text.splitlines() if line and not line.startswith((" ", "#", "\t"))
        ]
        assert not [line for line in pins if re.match(r"interlaced?\b", line)]
        assert all("==" in line and line.endswith("\\") for line in pins), lock.name


def test_a_package_has_the_same_version_in_every_lock() -> None:
    found: dict[str, set[frozenset[str]]] = {}
    for name in ("build", "runtime", "check", "test"):
        pins: dict[str, set[str]] = {}
        for line in (ROOT / "requirements" / f"{name}.txt").read_text().splitlines():
            match = re.match(r"([A-Za-z0-9_.-]+)==([^ ;\\]+)", line)
            if match:
                pins.setdefault(match[1].lower(), set()).add(match[2])
        for package, versions in pins.items():
            found.setdefault(package, set()).add(frozenset(versions))
    assert {package: several for package, several in found.items() if len(several) > 1} == {}


def test_the_repository_names_no_path_of_a_machine() -> None:
    pattern = re.compile(r"(?<![\w./])/(work|root|home)/[A-Za-z.]")
    found = []
    for path in tracked():
        if path.suffix in {".png", ".ico"} or path == Path(__file__):
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            if pattern.search(line):
                found.append(f"{identify(path)}:{number}")
    assert found == []


def test_every_library_of_ours_is_in_real_use() -> None:
    """The owner fixed the libraries; each is imported by the code that ships or measures."""
    source = "\n".join(path.read_text() for path in [*MODULES, *(ROOT / "tools").glob("*.py")])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {re.split(r"[<>=\[]", line)[0] for line in project["dependencies"]} - {"interlace"}
    spelled = {
        "googleapis-common-protos": "google.rpc",
        "grpcio": "grpc",
        "grpcio-health-checking": "grpc_health",
        "grpcio-reflection": "grpc_reflection",
        "prometheus-client": "prometheus_client",
        "protobuf": "google.protobuf",
        "ruamel.yaml": "ruamel.yaml",
    }
    unused = {
        name
        for name in names
        if f"import {spelled.get(name, name)}" not in source
        and f"from {spelled.get(name, name)}" not in source
    }
    assert unused == set()
