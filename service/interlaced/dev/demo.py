"""`make demo`: starts `interlace dev` on free ports, plays the main job against it, and ends.

The exit code is 0 only if every act showed what it promises; otherwise the reason is printed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from interlace import Client, InterlaceError
from interlaced.dev.acts import ACTS, Act, Stage, Unexpected

__all__ = ["main", "play"]

_START_LIMIT = 30.0
_ACT_LIMIT = 60.0
_STOP_LIMIT = 15.0


def main() -> None:
    """Plays the demo and exits."""
    try:
        asyncio.run(play())
    except (Unexpected, InterlaceError, RuntimeError, OSError) as error:
        sys.stderr.write(f"\nthe demo failed: {type(error).__name__}: {error}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


async def play(acts: Sequence[Act] = ACTS) -> None:
    """Runs the acts in order, each within its limit."""
    with tempfile.TemporaryDirectory() as folder:
        async with _server(Path(folder)) as (grpc, admin):
            _tell(f"interlace dev is up: gRPC on {grpc}, admin on {admin}")
            async with Client(grpc) as client:
                stage = Stage(client=client, grpc=grpc, admin=admin, tell=_tell)
                for number, act in enumerate(acts, 1):
                    await _perform(act, number, stage)
    _tell("\nEverything that was promised was shown.")


async def _perform(act: Act, number: int, stage: Stage) -> None:
    """Runs one act, under its title."""
    title = (act.__doc__ or "").strip().splitlines()[0].rstrip(".")
    _tell(f"\n{number}. {title}")
    limit = asyncio.timeout(_ACT_LIMIT)
    try:
        async with limit:
            await act(stage)
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise Unexpected(f"act {number} ends within {_ACT_LIMIT:g} s") from error


@contextlib.asynccontextmanager
async def _server(folder: Path) -> AsyncIterator[tuple[str, str]]:
    """Runs `interlace dev` in a process of its own and ends it; shows its log when that helps."""
    ports, log = folder / "ports.json", folder / "dev.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "interlaced", "dev", "--port", "0", "--admin-port", "0"),
            *("--ports-file", str(ports)),
            stdout=output,
            stderr=output,
        )
    try:
        addresses = await _addresses(ports, process)
        yield addresses["grpc"], addresses["admin"]
        await _end(process)
    except Exception:
        sys.stderr.write(f"\nwhat interlace dev said:\n{_text(log)}")
        raise
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ends it as an operator would."""
    process.terminate()
    async with asyncio.timeout(_STOP_LIMIT):
        code = await process.wait()
    if code != 0:
        raise RuntimeError(f"interlace dev ended with exit code {code}")


async def _addresses(ports: Path, process: asyncio.subprocess.Process) -> dict[str, str]:
    """Waits for the addresses that the server writes once it is bound."""
    async with asyncio.timeout(_START_LIMIT):
        while (text := _text(ports)) is None:
            if process.returncode is not None:
                raise RuntimeError("interlace dev did not start")
            await asyncio.sleep(0.05)
    found: dict[str, str] = json.loads(text)
    return found


def _text(path: Path) -> str | None:
    return path.read_text() if path.exists() else None


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
