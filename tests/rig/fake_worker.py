"""A worker in a few lines, to test who keeps workers without a whole server in each."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

SERVE, REFUSE, DIE, HANG = "serve", "refuse", "die", "hang"


def fake_command(mode: Path) -> list[str]:
    """How it is started; the file says what each start does."""
    return [sys.executable, "-S", __file__, str(mode)]


def main(mode: str) -> None:
    """Takes an order, and does as the file says until stdin or SIGTERM ends it."""
    while os.read(0, 1) != b"\n":
        pass
    if mode == DIE:
        os._exit(9)
    if mode == HANG:
        signal.pause()
    if mode == REFUSE:
        os.write(1, b'{"is_serving": false, "error": "refused", "lines": ["why"]}\n')
        os._exit(1)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    os.write(1, b'{"is_serving": true}\n')
    os.read(0, 1)


if __name__ == "__main__":
    main(Path(sys.argv[1]).read_text())
