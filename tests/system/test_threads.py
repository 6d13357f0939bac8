"""Who goes first in a serving process: the event loop before gRPC's own threads."""

from __future__ import annotations

import os
from pathlib import Path

from served import process

from interlace import Client

MANIFEST = """
interlace: 1
connector: desk
upstream: {memory: desk}
operations:
  Echo: {reply: {ok: true}}
"""


async def test_grpcs_threads_never_interrupt_the_loop(tmp_path: Path) -> None:
    folder = tmp_path / "connectors"
    folder.mkdir()
    (folder / "desk.yaml").write_text(MANIFEST)
    async with (
        process("serve", "--config", str(folder), folder=tmp_path) as service,
        Client(service.addresses.grpc) as client,
    ):
        assert (await client.call("desk", "Echo")).data == b'{"ok":true}'
        policies = policies_of(service.process.pid)
    main, *_ = policies[0]
    assert main == os.SCHED_OTHER
    grpcs = [policy for policy, name in policies if name in ("event_engine", "lifeguard")]
    assert set(grpcs) == {os.SCHED_BATCH}
    # The poller has no name of its own: it is the one thread of Python's that is patient.
    assert sum(policy == os.SCHED_BATCH for policy, name in policies if name == "python") == 1
    assert {policy for policy, name in policies if name == "libuv-worker"} <= {os.SCHED_OTHER}


def policies_of(pid: int) -> list[tuple[int, str]]:
    """The scheduling policy and the name of each thread of a process, its first thread first."""
    tasks = sorted(Path(f"/proc/{pid}/task").iterdir(), key=lambda task: int(task.name))
    return [
        (os.sched_getscheduler(int(task.name)), (task / "comm").read_text().strip())
        for task in tasks
    ]
