"""A real NATS server for tests: found, started, killed and restarted."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

import pytest

__all__ = ["NatsServer", "find_server", "need_server"]

_ROOT = Path(__file__).resolve().parents[2]
_SYSTEM = ("/usr/bin/nats-server", "/usr/sbin/nats-server")
_START_LIMIT = 15.0


def find_server() -> str | None:
    """Returns the server's executable: NATS_SERVER_BIN, else what was unpacked under build/, else
    the system's own."""
    named = os.environ.get("NATS_SERVER_BIN")
    if named:
        return named
    unpacked = sorted(
        path
        for path in _ROOT.glob("build/**/nats-server")
        if os.access(path, os.X_OK) and path.is_file()
    )
    if unpacked:
        return str(unpacked[0])
    system = next((path for path in _SYSTEM if os.access(path, os.X_OK)), None)
    return system or shutil.which("nats-server")


def need_server() -> str:
    """Returns the executable, or skips the test; in CI its absence is a failure."""
    program = find_server()
    if program is not None:
        return program
    why = "no nats-server: run tools/fetch_test_servers.py, or set NATS_SERVER_BIN"
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(why)
    pytest.skip(why)


class NatsServer:
    """One server with JetStream on a loopback port that it keeps over restarts."""

    def __init__(self, store: Path, *, options: tuple[str, ...] = ()) -> None:
        self._store = store
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self._external = os.environ.get("NATS_URL", "")

    @property
    def url(self) -> str:
        """The server's address."""
        return self._external or f"nats://127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Starts the server and returns once its port answers."""
        if self._external:
            if self._options:
                self.need_own()
            return self
        for _ in range(10):
            port = self.port or _free_port()
            if self._try_start(port):
                self.port = port
                return self
        raise RuntimeError("nats-server does not start: " + self._log())

    def kill(self) -> None:
        """Ends the server as a crash would: kill -9."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ends the server in good order; doing it twice does nothing."""
        self._end(signal.SIGTERM)

    def restart(self) -> None:
        """Starts the server again on the same port and store."""
        self.need_own()
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freezes the server: connections stand and nothing answers."""
        self.need_own()
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Lets a frozen server go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self._end(signal.SIGKILL, may_be_external=True)

    def need_own(self) -> None:
        """Skips the test if the server is somebody else's."""
        if self._external:
            pytest.skip("the server at NATS_URL is not ours to set up, kill or stop")

    def _end(self, how: signal.Signals, *, may_be_external: bool = False) -> None:
        if not may_be_external:
            self.need_own()
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGCONT)
            process.send_signal(how)
            process.wait(_START_LIMIT)

    def _try_start(self, port: int) -> bool:
        self._store.mkdir(parents=True, exist_ok=True)
        command = [
            need_server(),
            "-a",
            "127.0.0.1",
            "-p",
            str(port),
            "-js",
            "-sd",
            str(self._store),
        ]
        with (self._store / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *self._options], stdout=log, stderr=log, start_new_session=True
            )
        return self._answers(port)

    def _answers(self, port: int) -> bool:
        """Whether our own process greets on the port: somebody else's greeting does not count,
        since then ours has ended."""
        process = self._process
        assert process is not None
        until = time.monotonic() + _START_LIMIT
        while time.monotonic() < until and process.poll() is None:
            if _is_greeted(port) and process.poll() is None:
                return True
            time.sleep(0.02)
        self._end(signal.SIGKILL)
        return False

    def _log(self) -> str:
        path = self._store / "server.log"
        return path.read_text(errors="replace")[-2000:] if path.exists() else "no log"


def _free_port() -> int:
    """Asks the system for a port; it may be taken again meanwhile, so starting is tried again."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_greeted(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.settimeout(1)
            return connection.recv(5) == b"INFO "
    except OSError:
        return False
