"""httpbin, which is somebody else's software, on a loopback port in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["httpbin_server"]

_PROGRAM = """
import warnings
warnings.simplefilter("ignore")
from werkzeug.serving import WSGIRequestHandler, make_server
import httpbin
WSGIRequestHandler.protocol_version = "HTTP/1.1"
server = make_server("127.0.0.1", 0, httpbin.app, threaded=True)
print(server.server_port, flush=True)
server.serve_forever()
"""


@contextmanager
def httpbin_server() -> Iterator[str]:
    """Yields its origin. It binds port 0 itself and says which one it got."""
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()
