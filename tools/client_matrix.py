"""Proves that the client runs on the lowest and on the highest versions that it admits.

`python tools/client_matrix.py [lowest] [highest]` makes a virtual environment for each under
`build/matrix`, out of its lock file, installs the client there as its users do, imports every
module from another directory with warnings as errors, and talks to its own fake server. An
environment is kept for as long as its lock files stay the same; the client is installed each time.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CLIENT = ROOT / "clients" / "python"
REQUIREMENTS = ROOT / "requirements"
MATRIX = ROOT / "build" / "matrix"
ENDS = ("lowest", "highest")

PROBE = """
import asyncio, importlib, pkgutil
from importlib.metadata import files, version

import interlace

names = [module.name for module in pkgutil.walk_packages(interlace.__path__, "interlace.")]
for name in names:
    importlib.import_module(name)

# What type checkers need has no other place in the wheel than beside the code.
held = {str(file) for file in files("interlace")}
stubs = {name.replace(".", "/") + ".pyi" for name in names if "_pb2" in name}
assert stubs, "no generated module was found"
missing = ({"interlace/py.typed"} | stubs) - held
assert not missing, f"the wheel lacks {sorted(missing)}"

from interlace import Branch, Call, Client, Event, NotFound, Start
from interlace.testing import FakeServer


async def main():
    async with FakeServer() as server, Client(server.target) as client:
        server.on("shop", "Get", {"n": 1})
        assert (await client.call("shop", "Get", {"id": 7}, ledger=True)).json() == {"n": 1}
        try:
            await client.call("shop", "Nothing")
        except NotFound as error:
            assert error.reason == "UNKNOWN_OPERATION"
        else:
            raise AssertionError("an unknown operation was found")
        outcomes = await client.fan_out([Branch("a", Call("shop", "Get"))])
        assert outcomes[0].is_ok
        async with client.session() as session:
            results = await asyncio.gather(*(session.call("shop", "Get") for _ in range(100)))
        assert len(results) == 100
        server.feed("shop.Orders").emit(1, 2)
        async with client.subscribe("shop.Orders", start=Start.oldest()) as events:
            assert [(await anext(events)).json() for _ in range(2)] == [1, 2]
        async with client.consume("shop.Orders", "group") as deliveries:
            await (await anext(deliveries)).ack()
        sink = server.sink("shop.Returns")
        told = await client.publish("shop.Returns", [Event(id="r-1", data=b"{}")])
        assert told[0].is_ok
        assert [event.id for event in sink.events] == ["r-1"]


asyncio.run(main())
packages = ("grpcio", "protobuf", "googleapis-common-protos")
print(len(names), *(f"{package}=={version(package)}" for package in packages))
"""


def digest(*files: Path) -> str:
    """Names the content of files, and the interpreter."""
    state = hashlib.sha256(sys.version.encode())
    for file in files:
        state.update(file.read_bytes())
    return state.hexdigest()[:12]


def run(*command: str | Path, folder: Path = ROOT) -> str:
    """Runs a command and returns what it printed, or ends the program with it."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    told = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if told.returncode:
        sys.exit(
            f"{' '.join(str(part) for part in command[:4])} failed\n{told.stdout}{told.stderr}"
        )
    return told.stdout.strip()


def environment_of(end: str) -> Path:
    """Makes the environment of one end of the range, unless it is there."""
    lock, build = REQUIREMENTS / f"client-{end}.txt", REQUIREMENTS / "build.txt"
    place = MATRIX / f"{end}-{digest(lock, build)}"
    if (place / ".ready").exists():
        return place
    for stale in MATRIX.glob(f"{end}-*"):
        shutil.rmtree(stale)
    venv.create(place, with_pip=True)
    run(*pip(place), "--require-hashes", "-r", lock, "-r", build)
    (place / ".ready").touch()
    return place


def pip(place: Path) -> tuple[str | Path, ...]:
    """How to install into an environment."""
    options = ("--quiet", "--disable-pip-version-check", "--no-input")
    return (place / "bin" / "python", "-m", "pip", "install", *options)


def prove(end: str) -> str:
    """Installs the client into the environment of one end and runs the probe there."""
    place = environment_of(end)
    source = place / "source"
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(CLIENT, source, ignore=shutil.ignore_patterns("__pycache__"))
    run(*pip(place), "--no-deps", "--no-build-isolation", "--force-reinstall", source)
    run(place / "bin" / "python", "-m", "pip", "check", folder=place)
    return run(place / "bin" / "python", "-W", "error", "-c", PROBE, folder=place / "bin")


def main() -> None:
    """Proves the ends that are named, or both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ends", nargs="*", choices=[*ENDS, []], help="lowest, highest, or both")
    for end in parser.parse_args().ends or ENDS:
        print(f"{end}: {prove(end)}")  # noqa: T201  # what a tool has found


if __name__ == "__main__":
    main()
