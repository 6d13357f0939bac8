"""The nats kind on a real server that is killed, restarted, cut off and tidied up."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from certificates import Authority
from nats_rig import NatsRig, nats_rig, publication, take
from nats_server import NatsServer

from interlaced.connectors.nats.config import Config
from interlaced.connectors.nats.connector import build
from interlaced.core.clock import TimeLimit
from interlaced.core.failure import Failure, NotConnected, Reason
from interlaced.core.model import Delivery, Event, Gap, GapWhy, Settlement, Verdict
from interlaced.core.ports import Reader, Start, StartKind
from interlaced.testing.fakes import make_tools
from interlaced.testing.fault_proxy import Faults
from interlaced.testing.source_suite import ACK, NACK, make_events

pytestmark = [pytest.mark.live, pytest.mark.timeout(90)]

OLDEST = Start(StartKind.OLDEST)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[NatsServer]:
    with NatsServer(tmp_path / "store") as running:
        yield running


async def _follow(rig: NatsRig, ids: list[str], gaps: list[Gap]) -> None:
    """Reads for ever as the pump does: after a lost connection from the last position on, and
    from the oldest where the epoch says that it is another history."""
    position, epoch = b"", 0

    async def opening() -> Reader:
        nonlocal position, epoch
        reader = await rig.feed.open(Start(StartKind.AFTER, position) if position else OLDEST)
        if position and reader.epoch != epoch:
            gaps.append(Gap(GapWhy.NEW_HISTORY))
            position = b""
            await reader.close()
            reader = await rig.feed.open(OLDEST)
        epoch = reader.epoch
        return reader

    reader = await rig.reopen(opening)
    try:
        while True:
            reader, items = await rig.read_or_reopen(reader, opening)
            for item in items:
                if isinstance(item, Gap):
                    gaps.append(item)
                else:
                    ids.append(item.event.id)
                    position = item.event.position
    finally:
        await reader.close()


async def _until(rig: NatsRig, met: Callable[[], bool], seconds: float = 15.0) -> None:
    until = rig.clock.now() + seconds
    while not met():
        assert rig.clock.now() < until, "it does not come"
        await asyncio.sleep(0.02)


async def _end(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


@pytest.mark.parametrize("fault", ["consumer deleted", "stream remade", "packets dropped", "cut"])
async def test_messages_flow_again_whatever_was_done_to_the_consumer(
    server: NatsServer, fault: str
) -> None:
    """P9: the pump's reader reports the loss, and its successor goes on where it was."""
    async with nats_rig(server.url) as rig:
        ids: list[str] = []
        gaps: list[Gap] = []
        following = asyncio.create_task(_follow(rig, ids, gaps))
        await rig.publish(make_events(5))
        await _until(rig, lambda: len(ids) == 5)
        if fault == "consumer deleted":
            info = await rig.api(f"CONSUMER.NAMES.{rig.stream}")
            for name in info["consumers"]:
                await rig.api(f"CONSUMER.DELETE.{rig.stream}.{name}")
        elif fault == "stream remade":
            await rig.rebuild()
            reader = await rig.reopen(lambda: rig.feed.open(OLDEST))
            await reader.close()
        elif fault == "packets dropped":
            await rig.freeze()
            await asyncio.sleep(1.0)
            rig.proxy.heal()
            rig.proxy.cut()
        else:
            await rig.cut()
        await rig.publish(make_events(5, first=5))
        await _until(rig, lambda: len(ids) >= 10)
        assert ids == [str(number) for number in range(10)]
        assert [gap.why for gap in gaps] == (
            [GapWhy.NEW_HISTORY] if fault == "stream remade" else []
        )
        await _end(following)


@pytest.mark.parametrize("fault", ["consumer deleted", "packets dropped"])
async def test_a_member_notices_that_its_consumer_is_gone(server: NatsServer, fault: str) -> None:
    """P9: judged by progress, since the connection stands all the while."""
    async with nats_rig(server.url) as rig:
        member = await rig.feed.join("group")
        await rig.publish(make_events(1))
        (delivery,) = await take(member, 1)
        await delivery.settle(ACK)
        if fault == "consumer deleted":
            await rig.api(f"CONSUMER.DELETE.{rig.stream}.group")
        else:
            await rig.freeze()
        since = rig.clock.now()
        with pytest.raises(NotConnected), TimeLimit(rig.clock, since + 10):
            await member.read()
        assert rig.clock.now() - since < 5
        rig.proxy.heal()
        await member.close()
        again = await rig.reopen(lambda: rig.feed.join("group"))
        await rig.publish(make_events(1, first=1))
        await _until_id(again, "1")
        await again.close()


async def _until_id(member: Reader, wanted: str) -> None:
    """Settles until an event has come: a consumer that was made anew begins at the beginning."""
    while True:
        for item in await member.read():
            assert isinstance(item, Delivery)
            await item.settle(ACK)
            if item.event.id == wanted:
                return


async def test_a_restarted_server_is_read_on_from_the_last_position(server: NatsServer) -> None:
    """P9, F17: kill -9, publish after the restart, nothing skipped, nothing twice."""
    async with nats_rig(server.url) as rig:
        ids: list[str] = []
        gaps: list[Gap] = []
        following = asyncio.create_task(_follow(rig, ids, gaps))
        results = await rig.sink.publish(publication(make_events(20)))
        assert all(one.failure is None for one in results)
        await _until(rig, lambda: len(ids) == 20)
        server.kill()
        assert await _publish(rig, make_events(1, first=20), seconds=2) is not None
        server.start()
        for number in range(20, 30):
            await _insist(rig, make_events(1, first=number))
        await _until(rig, lambda: len(ids) >= 30)
        assert ids == [str(number) for number in range(30)]
        assert not gaps
        await _end(following)


async def _publish(rig: NatsRig, events: list[Event], seconds: float = 3) -> Failure | None:
    """Publishes; returns the first failure, however it is told."""
    try:
        results = await rig.sink.publish(publication(events, seconds=seconds))
    except Failure as failure:
        return failure
    return next((one.failure for one in results if one.failure is not None), None)


async def _insist(rig: NatsRig, events: list[Event]) -> None:
    """Publishes until it is confirmed, with the same ids."""
    for _ in range(100):
        if await _publish(rig, events) is None:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it is never confirmed")


async def test_everything_confirmed_survives_kill_minus_9(server: NatsServer) -> None:
    """F17, F21, L4: what was confirmed is in the store after the crash; what was not is unknown."""
    async with nats_rig(server.url) as rig:
        confirmed: set[str] = set()
        doubtful: set[str] = set()

        async def produce() -> None:
            for number in range(0, 100_000, 10):
                events = make_events(10, first=number)
                try:
                    results = await rig.sink.publish(publication(events, seconds=1))
                except Failure:
                    return
                for event, one in zip(events, results, strict=True):
                    (confirmed if one.failure is None else doubtful).add(event.id)
                if doubtful:
                    return

        producing = asyncio.create_task(produce())
        await _until(rig, lambda: len(confirmed) > 500)
        server.kill()
        await producing
        server.start()
        reader = await rig.reopen(lambda: rig.feed.open(OLDEST))
        found: list[str] = []
        while not confirmed <= set(found):
            found += [delivery.event.id for delivery in await take(reader, 1)]
        assert len(found) == len(set(found))
        assert set(found) <= confirmed | doubtful | {
            str(int(max(confirmed, key=int)) + n) for n in range(11)
        }
        await reader.close()


async def test_published_through_a_crash_is_acked_in_flight_waiting_or_dead(
    server: NatsServer,
) -> None:
    """L4, L5: acked + in flight + waiting + dead = published, over a kill -9 in the middle."""
    async with nats_rig(server.url, ack={"backoff": "10ms..50ms"}) as rig:
        published, acked, is_over = set(), Counter[str](), False
        poison = {str(number) for number in range(0, 300, 50)}

        async def produce() -> None:
            for number in range(0, 300, 5):
                await _insist(rig, make_events(5, first=number))
                published.update(str(number + n) for n in range(5))
                await asyncio.sleep(0.005)

        async def work() -> None:
            member = await rig.reopen(lambda: rig.feed.join("group"))
            while not is_over:
                member, items = await rig.read_or_reopen(member, lambda: rig.feed.join("group"))
                for item in items:
                    assert isinstance(item, Delivery)
                    name = item.event.id
                    try:
                        await item.settle(NACK if name in poison else ACK)
                    except Failure:
                        continue  # it comes again
                    acked[name] += name not in poison
            await member.close()

        working = [asyncio.create_task(work()) for _ in range(3)]
        producing = asyncio.create_task(produce())
        await _until(rig, lambda: len(published) > 100)
        server.kill()
        await asyncio.sleep(0.3)
        server.start()
        await producing
        letters = await rig.reopen(lambda: rig.dead.open(OLDEST))
        dead = {one.event.id for one in await take(letters, len(poison), 40)}
        await _until(rig, lambda: set(acked) >= published - poison, 40)
        assert published == set(acked) | dead
        assert dead == poison
        await letters.close()
        await _end(*working)


async def test_one_poison_message_among_ten_thousand_harms_nobody(server: NatsServer) -> None:
    """P10: dead after exactly N attempts counted over three members, the rest at full speed."""
    ack = {"wait": "10s", "hold": "30s", "max_deliver": 5, "backoff": "100ms..300ms", "batch": 256}
    async with nats_rig(server.url, ack=ack) as rig:
        seen: Counter[str] = Counter()
        attempts: list[tuple[int, int, float]] = []
        total = 10_000

        async def work(number: int) -> None:
            member = await rig.feed.join("group")
            try:
                while True:
                    items = [one for one in await member.read() if isinstance(one, Delivery)]
                    for one in items:
                        seen[one.event.id] += 1
                        if one.event.id == "5000":
                            attempts.append((number, one.attempt, rig.clock.now()))
                    await asyncio.gather(
                        *(one.settle(NACK_OWN if one.event.id == "5000" else ACK) for one in items)
                    )
            finally:
                await member.close()

        for first in range(0, total, 500):
            small = [
                replace(one, attributes={}, subject="") for one in make_events(500, first=first)
            ]
            results = await rig.sink.publish(publication(small))
            assert all(one.failure is None for one in results)
        working = [asyncio.create_task(work(number)) for number in range(3)]
        letters = await rig.dead.open(OLDEST)
        (letter,) = await take(letters, 1, 40)
        await _until(rig, lambda: len(seen) == total, 40)
        await asyncio.sleep(0.3)
        assert letter.event.id == "5000"
        assert letter.event.attributes["interlaceattempts"] == "5"
        assert [attempt for _, attempt, _ in attempts] == [1, 2, 3, 4, 5]
        assert seen.pop("5000") == 5
        assert set(seen.values()) == {1}
        await _end(*working)
        await letters.close()


NACK_OWN = Settlement(Verdict.NACK)


async def test_a_handler_may_take_three_times_the_lease(server: NatsServer) -> None:
    """P25: the lease is renewed from receipt, also of what waits in the buffer."""
    async with nats_rig(server.url, ack={"wait": "300ms", "hold": "10s", "batch": 10}) as rig:
        member, other = await rig.feed.join("group"), await rig.feed.join("group")
        seen: list[tuple[str, int]] = []
        reading = asyncio.create_task(take(member, 1))
        await asyncio.sleep(0.1)
        member.allow(1)
        await rig.publish(make_events(4))
        stealing = asyncio.create_task(_steal(other, seen))
        for _ in range(4):
            (delivery,) = await reading
            seen.append((delivery.event.id, delivery.attempt))
            await asyncio.sleep(0.9)
            await delivery.settle(ACK)
            reading = asyncio.create_task(take(member, 1))
        await asyncio.sleep(0.5)
        assert sorted(seen) == [(str(number), 1) for number in range(4)]
        await _end(stealing, reading)
        await member.close()
        await other.close()


async def _steal(member: Reader, seen: list[tuple[str, int]]) -> None:
    while True:
        for item in await member.read():
            assert isinstance(item, Delivery)
            seen.append((item.event.id, item.attempt))
            await item.settle(ACK)


async def test_a_lost_confirmation_is_asked_for_again_with_the_same_id(server: NatsServer) -> None:
    """R22: the stream stored it, its answer was lost; once more, and it says duplicate."""
    async with nats_rig(server.url) as rig:
        await rig.sink.publish(publication(make_events(1)))
        accepted = rig.proxy.accepted
        rig.proxy.script_next(Faults())
        rig.proxy.script(Faults(reset_after=0))
        results = await rig.sink.publish(publication(make_events(3, first=1), seconds=8))
        rig.proxy.heal()
        assert rig.proxy.accepted == accepted + 1
        assert [(one.failure, one.is_duplicate) for one in results] == [(None, True)] * 3
        assert [event.id for event in await rig.stored(4)] == ["0", "1", "2", "3"]


async def test_a_lost_verdict_is_told_and_the_delivery_comes_again(server: NatsServer) -> None:
    """F19: a verdict that the broker did not take is a Failure, never a silent success."""
    async with nats_rig(server.url) as rig:
        member = await rig.feed.join("group")
        await rig.publish(make_events(1))
        (delivery,) = await take(member, 1)
        await rig.freeze()
        with pytest.raises(Failure) as lost:
            await delivery.settle(ACK)
        assert lost.value.reason in (Reason.UPSTREAM_TIMEOUT, Reason.UPSTREAM_UNAVAILABLE)
        await delivery.settle(ACK)
        await rig.thaw()
        await member.close()
        again = await rig.reopen(lambda: rig.feed.join("group"))
        (second,) = await take(again, 1)
        assert (second.event.id, second.attempt) == ("0", 2)
        await second.settle(ACK)
        await again.close()


async def test_a_letter_written_twice_is_there_once(server: NatsServer) -> None:
    """A crash between the letter and the end of the original: the second letter is a duplicate."""
    async with nats_rig(server.url) as rig:
        member = await rig.feed.join("group")
        await rig.publish(make_events(1))
        (delivery,) = await take(member, 1)
        link = member._link
        ask = link.ask

        async def crash(subject: str, data: bytes = b"", **options: object) -> object:
            if data == b"+TERM":
                raise TimeoutError
            return await ask(subject, data, **options)

        link.ask = crash
        with pytest.raises(Failure):
            await delivery.settle(Settlement(Verdict.REJECT, cause="first"))
        link.ask = ask
        (again,) = await take(member, 1)
        await again.settle(Settlement(Verdict.REJECT, cause="second"))
        letters = await rig.dead.open(OLDEST)
        (letter,) = await take(letters, 1)
        assert letter.event.attributes["interlacecause"] == "first"
        with pytest.raises(TimeoutError), TimeLimit(rig.clock, rig.clock.now() + 0.3):
            await letters.read()
        await letters.close()
        await member.close()


async def test_a_missing_stream_is_told_and_waited_for(server: NatsServer) -> None:
    async with nats_rig(server.url) as rig:
        document = rig.document()
        document["streams"] = {}
        document["feeds"]["Orders"]["stream"] = document["sinks"]["Orders"]["stream"] = "NONE"
        document["sinks"]["Orders"]["subject"] = "nobody.listens"
        connector = rig.make(document)
        for opening in (
            connector.feeds["Orders"].open(OLDEST),
            connector.feeds["Orders"].join("g"),
        ):
            with pytest.raises(NotConnected) as missing:
                await opening
            assert missing.value.failure.reason is Reason.UPSTREAM_PRECONDITION
        (one,) = await connector.sinks["Orders"].publish(publication(make_events(1)))
        assert one.failure is not None
        assert one.failure.reason is Reason.UPSTREAM_PRECONDITION
        await connector.close()


async def test_a_slow_reader_is_told_what_was_trimmed_under_it(server: NatsServer) -> None:
    """F18, L5: retention overtakes a reader that is already open."""
    async with nats_rig(server.url) as rig:
        info = await rig.api(f"STREAM.INFO.{rig.stream}")
        await rig.api(f"STREAM.UPDATE.{rig.stream}", {**info["config"], "max_msgs": 100})
        reader = await rig.feed.open(OLDEST)
        await rig.publish(make_events(1))
        await take(reader, 1)
        await rig.freeze()
        await rig.publish(make_events(2000, first=1))
        rig.proxy.heal()
        rig.proxy.cut()
        with pytest.raises(NotConnected):
            while True:
                await reader.read()
        await reader.close()
        again = await rig.reopen(
            lambda: rig.feed.open(Start(StartKind.AFTER, (1).to_bytes(8, "big")))
        )
        items = list(await again.read())
        assert items[0] == Gap(GapWhy.EXPIRED, "2", "1901")
        await again.close()


async def test_core_nats_counts_what_a_slow_reader_missed(server: NatsServer) -> None:
    async with nats_rig(server.url, core=True) as rig:
        reader = await rig.feed.open(Start())
        await rig.publish(make_events(150))
        await asyncio.sleep(0.3)
        items = list(await reader.read())
        assert len([item for item in items if isinstance(item, Delivery)]) == 100
        assert items[-1] == Gap(GapWhy.UPSTREAM_SEQUENCE)
        assert rig.tools.observer.feeds["orders", "Orders"].drops == [("upstream_limit", 1)] * 50
        await reader.close()


async def _refusal(server: NatsServer, **more: object) -> Failure | None:
    upstream = {"nats": server.url, "connect_timeout": "2s", **more}
    config = {"upstream": upstream, "feeds": {"Prices": {"core": True, "subject": "prices"}}}
    connector = build("prices", Config.model_validate(config), make_tools())
    try:
        reader = await connector.feeds["Prices"].open(Start())
    except NotConnected as refused:
        return refused.failure
    await reader.close()
    return None


async def test_wrong_credentials_are_told_apart(tmp_path: Path) -> None:
    options = ("--user", "app", "--pass", "s3cret")
    with NatsServer(tmp_path / "closed", options=options) as server:
        assert await _refusal(server, auth={"user": "app", "password": "s3cret"}) is None
        for more in ({"auth": {"user": "app", "password": "wrong-one"}}, {}):
            failure = await _refusal(server, **more)
            assert failure is not None
            assert failure.reason is Reason.UPSTREAM_CREDENTIALS_REJECTED
            assert "wrong-one" not in str(failure)


async def test_a_sink_creates_the_stream_that_is_its_own_to_create(server: NatsServer) -> None:
    async with nats_rig(server.url) as rig:
        document = rig.document()
        document["streams"] = {"FRESH": {"subjects": ["fresh.>"], "storage": "memory"}}
        document["sinks"]["Orders"] = {"subject": "fresh.new", "stream": "FRESH"}
        connector = rig.make(document)
        for _ in range(2):
            results = await connector.sinks["Orders"].publish(publication(make_events(2)))
            assert [one.failure for one in results] == [None, None]
        assert (await rig.api("STREAM.INFO.FRESH"))["state"]["messages"] == 2
        await connector.close()
        await rig.api("STREAM.DELETE.FRESH")


async def test_a_stream_of_another_name_does_not_confirm(server: NatsServer) -> None:
    async with nats_rig(server.url) as rig:
        document = rig.document()
        document["sinks"]["Orders"]["stream"] = f"{rig.stream}-dead"
        connector = rig.make(document)
        (one,) = await connector.sinks["Orders"].publish(publication(make_events(1)))
        assert one.failure is not None
        assert one.failure.reason is Reason.UPSTREAM_PRECONDITION
        await connector.close()


async def test_a_full_stream_says_so(server: NatsServer) -> None:
    async with nats_rig(server.url) as rig:
        info = await rig.api(f"STREAM.INFO.{rig.stream}")
        full = {**info["config"], "max_msgs": 2, "discard": "new"}
        await rig.api(f"STREAM.UPDATE.{rig.stream}", full)
        results = await rig.sink.publish(publication(make_events(3)))
        assert [one.failure and one.failure.reason for one in results] == [
            None,
            None,
            Reason.STORE_FULL,
        ]


async def test_the_servers_certificate_is_verified(tmp_path: Path) -> None:
    authority, stranger = Authority(_folder(tmp_path, "a")), Authority(_folder(tmp_path, "b"))
    certificate, key = authority.issue()
    options = ("--tls", "--tlscert", str(certificate), "--tlskey", str(key))
    with NatsServer(tmp_path / "store", options=options) as server:
        assert await _refusal(server, tls={"ca": str(authority.certificate)}) is None
        for more in ({"tls": {"ca": str(stranger.certificate)}}, {"tls": {}}):
            failure = await _refusal(server, **more)
            assert failure is not None
            assert failure.reason is Reason.UPSTREAM_TLS


def _folder(parent: Path, name: str) -> Path:
    folder = parent / name
    folder.mkdir()
    return folder
