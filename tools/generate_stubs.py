"""Generates the Python stubs of `protos/` into the client package, or proves that they are fresh.

`python tools/generate_stubs.py` writes them; with `--check` it writes nothing and exits 1 if the
committed files differ from what the pinned generator makes.
"""

import argparse
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
PACKAGE = ROOT / "clients" / "python"
STUBS = PACKAGE / "interlace" / "v1"


def compile_protos(protos: list[str], outputs: list[str]) -> None:
    """Runs the pinned protoc on `protos`, or ends the program."""
    includes = [f"--proto_path={PROTOS}", f"--proto_path={files('grpc_tools') / '_proto'}"]
    if protoc.main(["protoc", *includes, *outputs, *protos]) != 0:
        sys.exit("protoc failed; its message is above")


def generate(target: Path) -> None:
    """Compiles every proto of our own below `target`, which must exist."""
    protos = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.glob("interlace/**/*.proto"))
    services = [proto for proto in protos if proto.endswith("_service.proto")]
    compile_protos(protos, [f"--python_out={target}", f"--mypy_out=quiet:{target}"])
    compile_protos(services, [f"--grpc_python_out={target}", f"--mypy_grpc_out=quiet:{target}"])
    (target / "interlace" / "v1" / "__init__.py").touch()


def snapshot(folder: Path) -> dict[str, bytes]:
    """Reads every stub below `folder`, keyed by its name."""
    return {path.name: path.read_bytes() for path in folder.glob("*.py*") if path.is_file()}


def main() -> None:
    """Writes or checks the stubs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    check = parser.parse_args().check
    if not check:
        for stale in STUBS.glob("*_pb2*.py*"):
            stale.unlink()
        generate(PACKAGE)
        return
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        fresh, committed = snapshot(Path(folder) / "interlace" / "v1"), snapshot(STUBS)
    differing = sorted(
        name for name in fresh.keys() | committed.keys() if fresh.get(name) != committed.get(name)
    )
    if differing:
        sys.exit(f"stubs are stale: {', '.join(differing)}; run `make proto`")


if __name__ == "__main__":
    main()
