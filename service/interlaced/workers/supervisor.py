"""The supervisor: holds the port, keeps the seats taken, and speaks for the group.

Nothing of a call passes through it: every worker takes connections from the kernel by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from interlaced.admin.server import AdminServer, AdminViews
from interlaced.app import Addresses
from interlaced.core.clock import LoopClock, TimeLimit
from interlaced.core.failure import Failure
from interlaced.core.seat import Seat
from interlaced.core.secret import Secret
from interlaced.core.tasks import end_tasks
from interlaced.rpc.server import BindError, spell_address
from interlaced.settings import Settings, SettingsError
from interlaced.telemetry.log import log
from interlaced.workers.admin import WorkerAdmin
from interlaced.workers.keeper import Ending, Keeper, State
from interlaced.workers.merge import GroupMetrics
from interlaced.workers.orders import GroupError, Order, Report
from interlaced.workers.port import Port
from interlaced.workers.reload import GroupReload
from interlaced.workers.status import SeatStatus, merge_status
from interlaced.workers.watch import Watch

__all__ = ["Host", "Supervisor"]

Host = Callable[[Path], AbstractAsyncContextManager[object]]
"""Hosts in the supervisor's process what the whole group has once, such as embedded brokers; it is
given the group's private folder, entered before the first worker starts, and left after the last
one has ended."""

_MOST_STARTS = 5
_BEYOND_DRAIN = 5.0
_LONGEST_FOLDER = 70
"""Unix sockets have paths of at most 104 bytes on some systems."""
_LONGEST_SETTLING = 30.0
_LONGEST_START, _STARTS_TAKE = 60.0, 4
"""For how many seconds a worker may be silent while it starts, or for how many times as long as
when it serves, whichever is more."""


@dataclass(eq=False)
class _Member:
    """A seat with its keeper, and the way to ask its worker."""

    keeper: Keeper
    admin: WorkerAdmin
    watch: Watch
    task: asyncio.Task[None] | None = None
    watching: asyncio.Task[None] | None = None


class Supervisor:
    """A group of `count` workers that serve `settings` together. `start` once, `stop` once.

    `log_style` and `log_level` are what the workers log by. A worker that has answered nothing for
    `hung_after` seconds is killed, for the next one.
    """

    def __init__(
        self,
        settings: Settings,
        count: int,
        *,
        log_style: str = "json",
        log_level: str = "info",
        hung_after: float = 15.0,
        host: Host | None = None,
    ) -> None:
        self._settings = settings
        self._count = count
        self._log = (log_style, log_level)
        self._hung_after = hung_after
        self._host = host
        # One key for all, or a subscriber that comes back to another worker is turned away.
        self._keys = settings.cursor_keys or (Secret(secrets.token_hex(32)),)
        self._clock = LoopClock()
        self._metrics = GroupMetrics()
        self._members: list[_Member] = []
        self._stack = contextlib.AsyncExitStack()
        self._has_served = False
        self._is_draining = False
        self._changed = asyncio.Event()
        self._reload = GroupReload(
            self._serving_admins, self._settle, self._metrics.reloaded, self._clock
        )
        self.folder: Path | None = None
        self.addresses: Addresses | None = None

    @property
    def is_ready(self) -> bool:
        """Whether the group takes calls: once every seat has served, as long as one does. One
        worker that dies must not take the others out of a balancer."""
        return self._has_served and not self._is_draining and self._serving() > 0

    async def start(self) -> Addresses:
        """Serves, once every worker does. Raises SettingsError, BindError or GroupError, and leaves
        no process, socket or folder then."""
        try:
            return await self._start()
        except BaseException:
            self._is_draining = True
            for member in self._members:
                member.keeper.kill()
            await self._end()
            raise

    async def _start(self) -> Addresses:
        settings = replace(self._settings, seat=Seat(self._count - 1, self._count))
        settings.check()
        ingress = settings.ingress
        port = self._stack.enter_context(Port(ingress.host, ingress.port))
        folder = self.folder = self._stack.enter_context(_private_folder())
        admin = await self._start_admin()
        if self._host is not None:
            await self._stack.enter_async_context(self._host(folder))
        self._members = [self._member(index, port.number, folder) for index in range(self._count)]
        for member in self._members:
            member.task = asyncio.create_task(member.keeper.run())
            member.task.add_done_callback(lambda _: self._tell())
            member.watching = asyncio.create_task(member.watch.run())
            member.watching.add_done_callback(lambda _: self._tell())
        await self._until(lambda: self._serving() == self._count)
        self._has_served = True
        addresses = self.addresses = Addresses(
            spell_address(ingress.host, port.number), f"http://{admin}"
        )
        log.info("group.started", grpc=addresses.grpc, admin=addresses.admin, workers=self._count)
        return addresses

    async def watch(self) -> None:
        """Returns never; raises GroupError when the group gives up."""
        await self._until(lambda: False)

    async def reload(self, _body: Mapping[str, object] | None = None) -> dict[str, object]:
        """Makes all workers read the configuration again; either all serve the new one, or it is
        refused and all keep the old one. Raises Failure if a worker does not answer."""
        return await self._reload.run()

    async def stop(self) -> None:
        """Drains all workers within the drain's limit, kills what is left a moment later, and
        leaves nothing behind."""
        self._is_draining = True
        log.info("group.draining", limit=self._settings.drain_limit)
        for member in self._members:
            member.keeper.terminate()
        tasks = [member.task for member in self._members if member.task is not None]
        limit = self._clock.now() + self._settings.drain_limit + _BEYOND_DRAIN
        try:
            with TimeLimit(self._clock, limit):
                await asyncio.wait(tasks)
        except TimeoutError:
            log.error("group.drain_cut", limit=self._settings.drain_limit)
        await self._end()
        log.info("group.stopped")

    def kill(self) -> None:
        """Ends everything at once, without waiting: for a process that is about to end."""
        for member in self._members:
            member.keeper.kill()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    async def _end(self) -> None:
        """Ends the keepers, which end their workers, and then what the group shares."""
        await self._reload.close()
        tasks = [task for each in self._members for task in (each.watching, each.task)]
        await end_tasks(task for task in tasks if task is not None)
        await self._stack.aclose()

    async def _start_admin(self) -> str:
        host, port = self._settings.admin_host.strip("[]"), self._settings.admin_port
        views = AdminViews(
            metrics=self._show_metrics,
            is_ready=lambda: self.is_ready,
            status=self._show_status,
            actions={"reload": self.reload},
        )
        server = AdminServer(views)
        self._stack.push_async_callback(server.close)
        try:
            bound = await server.start(host, port)
        except OSError as error:
            raise BindError(f"cannot listen on {host}:{port}: is the port taken?") from error
        return spell_address(self._settings.admin_host, bound)

    def _member(self, index: int, port: int, folder: Path) -> _Member:
        settings, path = self._settings, folder / f"admin-{index}.sock"
        order = replace(
            settings,
            ingress=replace(settings.ingress, port=port),
            admin_host=f"unix:{path}",
            admin_port=0,
            cursor_keys=self._keys,
            seat=Seat(index, self._count, folder),
        )
        keeper = Keeper(
            index=index,
            order=Order(order, *self._log),
            clock=self._clock,
            judge=self._judge,
            changed=self._note,
            longest_start=max(_LONGEST_START, _STARTS_TAKE * self._hung_after),
        )
        worker = WorkerAdmin(index, path)
        return _Member(keeper, worker, Watch(keeper, worker, self._clock, self._hung_after))

    def _serving(self) -> int:
        return sum(member.keeper.state is State.SERVING for member in self._members)

    def _serving_admins(self) -> list[WorkerAdmin]:
        members = self._members
        return [each.admin for each in members if each.keeper.state is State.SERVING]

    def _note(self, keeper: Keeper) -> None:
        if keeper.state is State.DOWN:
            self._metrics.lose(str(keeper.index))
        self._tell()

    def _tell(self) -> None:
        """Wakes whoever waits for a change; the next wait is for the next one."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _judge(self, keeper: Keeper, ending: Ending) -> None:
        """Decides whether the group goes on when a worker has ended by itself.

        A start that is refused ends a group that has never served. Later, a file that has become
        wrong must not take workers away that serve what was right.
        """
        report, worker = ending.report, keeper.index
        if self._is_draining:
            return
        is_first = not self._has_served
        if is_first and report is not None and not report.is_serving:
            raise GroupError(report)
        if ending.starts == 0:
            log.error("worker.died", worker=worker, exit_code=ending.code)
        else:
            error = "" if report is None else report.error
            log.error("worker.not_started", worker=worker, exit_code=ending.code, error=error)
        if ending.starts >= _MOST_STARTS and (is_first or self._serving() == 0):
            text = f"worker {worker} ended at its start {ending.starts} times in a row; see the log"
            raise GroupError(report or Report(is_serving=False, error=text))
        self._metrics.restarted()

    async def _until(self, is_so: Callable[[], bool]) -> None:
        """Waits until something is so; raises what has ended a keeper."""
        while True:
            for member in self._members:
                for task in (member.task, member.watching):
                    if task is not None and task.done():
                        task.result()
            if is_so():
                return
            await self._changed.wait()

    async def _settle(self) -> None:
        """Waits until no worker is starting: it may have read the files before they changed."""
        with (
            contextlib.suppress(TimeoutError),
            TimeLimit(self._clock, self._clock.now() + _LONGEST_SETTLING),
        ):
            while any(each.keeper.state is State.STARTING for each in self._members):
                await self._changed.wait()

    async def _show_metrics(self) -> bytes:
        await asyncio.gather(*(self._see(member) for member in self._members))
        return self._metrics.render(self._serving())

    async def _see(self, member: _Member) -> None:
        """Takes a worker's page; one that does not answer is shown as it was seen last."""
        keeper = member.keeper
        pid = keeper.pid
        if keeper.state is not State.SERVING:
            return
        with contextlib.suppress(Failure):
            text = await member.admin.metrics()
            if keeper.pid == pid:
                self._metrics.see(str(keeper.index), text)

    async def _show_status(self) -> dict[str, object]:
        seats = await asyncio.gather(*(_status_of(member) for member in self._members))
        return merge_status(seats, is_ready=self.is_ready)


async def _status_of(member: _Member) -> SeatStatus:
    keeper, status = member.keeper, None
    if keeper.state is State.SERVING:
        with contextlib.suppress(Failure):
            status = await member.admin.status()
    return SeatStatus(
        worker=keeper.index,
        pid=keeper.pid,
        state=keeper.state.value,
        restarts=max(0, keeper.started - 1),
        status=status,
    )


@contextlib.contextmanager
def _private_folder() -> Iterator[Path]:
    """Makes a folder that only this user can enter, and removes it with all that is in it."""
    with tempfile.TemporaryDirectory(prefix="interlace-", ignore_cleanup_errors=True) as name:
        if len(name.encode()) > _LONGEST_FOLDER:
            raise SettingsError(f"{name} is too long for Unix sockets: set TMPDIR to a shorter one")
        yield Path(name)
