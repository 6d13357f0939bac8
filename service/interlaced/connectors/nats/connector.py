"""The nats kind: feeds and sinks on JetStream and on core NATS."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from nats.aio.msg import Msg

from interlaced.connectors.competing import UNSETTLED, check_group, dead_letter, never_settled
from interlaced.connectors.nats import recipe
from interlaced.connectors.nats.config import (
    AckConfig,
    Config,
    FeedConfig,
    SinkConfig,
)
from interlaced.connectors.nats.errors import FOREIGN, check, from_exception, from_fault
from interlaced.connectors.nats_upstream import Upstream
from interlaced.core.clock import TimeLimit
from interlaced.core.failure import Failure, NotConnected, Reached, Reason
from interlaced.core.model import (
    Confirmation,
    Delivery,
    Event,
    Gap,
    GapWhy,
    Publication,
    Settlement,
)
from interlaced.core.ports import (
    Capability,
    Connector,
    Durability,
    Feed,
    FeedObserver,
    Operation,
    Order,
    Reader,
    Sink,
    Start,
    Tools,
)
from interlaced.transport.nats_lease import Leases
from interlaced.transport.nats_link import Link, LinkLost
from interlaced.transport.nats_listen import Listener
from interlaced.transport.nats_publish import Outgoing, SharedLink, publish_all
from interlaced.transport.nats_pull import Puller

__all__ = ["CoreFeed", "CoreSink", "NatsConnector", "NatsFeed", "StreamSink", "build"]

_STREAM_FEED = Capability(
    durability=Durability.REPLICATED_LAZY, order=Order.TOTAL, ack=True, replay=True, delay=True
)
_STREAM_SINK = Capability(durability=Durability.REPLICATED_LAZY, order=Order.TOTAL)
_CORE = Capability(durability=Durability.NONE, order=Order.NONE)
_BROADCAST_BATCH = 256
_GIVING_BACK = 1.0  # seconds that the end of a pull may take before what it holds is given back


class _BroadcastReader:
    """A place in a stream, on a consumer of its own that settles nothing."""

    def __init__(
        self, feed: NatsFeed, link: Link, facts: recipe.StreamFacts, *, gaps: Sequence[Gap]
    ) -> None:
        self.epoch = facts.epoch
        self._feed = feed
        self._link = link
        settings = recipe.pull_settings(link.max_payload, _BROADCAST_BATCH, feed.upstream.heartbeat)
        clock = feed.upstream.tools.clock
        self._puller = Puller(link, clock, settings=settings, took=self._took)
        self._consumer = ""
        self._gaps: list[Gap] = list(gaps)
        self._log: recipe.Log[Msg] = recipe.Log()
        self._failure: Failure | None = None

    async def bind(self, consumer: str) -> None:
        """Listens for what the consumer will send. Raises LinkLost."""
        self._consumer = consumer
        await self._puller.bind(self._feed.stream, consumer)

    async def read(self) -> Sequence[Delivery | Gap]:
        while not self._log.buffer and not self._gaps:
            check(self._failure, self._puller.fault)
            await self._puller.more()
        if not self._gaps and self._log.has_holes():
            try:
                facts = await self._feed.upstream.stream(self._link, self._feed.stream)
            except Failure as failure:
                raise NotConnected(failure) from failure
            self._gaps += self._log.trimmed(facts)
        items: list[Delivery | Gap] = list(self._gaps)
        self._gaps = []
        for metadata, message in self._log.take(_BROADCAST_BATCH):
            items.append(Delivery(self._feed.event(message, metadata), never_settled))
        return items

    async def close(self) -> None:
        self._puller.stop()
        with contextlib.suppress(LinkLost):
            what = f"$JS.API.CONSUMER.DELETE.{self._feed.stream}.{self._consumer}"
            await self._link.send(what, b"")
        await self._link.close()

    def _took(self, message: Msg) -> None:
        try:
            if self._failure is None:
                self._log.add(recipe.read_metadata(message.reply), message)
        except Failure as failure:
            self._failure = failure


class _GroupReader:
    """A member of a group. What it counts attempts by is what the broker counted."""

    def __init__(self, feed: NatsFeed, link: Link, *, group: str, epoch: int) -> None:
        self.epoch = epoch
        self._feed = feed
        self._link = link
        self._group = group
        clock, ack = feed.upstream.tools.clock, feed.ack
        settings = recipe.pull_settings(link.max_payload, ack.batch, feed.upstream.heartbeat)
        self._puller = Puller(link, clock, settings=settings, took=self._took)
        self._leases = Leases(link, clock, wait=ack.wait, hold=ack.hold)
        self._buffer: deque[tuple[recipe.Metadata, Msg]] = deque()
        self._failure: Failure | None = None
        self._room = ack.batch

    def allow(self, deliveries: int) -> None:
        """The next read may return at most so many deliveries."""
        self._room = max(1, deliveries)

    async def bind(self) -> None:
        """Listens for what the group's consumer will send. Raises LinkLost."""
        await self._puller.bind(self._feed.stream, self._group)
        self._leases.start()

    async def read(self) -> Sequence[Delivery | Gap]:
        while True:
            check(self._failure, self._puller.fault)
            await self._bury_exhausted()
            if self._buffer:
                return self._drain()
            await self._puller.more(self._room)

    async def close(self) -> None:
        self._puller.stop()
        await self._leases.close()
        await self._puller.silence(_GIVING_BACK)
        with contextlib.suppress(LinkLost):
            for reply in self._leases.held:
                await self._link.send(reply, recipe.give_back())
        await self._link.close()

    def _took(self, message: Msg) -> None:
        try:
            metadata = recipe.read_metadata(message.reply)
        except Failure as failure:
            self._failure = failure
            return
        self._buffer.append((metadata, message))
        self._leases.add(message.reply)

    def _drain(self) -> Sequence[Delivery]:
        taken = [self._buffer.popleft() for _ in range(min(self._room, len(self._buffer)))]
        return [
            Delivery(
                self._feed.event(message, metadata),
                self._settler(message, metadata),
                metadata.attempt,
            )
            for metadata, message in taken
        ]

    async def _bury_exhausted(self) -> None:
        """Sends what came once too often to the dead letters, also what comes meanwhile. Each stays
        in the buffer until that is done, so that a cancelled read loses nothing."""
        while (item := recipe.exhausted(self._buffer, self._feed.max_deliver)) is not None:
            metadata, message = item
            try:
                await self._bury(message, metadata, UNSETTLED, attempts=metadata.attempt - 1)
            except Failure as failure:
                raise NotConnected(failure) from failure
            self._buffer.remove(item)
            self._leases.drop(message.reply)

    def _settler(
        self, message: Msg, metadata: recipe.Metadata
    ) -> Callable[[Settlement], Awaitable[None]]:
        is_settled = False

        async def settle(settlement: Settlement) -> None:
            nonlocal is_settled
            if is_settled:
                return
            is_settled = True
            # From here on its lease is not renewed: what the broker does not take comes again.
            self._leases.drop(message.reply)
            await self._settle(message, metadata, settlement)

        return settle

    async def _settle(
        self, message: Msg, metadata: recipe.Metadata, settlement: Settlement
    ) -> None:
        feed = self._feed
        verdict = recipe.verdict(
            settlement,
            metadata.attempt,
            most=feed.max_deliver,
            backoff=feed.ack.backoff,
            random=feed.upstream.tools.random,
        )
        if verdict is None:
            cause = settlement.cause or settlement.verdict.value
            await self._bury(message, metadata, cause, attempts=metadata.attempt)
        else:
            await self._ask(message.reply, verdict)

    async def _bury(
        self, message: Msg, metadata: recipe.Metadata, cause: str, *, attempts: int
    ) -> None:
        """Publishes a dead letter and only then ends the original. Between the two a crash leaves
        both, and the letter's id makes the second one a duplicate."""
        event = self._feed.event(message, metadata)
        letter = dead_letter(event, cause, attempts=attempts, group=self._group)
        headers = recipe.to_letter_headers(letter, metadata, self.epoch)
        answer = await self._ask(self._feed.dead_subject, event.data, headers)
        confirmation = recipe.read_confirmation(answer.data)
        if confirmation.failure is not None:
            raise confirmation.failure
        await self._ask(message.reply, b"+TERM")
        self._feed.observer.settled("dead_letter")

    async def _ask(
        self, subject: str, data: bytes, headers: Mapping[str, str] | None = None
    ) -> Msg:
        """Tells the broker and waits until it has taken it, so that a lost verdict is known."""
        seconds = self._feed.upstream.timeout
        try:
            return await self._link.ask(subject, data, headers=headers, seconds=seconds)
        except FOREIGN as error:
            raise from_exception(error, reached=Reached.MAYBE) from error


@contextlib.asynccontextmanager
async def _connected(upstream: Upstream) -> AsyncIterator[Link]:
    """Connects for a reader to come. What goes wrong before it stands closes the connection, and is
    told as NotConnected: the pump tries again."""
    try:
        link = await upstream.connect()
    except Failure as failure:
        raise NotConnected(failure) from failure
    try:
        yield link
    except BaseException as error:
        await link.close()
        if isinstance(error, FOREIGN):
            raise NotConnected(from_exception(error)) from error
        if isinstance(error, Failure) and error.reason is not Reason.BAD_CURSOR:
            raise NotConnected(error) from error
        raise


class _Feed:
    """What the feeds have in common."""

    capability = _CORE

    def __init__(
        self, name: str, config: FeedConfig, upstream: Upstream, *, connector: str
    ) -> None:
        self.name = name
        self.description = config.description
        self.upstream = upstream
        self.observer: FeedObserver = upstream.tools.observer.feed(connector, name)
        self._config = config

    def event(self, message: Msg, metadata: recipe.Metadata | None = None) -> Event:
        """Reads an event; a message without an id and a place gets a random id."""
        otherwise = f"{self.upstream.tools.random.getrandbits(128):032x}" if not metadata else ""
        return recipe.from_message(
            message, metadata, media_type=self._config.media_type, otherwise=otherwise
        )


class NatsFeed(_Feed):
    """A part of a stream."""

    capability = _STREAM_FEED

    def __init__(
        self, name: str, config: FeedConfig, upstream: Upstream, *, connector: str
    ) -> None:
        super().__init__(name, config, upstream, connector=connector)
        self.stream = config.stream or ""
        self.ack: AckConfig = config.ack
        self.max_deliver: int | None = config.ack.max_deliver
        self.dead_stream, self.dead_subject = recipe.dead_letters(name, config)

    async def open(self, start: Start) -> Reader:
        async with _connected(self.upstream) as link:
            facts = await self.upstream.stream(link, self.stream)
            where, gaps = recipe.plan(start, facts)
            wanted = recipe.broadcast_consumer(where, self._config.subject)
            request = {"stream_name": self.stream, "config": wanted}
            answer = await self.upstream.api(link, f"CONSUMER.CREATE.{self.stream}", request)
            reader = _BroadcastReader(self, link, facts, gaps=gaps)
            await reader.bind(str(answer.get("name", "")))
        return reader

    async def join(self, group: str) -> Reader:
        check_group(group)
        async with _connected(self.upstream) as link:
            facts = await self.upstream.stream(link, self.stream)
            if self.max_deliver is not None:
                await self.upstream.stream(link, self.dead_stream)
            wanted = recipe.group_consumer(group, self.ack, self._config.subject)
            request = {"stream_name": self.stream, "config": wanted}
            await self.upstream.api(link, f"CONSUMER.DURABLE.CREATE.{self.stream}.{group}", request)
            reader = _GroupReader(self, link, group=group, epoch=facts.epoch)
            await reader.bind()
        return reader


class CoreFeed(_Feed):
    """A subject of core NATS: what is published while nobody listens is gone."""

    async def open(self, start: Start) -> Reader:
        async with _connected(self.upstream) as link:
            reader = _CoreReader(self, link, limit=self._config.queue_limit)
            await reader.bind(self._config.subject)
        return reader

    async def join(self, group: str) -> Reader:
        raise Failure(Reason.NOT_ACKABLE, "core NATS acknowledges nothing")


class _CoreReader:
    """Listens to a subject."""

    epoch = 0

    def __init__(self, feed: CoreFeed, link: Link, *, limit: int) -> None:
        self._feed = feed
        self._link = link
        self._listener = Listener(link, limit=limit, dropped=self._dropped)

    async def bind(self, subject: str) -> None:
        """Listens. Raises LinkLost or TimeoutError."""
        await self._listener.listen(subject, self._feed.upstream.timeout)

    async def read(self) -> Sequence[Delivery | Gap]:
        try:
            messages, dropped = await self._listener.take()
        except LinkLost as error:
            raise NotConnected(from_fault(error)) from error
        items = [Delivery(self._feed.event(message), never_settled) for message in messages]
        return [*items, Gap(GapWhy.UPSTREAM_SEQUENCE)] if dropped else items

    async def close(self) -> None:
        await self._link.close()

    def _dropped(self) -> None:
        self._feed.observer.dropped("upstream_limit", 1)


class _Sink:
    """What the sinks have in common: a subject, and the link that they share."""

    capability = _CORE

    def __init__(
        self, name: str, config: SinkConfig, *, upstream: Upstream, shared: SharedLink
    ) -> None:
        self.name = name
        self.description = config.description
        self._subject = config.subject
        self._stream = config.stream
        self._upstream = upstream
        self._shared = shared

    async def _link(self, until: float) -> Link:
        """Returns the link, ready to publish. Raises Failure: nothing is sent."""
        try:
            with TimeLimit(self._upstream.tools.clock, until):
                link = await self._shared.get()
                await self._prepare(link)
        except FOREIGN as error:
            if self._shared.is_closed:
                raise Failure(Reason.DRAINING, "the connector is closed") from error
            raise from_exception(error) from error
        except Failure as failure:
            raise failure.but(reached=Reached.NOT_SENT) from failure.__cause__
        return link

    async def _prepare(self, link: Link) -> None:
        """Makes a new link ready."""

    def _outgoing(self, event: Event, limit: int) -> Outgoing:
        """Returns a message that the server takes: it cuts the connection on one that is too
        large. Raises Failure TOO_LARGE or INVALID_REQUEST."""
        headers = recipe.to_publication_headers(event, self._stream)
        outgoing = Outgoing(self._subject, headers, event.data)
        if outgoing.size > limit:
            message = "the event is larger than the broker takes"
            raise Failure(Reason.TOO_LARGE, message, limit=str(limit))
        return outgoing


class StreamSink(_Sink):
    """A subject whose stream confirms."""

    capability = _STREAM_SINK
    _prepared: Link | None = None

    async def publish(self, publication: Publication) -> Sequence[Confirmation]:
        """Publishes in order and waits for every confirmation. Those that stay out are asked for
        once more, on a new connection, with the same ids: the stream tells the duplicates."""
        clock, events = self._upstream.tools.clock, publication.events
        results: dict[int, Confirmation] = {}
        now = clock.now()
        # The first try leaves time for a second one.
        first = min(now + self._upstream.timeout, (now + publication.deadline) / 2)
        await self._try(publication, range(len(events)), results=results, until=first)
        again = [number for number in recipe.unknown(results) if events[number].id]
        if again:
            until = min(clock.now() + self._upstream.timeout, publication.deadline)
            with contextlib.suppress(Failure):
                await self._try(publication, again, results=results, until=until)
        if not recipe.unknown(results):
            publication.effort.reached = Reached.REPLIED
        return [results[number] for number in range(len(events))]

    async def _try(
        self,
        publication: Publication,
        numbers: Sequence[int],
        *,
        results: dict[int, Confirmation],
        until: float,
    ) -> None:
        link = await self._link(until)
        outgoing: dict[int, Outgoing] = {}
        for number in numbers:
            try:
                outgoing[number] = self._outgoing(publication.events[number], link.max_payload)
            except Failure as failure:
                results[number] = Confirmation(failure)
        if not outgoing:
            return
        publication.effort.reached = Reached.MAYBE
        clock = self._upstream.tools.clock
        answers = await publish_all(link, clock, outgoing, until=until)
        for number in outgoing:
            results[number] = recipe.confirmation(answers.get(number))
        if recipe.unknown(results):
            await self._shared.give_up(link)

    async def _prepare(self, link: Link) -> None:
        """Creates the stream once per connection if it is missing and ours to create."""
        if self._stream in self._upstream.streams and self._prepared is not link:
            await self._upstream.stream(link, self._stream or "")
            self._prepared = link


class CoreSink(_Sink):
    """A subject of core NATS. Confirmed means that the server has read it, and no more."""

    async def publish(self, publication: Publication) -> Sequence[Confirmation]:
        clock = self._upstream.tools.clock
        until = min(clock.now() + self._upstream.timeout, publication.deadline)
        link = await self._link(until)
        results = [await self._send(link, publication, event) for event in publication.events]
        try:
            await link.flush(max(0.0, until - clock.now()))
        except (TimeoutError, LinkLost):
            await self._shared.give_up(link)
            return [recipe.lost() if one.failure is None else one for one in results]
        publication.effort.reached = Reached.REPLIED
        return results

    async def _send(self, link: Link, publication: Publication, event: Event) -> Confirmation:
        try:
            message = self._outgoing(event, link.max_payload)
            publication.effort.reached = Reached.MAYBE
            await link.send(message.subject, message.data, headers=message.headers)
        except Failure as failure:
            return Confirmation(failure)
        except LinkLost:
            return recipe.lost()
        return Confirmation()


@dataclass(slots=True)
class NatsConnector:
    """A connector of the nats kind. Readers belong to whoever opened them, and outlive it."""

    feeds: Mapping[str, Feed]
    sinks: Mapping[str, Sink]
    shared: SharedLink
    operations: Mapping[str, Operation] = field(default_factory=dict)

    async def open(self) -> None:
        """Does nothing: connections are opened when they are needed."""

    async def close(self) -> None:
        await self.shared.close()


def _feeds(config: Config, upstream: Upstream, connector: str) -> Mapping[str, Feed]:
    feeds: dict[str, Feed] = {}
    for name, feed in config.feeds.items():
        if feed.core:
            feeds[name] = CoreFeed(name, feed, upstream, connector=connector)
            continue
        stream, subject = recipe.dead_letters(name, feed)
        update = {"description": f"The dead letters of {name}.", "stream": stream}
        letters = feed.model_copy(update={**update, "subject": subject})
        dead = NatsFeed(f"{name}.dead", letters, upstream, connector=connector)
        # What is dead stays until it is acknowledged.
        dead.max_deliver = None
        feeds[name] = NatsFeed(name, feed, upstream, connector=connector)
        feeds[dead.name] = dead
    return feeds


def build(name: str, config: Config, tools: Tools) -> Connector:
    """Builds a connector of the nats kind. OSError or ValueError when TLS files are unusable."""
    upstream = Upstream(config.upstream, recipe.streams_to_create(config), tools)
    shared = SharedLink(upstream.connect)
    sinks: dict[str, Sink] = {}
    for key, sink in config.sinks.items():
        kind = CoreSink if sink.core else StreamSink
        sinks[key] = kind(key, sink, upstream=upstream, shared=shared)
    return NatsConnector(_feeds(config, upstream, name), sinks, shared)
