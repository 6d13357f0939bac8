"""Compiles with mypyc what gains much by it, in place: `python tools/compile.py [ROOT]`.

ROOT is the folder that holds the package `interlaced`: `service` unless told, or the site-packages
of an environment. It needs mypy and setuptools, a C compiler and the headers of this Python. Where
the compiler or the headers are missing it says so, takes away what an earlier run left, and ends
with 0: every module works as it stands, and says in `IS_COMPILED` which of the two it is.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

MODULES = ("interlaced/codecs/transcode_times.py", "interlaced/codecs/transcode_wire.py")
"""They import nothing of ours, so that each is compiled alone."""
SETUP = """
import sys
from mypyc.build import mypycify
from setuptools import setup
modules = mypycify(["--strict", "--ignore-missing-imports", *sys.argv[1:]])
setup(name="compiled", ext_modules=modules, script_args=["build_ext", "--inplace"])
"""
"""Leaves what it makes beside the module, and its own files in the folder it is started in."""
SERVICE = Path(__file__).resolve().parent.parent / "service"


def main() -> int:
    """Compiles all of MODULES; 1 if what should compile does not."""
    parser = argparse.ArgumentParser(description="Compile with mypyc what gains much by it.")
    parser.add_argument("root", nargs="?", type=Path, default=SERVICE)
    root: Path = parser.parse_args().root.resolve()
    missing = find_missing()
    for name in MODULES:
        module = root / name
        for old in module.parent.glob(f"{module.stem}*{sysconfig.get_config_var('EXT_SUFFIX')}"):
            old.unlink()
        if missing:
            print(f"not compiled, for want of a {missing}: {name}")  # noqa: T201  # what a tool found
        elif not compile_module(root, name):
            return 1
    return 0


def find_missing() -> str:
    """What this machine lacks to compile a module; empty if nothing."""
    compiler = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    if shutil.which(shlex.split(compiler)[0]) is None:
        return "C compiler"
    headers = Path(sysconfig.get_path("include")) / "Python.h"
    return "" if headers.is_file() else "Python.h of this Python"


def compile_module(root: Path, name: str) -> bool:
    """Compiles one module in a folder of its own, and puts the result beside its source."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, name)
        copy.parent.mkdir(parents=True)
        shutil.copy(root / name, copy)
        package = copy.parent
        while package != Path(folder):
            (package / "__init__.py").touch()
            package = package.parent
        done = subprocess.run(
            [sys.executable, "-c", SETUP, name],
            cwd=folder,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode != 0:
            print(done.stdout, file=sys.stderr)  # noqa: T201  # what mypyc and the compiler say
            return False
        for made in copy.parent.glob("*.so"):
            shutil.move(made, root / Path(name).parent / made.name)
    return True


if __name__ == "__main__":
    sys.exit(main())
