"""What gains by it is compiled where that is possible; elsewhere everything works as it is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools" / "compile.py"
PROBE = """
from google.protobuf.type_pb2 import Type
from interlaced.codecs.transcode import Transcoder
from interlaced.codecs.transcode_wire import IS_COMPILED
print(IS_COMPILED, Transcoder(Type).to_json(Type(name="x", oneofs=["a"])).decode())
"""
PRINTED = '{"name":"x","oneofs":["a"]}'


def copy_service(folder: Path) -> Path:
    """The package alone, as an environment holds it."""
    root = folder / "site-packages"
    shutil.copytree(
        ROOT / "service", root, ignore=shutil.ignore_patterns("*.so", "__pycache__", "build")
    )
    return root


def run_tool(root: Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, TOOL, root],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | environment,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def probe(root: Path) -> list[str]:
    """Whether what is imported is compiled, and what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(root)},
    )
    return done.stdout.split()


def test_it_is_compiled_in_place_and_leaves_nothing_else(tmp_path: Path) -> None:
    root = copy_service(tmp_path)
    told = run_tool(root)
    is_compiled = not told
    assert is_compiled or "for want of" in told
    assert is_compiled or not os.environ.get("CI")
    assert probe(root) == [str(is_compiled), PRINTED]
    made = {path.name.partition(".")[0].removesuffix("__mypyc") for path in root.rglob("*.so")}
    assert made == ({"transcode_times", "transcode_wire"} if is_compiled else set())
    assert not (root / "build").exists()
    # Without a compiler nothing stays that is not of the source any more.
    told = run_tool(root, CC="/nowhere/cc")
    assert "not compiled" in told
    assert "C compiler" in told
    assert list(root.rglob("*.so")) == []
    assert probe(root) == ["False", PRINTED]


def test_a_source_that_does_not_compile_is_an_error(tmp_path: Path) -> None:
    root = copy_service(tmp_path)
    module = root / "interlaced" / "codecs" / "transcode_wire.py"
    module.write_text(module.read_text() + "\nwrong: int = 'no number'\n")
    done = subprocess.run(
        [sys.executable, TOOL, root], check=False, capture_output=True, text=True, env=os.environ
    )
    assert done.returncode == 1 or "for want of" in done.stdout
    assert "Incompatible types" in done.stderr or "for want of" in done.stdout
