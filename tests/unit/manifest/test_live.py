"""The configuration that is served: swapped whole, drained, or kept."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from interlaced.core.failure import Failure
from interlaced.core.model import Call, Effort
from interlaced.manifest.build import Generation, build
from interlaced.manifest.live import LiveConfiguration, Reload, ReloadResult
from interlaced.manifest.load import load
from interlaced.manifest.problem import ManifestError
from interlaced.resilience.admission import Admission
from interlaced.testing.clock import VirtualClock
from interlaced.testing.fakes import make_tools

ONE = """
interlace: 1
connector: one
upstream: {memory: test}
operations: {Get: {reply: {answer: REPLY}}}
"""


class Rig:
    """A live configuration over a folder, on a virtual clock."""

    def __init__(self, folder: Path, drain: float = 60.0) -> None:
        self.folder = folder
        self.clock = VirtualClock()
        self.served: list[Generation] = []
        self.tools = make_tools(self.clock)
        self.admission = Admission(8)
        self.live = LiveConfiguration(
            read=self.read,
            build=self.build,
            serve=self.serve,
            clock=self.clock,
            drain=drain,
        )

    def write(self, name: str, text: str) -> None:
        (self.folder / f"{name}.yaml").write_text(text)

    async def read(self):
        return load([self.folder], env={})

    def build(self, manifests, previous):
        return build(manifests, tools=self.tools, admission=self.admission, previous=previous)

    async def serve(self, generation: Generation, live: LiveConfiguration) -> None:
        self.served.append(generation)

    async def prepare_another(self) -> tuple[Generation, Reload]:
        """Starts, and prepares a changed configuration; returns what is served all the same."""
        self.write("one", ONE)
        await self.live.start()
        served = self.live.generation
        self.write("one", ONE.replace("REPLY", "other"))
        prepared = await self.live.prepare()
        assert prepared.result is ReloadResult.OK
        return served, prepared

    def call(self, connector: str = "one") -> Call:
        now = self.clock.now()
        return Call(deadline=now + 30, effort=Effort(now), connector=connector, operation="Get")


def test_a_changed_section_is_rebuilt_and_an_unchanged_one_is_the_same_object(tmp_path) -> None:
    rig = Rig(tmp_path)
    rig.write("one", ONE)
    rig.write("two", ONE.replace("one", "two"))

    async def main() -> None:
        await rig.live.start()
        first = rig.live.generation.built
        rig.write("two", ONE.replace("one", "two").replace("REPLY", "other"))
        report = await rig.live.reload()
        assert report.result is ReloadResult.OK
        second = rig.live.generation.built
        assert second["one"] is first["one"]
        assert second["two"] is not first["two"]
        reply = await rig.live.routes()[("two", "Get")](rig.call("two"))
        assert b"other" in reply.payload.data
        await rig.live.close()

    rig.clock.run(main())


def test_a_bad_file_keeps_the_old_configuration_and_says_why(tmp_path) -> None:
    rig = Rig(tmp_path)
    rig.write("one", ONE)

    async def main() -> None:
        await rig.live.start()
        before = rig.live.generation
        rig.write("one", ONE.replace("operations", "operation"))
        report = await rig.live.reload()
        assert report.result is ReloadResult.REFUSED
        assert report.problems[0].line == 5
        assert "operations" in str(report.problems[0])
        assert rig.live.generation is before
        assert rig.served == [before]
        rig.write("one", ONE)
        assert (await rig.live.reload()).result is ReloadResult.UNCHANGED
        await rig.live.close()

    rig.clock.run(main())


def test_what_is_prepared_is_served_only_when_it_is_committed(tmp_path) -> None:
    rig = Rig(tmp_path)

    async def play() -> None:
        first, prepared = await rig.prepare_another()
        assert rig.live.generation is first
        committed = await rig.live.commit()
        assert committed == prepared
        assert rig.live.generation.catalog.config_hash == committed.config_hash
        assert (await rig.live.commit()).result is ReloadResult.UNCHANGED
        await rig.live.close()

    rig.clock.run(play())


def test_a_refusal_forgets_what_was_prepared_before(tmp_path) -> None:
    rig = Rig(tmp_path)

    async def play() -> None:
        first, _ = await rig.prepare_another()
        rig.write("one", ONE.replace("operations", "operation"))
        refused = await rig.live.prepare()
        assert (refused.result, len(refused.problems)) == (ReloadResult.REFUSED, 1)
        assert (await rig.live.commit()).result is ReloadResult.UNCHANGED
        assert rig.live.generation is first
        await rig.live.close()

    rig.clock.run(play())


def test_the_first_configuration_must_be_right(tmp_path) -> None:
    rig = Rig(tmp_path)
    rig.write("one", "interlace: 2\n")

    async def main() -> None:
        with pytest.raises(ManifestError):
            await rig.live.start()
        with pytest.raises(RuntimeError):
            assert rig.live.generation

    rig.clock.run(main())


SLOW = ONE.replace("{answer: REPLY}", "{answer: slow}, delay: 8s")


def test_a_call_under_way_ends_on_the_old_connector_before_that_is_closed(tmp_path) -> None:
    rig = Rig(tmp_path)
    rig.write("one", SLOW)

    async def main() -> None:
        await rig.live.start()
        old = rig.live.generation.built["one"].connector
        closed = watch_close(old)
        under_way = asyncio.create_task(rig.live.routes()[("one", "Get")](rig.call()))
        await rig.clock.sleep(1)
        rig.write("one", ONE)
        await rig.live.reload()
        await rig.clock.sleep(1)
        assert not closed
        assert b"slow" in (await under_way).payload.data
        await rig.clock.sleep(1)
        assert closed
        await rig.live.close()

    rig.clock.run(main())


def test_a_call_that_outlives_the_drain_does_not_keep_the_old_connector_open(tmp_path) -> None:
    rig = Rig(tmp_path, drain=2.0)
    rig.write("one", SLOW)

    async def main() -> None:
        await rig.live.start()
        closed = watch_close(rig.live.generation.built["one"].connector)
        under_way = asyncio.create_task(rig.live.routes()[("one", "Get")](rig.call()))
        await rig.clock.sleep(0.1)
        rig.write("one", ONE)
        await rig.live.reload()
        await rig.clock.sleep(3)
        assert closed
        await asyncio.gather(under_way, return_exceptions=True)
        await rig.live.close()

    rig.clock.run(main())


class Gate:
    """Makes one connector slow to open."""

    def __init__(self, connector) -> None:
        self.is_reached = asyncio.Event()
        self.may_open = asyncio.Event()
        connector.open = self.open

    async def open(self) -> None:
        self.is_reached.set()
        await self.may_open.wait()


def gated(rig: Rig) -> list[tuple[Gate, list[bool]]]:
    """Puts a gate before every connector that is built from now on, and watches its close."""
    gates: list[tuple[Gate, list[bool]]] = []
    build_first = rig.live._build

    def build_slowly(manifests, previous):
        following = build_first(manifests, previous)
        known = previous.built.values() if previous else ()
        gates.extend(
            (Gate(built.connector), watch_close(built.connector))
            for built in following.built.values()
            if built not in known
        )
        return following

    rig.live._build = build_slowly
    return gates


def test_a_close_in_mid_reload_leaves_no_connector_open(tmp_path) -> None:
    rig = Rig(tmp_path)
    rig.write("one", ONE)

    async def main() -> None:
        await rig.live.start()
        old = watch_close(rig.live.generation.built["one"].connector)
        gates = gated(rig)
        rig.write("one", ONE.replace("REPLY", "other"))
        reload = asyncio.create_task(rig.live.reload())
        await rig.clock.sleep(0.1)
        ((gate, new),) = gates
        assert gate.is_reached.is_set()
        await rig.live.close()
        assert old
        assert new
        with pytest.raises(Failure, match="shutting down"):
            await reload
        with pytest.raises(Failure, match="shutting down"):
            await rig.live.reload()
        await rig.live.close()
        assert len(rig.served) == 1
        assert len(asyncio.all_tasks()) == 1

    rig.clock.run(main())


def test_a_close_right_after_a_reload_closes_the_replaced_connector(tmp_path) -> None:
    """Its task has not begun when it is cancelled, and a task that never began closes nothing."""
    rig = Rig(tmp_path)
    rig.write("one", ONE)

    async def main() -> None:
        await rig.live.start()
        closed = watch_close(rig.live.generation.built["one"].connector)
        rig.write("one", ONE.replace("REPLY", "other"))
        await rig.live._reload()
        await rig.live.close()
        assert closed

    rig.clock.run(main())


def test_who_gives_up_waiting_for_a_reload_does_not_stop_it_half_way(tmp_path) -> None:
    rig = Rig(tmp_path)
    rig.write("one", ONE)

    async def main() -> None:
        await rig.live.start()
        gates = gated(rig)
        rig.write("one", ONE.replace("REPLY", "other"))
        reload = asyncio.create_task(rig.live.reload())
        next_one = asyncio.create_task(rig.live.reload())
        await rig.clock.sleep(0.1)
        reload.cancel()
        await rig.clock.sleep(0.1)
        gates[0][0].may_open.set()
        with pytest.raises(asyncio.CancelledError):
            await reload
        assert len(rig.served) == 2
        assert (await next_one).result is ReloadResult.UNCHANGED  # it waited for its turn
        await rig.live.close()

    rig.clock.run(main())


def test_a_connector_that_cannot_be_opened_keeps_the_old_configuration(tmp_path) -> None:
    rig = Rig(tmp_path)
    rig.write("one", ONE)

    async def main() -> None:
        await rig.live.start()
        before = rig.live.generation
        gates = gated(rig)

        async def refuse() -> None:
            raise OSError("no route to 10.0.0.1")

        build_slowly = rig.live._build

        def build_broken(manifests, previous):
            following = build_slowly(manifests, previous)
            following.built["two"].connector.open = refuse
            gates[0][0].may_open.set()
            return following

        rig.live._build = build_broken
        rig.write("one", ONE.replace("REPLY", "other"))
        rig.write("two", ONE.replace("one", "two"))
        with pytest.raises(OSError, match="no route"):
            await rig.live.reload()
        assert rig.live.generation is before
        assert [bool(closed) for _, closed in gates] == [True, True]
        reply = await rig.live.routes()[("one", "Get")](rig.call())
        assert b"REPLY" in reply.payload.data
        await rig.live.close()

    rig.clock.run(main())


def test_a_connector_that_cannot_be_closed_does_not_keep_the_others_open(tmp_path) -> None:
    rig = Rig(tmp_path)
    rig.write("one", ONE)
    rig.write("two", ONE.replace("one", "two"))

    async def main() -> None:
        await rig.live.start()
        built = rig.live.generation.built

        async def refuse() -> None:
            raise RuntimeError("stuck")

        built["one"].connector.close = refuse
        closed = watch_close(built["two"].connector)
        await rig.live.close()
        assert closed

    rig.clock.run(main())


def watch_close(connector) -> list[bool]:
    """Records that a connector was closed, and still closes it."""
    closed: list[bool] = []
    close = connector.close

    async def note() -> None:
        closed.append(True)
        await close()

    connector.close = note
    return closed
