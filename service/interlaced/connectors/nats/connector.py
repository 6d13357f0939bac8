"""The nats kind: feeds and sinks on JetStream and on core NATS."""

from __future__ import annotations

import contextlib
import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from nats.aio.msg import Msg

from interlaced.connectors.competing import UNSETTLED, check_group, dead_letter
from interlaced.connectors.nats import recipe
from interlaced.connectors.nats.config import (
    AckConfig,
    Config,
    FeedConfig,
    SinkConfig,
    StreamConfig,
    UpstreamConfig,
)
from interlaced.connectors.nats.errors import FOREIGN, from_exception, from_fault
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
    Clock,
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
from interlaced.core.secret import Secret
from interlaced.transport.nats_lease import Leases
from interlaced.transport.nats_link import Link, LinkLost, LinkSettings
from interlaced.transport.nats_publish import Outgoing, SharedLink, publish_all
from interlaced.transport.nats_pull import Puller, PullSettings, Waker
from interlaced.transport.tls import TlsSettings, client_context

__all__ = ["NatsConnector", "build"]

_STREAM_FEED = Capability(
    durability=Durability.REPLICATED_LAZY, order=Order.TOTAL, ack=True, replay=True, delay=True
)
_STREAM_SINK = Capability(durability=Durability.REPLICATED_LAZY, order=Order.TOTAL)
_CORE = Capability(durability=Durability.NONE, order=Order.NONE)
_BROADCAST_BATCH = 256
_ASKED_BYTES = 4 * 1024 * 1024
"""The most bytes that one pull may bring, unless the server's messages may be larger."""
_IDLE = 30.0
"""How long the server keeps the consumer of a reader that was cut off, in seconds."""
_GIVING_BACK = 1.0
"""How long the end of a pull may take before what it holds is given back, in seconds."""


async def never_settled(settlement: Settlement) -> None:
    """Settles nothing: a broadcast settles nothing for others."""


class Upstream:
    """How to reach the servers, and which streams to create there."""

    def __init__(
        self, config: UpstreamConfig, streams: Mapping[str, StreamConfig], tools: Tools
    ) -> None:
        auth, tls = config.auth, config.tls
        nothing = Secret("")
        context = None
        if tls is not None or any(server.startswith("tls:") for server in config.servers):
            paths = TlsSettings(tls.ca, tls.certificate, tls.key) if tls else TlsSettings()
            context = client_context(paths)
        self.timeout = config.timeout
        self.heartbeat = config.heartbeat
        self.tools = tools
        self.streams = streams
        self._settings = LinkSettings(
            servers=config.servers,
            user=auth.user if auth else "",
            password=(auth.password if auth else None) or nothing,
            token=(auth.token if auth else None) or nothing,
            tls=context,
            tls_hostname=tls.hostname if tls else "",
            connect_timeout=config.connect_timeout,
            ping=config.heartbeat,
        )

    async def connect(self) -> Link:
        """Opens a connection. Raises Failure."""
        try:
            return await Link.open(self._settings, self.tools.clock, self.tools.random)
        except FOREIGN as error:
            raise from_exception(error) from error

    async def api(self, link: Link, what: str, request: object = None) -> Mapping[str, Any]:
        """Asks JetStream's API. Raises Failure."""
        data = b"" if request is None else json.dumps(request).encode()
        try:
            answer = await link.ask(f"$JS.API.{what}", data, seconds=self.timeout)
        except FOREIGN as error:
            raise from_exception(error, reached=Reached.MAYBE) from error
        return recipe.read_api(answer.data)

    async def stream(self, link: Link, name: str) -> recipe.StreamFacts:
        """Returns what a stream is; creates it if it is missing and ours to create."""
        try:
            answer = await self.api(link, f"STREAM.INFO.{name}")
        except Failure as failure:
            if failure.reason is not Reason.UPSTREAM_PRECONDITION or name not in self.streams:
                raise
            wanted = recipe.create_stream(name, self.streams[name])
            answer = await self.api(link, f"STREAM.CREATE.{name}", wanted)
        return recipe.read_stream(answer, name)


def _pull_settings(feed: NatsFeed, link: Link, batch: int) -> PullSettings:
    return PullSettings(
        batch=batch,
        max_bytes=max(_ASKED_BYTES, 2 * link.max_payload),
        heartbeat=feed.upstream.heartbeat,
    )


class _BroadcastReader:
    """A place in a stream, on a consumer of its own that settles nothing."""

    def __init__(
        self, feed: NatsFeed, link: Link, facts: recipe.StreamFacts, *, gaps: Sequence[Gap]
    ) -> None:
        self.epoch = facts.epoch
        self._feed = feed
        self._link = link
        settings = _pull_settings(feed, link, _BROADCAST_BATCH)
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
            _check(self._failure, self._puller)
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


def _check(failure: Failure | None, puller: Puller) -> None:
    """Raises NotConnected when nothing more will come."""
    if failure is None and puller.fault is not None:
        failure = from_fault(puller.fault)
    if failure is not None:
        raise NotConnected(failure) from failure.__cause__


class _GroupReader:
    """A member of a group. What it counts attempts by is what the broker counted."""

    def __init__(self, feed: NatsFeed, link: Link, *, group: str, epoch: int) -> None:
        self.epoch = epoch
        self._feed = feed
        self._link = link
        self._group = group
        clock, ack = feed.upstream.tools.clock, feed.ack
        settings = _pull_settings(feed, link, ack.batch)
        self._puller = Puller(link, clock, settings=settings, took=self._took)
        self._leases = Leases(link, clock, wait=ack.wait, hold=ack.hold)
        self._buffer: deque[tuple[recipe.Metadata, Msg]] = deque()
        self._failure: Failure | None = None

    async def bind(self) -> None:
        """Listens for what the group's consumer will send. Raises LinkLost."""
        await self._puller.bind(self._feed.stream, self._group)

    async def read(self) -> Sequence[Delivery | Gap]:
        while True:
            _check(self._failure, self._puller)
            await self._bury_exhausted()
            if self._buffer:
                return self._drain()
            await self._puller.more()

    async def close(self) -> None:
        self._puller.stop()
        await self._leases.close()
        await self._puller.silence(_GIVING_BACK)
        with contextlib.suppress(LinkLost):
            for reply in self._leases.held:
                await self._link.send(reply, recipe.nack(0))
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
        taken, self._buffer = self._buffer, deque()
        return [
            Delivery(
                self._feed.event(message, metadata),
                self._settler(message, metadata),
                metadata.attempt,
            )
            for metadata, message in taken
        ]

    async def _bury_exhausted(self) -> None:
        """Sends what came once too often to the dead letters. Each stays in the buffer until that
        is done, so that a cancelled read loses nothing."""
        most = self._feed.max_deliver
        for item in [one for one in self._buffer if most is not None and one[0].attempt > most]:
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
            await self._tell(message, verdict)

    async def _bury(
        self, message: Msg, metadata: recipe.Metadata, cause: str, *, attempts: int
    ) -> None:
        """Publishes a dead letter and only then ends the original. Between the two a crash leaves
        both, and the letter's id makes the second one a duplicate."""
        event = self._feed.event(message, metadata)
        letter = dead_letter(event, cause, attempts=attempts, group=self._group)
        headers = recipe.to_letter_headers(letter, metadata, self.epoch)
        seconds = self._feed.upstream.timeout
        try:
            answer = await self._link.ask(
                self._feed.dead_subject, event.data, headers=headers, seconds=seconds
            )
        except FOREIGN as error:
            raise from_exception(error, reached=Reached.MAYBE) from error
        confirmation = recipe.read_confirmation(answer.data)
        if confirmation.failure is not None:
            raise confirmation.failure
        await self._tell(message, b"+TERM")
        self._feed.observer.settled("dead_letter")

    async def _tell(self, message: Msg, verdict: bytes) -> None:
        """Tells the broker and waits until it has taken it, so that a lost verdict is known."""
        try:
            await self._link.ask(message.reply, verdict, seconds=self._feed.upstream.timeout)
        except FOREIGN as error:
            raise from_exception(error, reached=Reached.MAYBE) from error


class NatsFeed:
    """A part of a stream."""

    def __init__(
        self, name: str, config: FeedConfig, upstream: Upstream, *, connector: str
    ) -> None:
        self.name = name
        self.description = config.description
        self.capability = _STREAM_FEED
        self.upstream = upstream
        self.stream = config.stream or ""
        self.ack: AckConfig = config.ack
        self.max_deliver: int | None = config.ack.max_deliver
        self.dead_stream, self.dead_subject = recipe.dead_letters(name, config)
        self.observer: FeedObserver = upstream.tools.observer.feed(connector, name)
        self._subject = config.subject
        self._media_type = config.media_type

    def event(self, message: Msg, metadata: recipe.Metadata) -> Event:
        """Reads an event from a message of the stream."""
        return recipe.from_message(
            message.subject,
            message.data,
            message.headers or {},
            media_type=self._media_type,
            fallback_id=f"{metadata.stream}.{metadata.stream_sequence}",
            fallback=metadata,
        )

    async def open(self, start: Start) -> Reader:
        link = await self._connect()
        try:
            return await self._open(link, start)
        except BaseException:
            await link.close()
            raise

    async def join(self, group: str) -> Reader:
        check_group(group)
        link = await self._connect()
        try:
            return await self._join(link, group)
        except BaseException:
            await link.close()
            raise

    async def _connect(self) -> Link:
        try:
            return await self.upstream.connect()
        except Failure as failure:
            raise NotConnected(failure) from failure

    async def _open(self, link: Link, start: Start) -> Reader:
        try:
            facts = await self.upstream.stream(link, self.stream)
            where, gaps = recipe.plan(start, facts)
            wanted = recipe.broadcast_consumer(where, subject=self._subject, idle=_IDLE)
            request = {"stream_name": self.stream, "config": wanted}
            answer = await self.upstream.api(link, f"CONSUMER.CREATE.{self.stream}", request)
            reader = _BroadcastReader(self, link, facts, gaps=gaps)
            await reader.bind(str(answer.get("name", "")))
        except Failure as failure:
            if failure.reason is Reason.BAD_CURSOR:
                raise
            raise NotConnected(failure) from failure
        except LinkLost as error:
            raise NotConnected(from_exception(error)) from error
        return reader

    async def _join(self, link: Link, group: str) -> Reader:
        try:
            facts = await self.upstream.stream(link, self.stream)
            if self.max_deliver is not None:
                await self.upstream.stream(link, self.dead_stream)
            wanted = recipe.group_consumer(group, self.ack, self._subject)
            request = {"stream_name": self.stream, "config": wanted}
            what = f"CONSUMER.DURABLE.CREATE.{self.stream}.{group}"
            await self.upstream.api(link, what, request)
            reader = _GroupReader(self, link, group=group, epoch=facts.epoch)
        except Failure as failure:
            raise NotConnected(failure) from failure
        try:
            await reader.bind()
        except LinkLost as error:
            await reader.close()
            raise NotConnected(from_exception(error)) from error
        return reader


class CoreFeed:
    """A subject of core NATS: what is published while nobody listens is gone."""

    def __init__(
        self, name: str, config: FeedConfig, upstream: Upstream, *, connector: str
    ) -> None:
        self.name = name
        self.description = config.description
        self.capability = _CORE
        self.upstream = upstream
        self.limit = config.queue_limit
        self.observer: FeedObserver = upstream.tools.observer.feed(connector, name)
        self._subject = config.subject
        self._media_type = config.media_type

    def event(self, message: Msg) -> Event:
        """Reads an event from a message; one without an id gets a random one."""
        return recipe.from_message(
            message.subject,
            message.data,
            message.headers or {},
            media_type=self._media_type,
            fallback_id=f"{self.upstream.tools.random.getrandbits(128):032x}",
        )

    async def open(self, start: Start) -> Reader:  # nothing is kept to start from
        try:
            link = await self.upstream.connect()
        except Failure as failure:
            raise NotConnected(failure) from failure
        reader = _CoreReader(self, link)
        try:
            await link.listen(self._subject, reader.took)
            await link.flush(self.upstream.timeout)
        except FOREIGN as error:
            await link.close()
            raise NotConnected(from_exception(error)) from error
        return reader

    async def join(self, group: str) -> Reader:  # whatever it is called
        raise Failure(Reason.NOT_ACKABLE, "core NATS acknowledges nothing")


class _CoreReader:
    """Listens to a subject, with a bound on what waits to be read."""

    epoch = 0

    def __init__(self, feed: CoreFeed, link: Link) -> None:
        self._feed = feed
        self._link = link
        self._wake = Waker()
        self._buffer: deque[Event] = deque()
        self._dropped = 0
        link.watch(self._wake)
        link.watch_drops(self._drop)

    async def took(self, message: Msg) -> None:
        """Takes a message, or drops it when too many wait."""
        if len(self._buffer) >= self._feed.limit:
            self._drop()
        else:
            self._buffer.append(self._feed.event(message))
        self._wake()

    async def read(self) -> Sequence[Delivery | Gap]:
        while not self._buffer and not self._dropped:
            if self._link.lost is not None:
                raise NotConnected(from_fault(self._link.lost))
            await self._wake.wait()
        items: list[Delivery | Gap] = [Delivery(event, never_settled) for event in self._buffer]
        self._buffer.clear()
        if self._dropped:
            self._dropped = 0
            items.append(Gap(GapWhy.UPSTREAM_SEQUENCE))
        return items

    async def close(self) -> None:
        await self._link.close()

    def _drop(self) -> None:
        self._dropped += 1
        self._feed.observer.dropped("upstream_limit", 1)


class StreamSink:
    """A subject whose stream confirms."""

    def __init__(
        self, name: str, config: SinkConfig, *, upstream: Upstream, shared: SharedLink
    ) -> None:
        self.name = name
        self.description = config.description
        self.capability = _STREAM_SINK
        self._subject = config.subject
        self._stream = config.stream
        self._upstream = upstream
        self._shared = shared
        self._prepared: Link | None = None

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
        link = await _linked(self._shared, self._upstream.tools.clock, until, self._prepare)
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
            results[number] = _confirmation(answers.get(number))
        if recipe.unknown(results):
            await self._shared.give_up(link)

    async def _prepare(self, link: Link) -> None:
        """Creates the stream once per connection if it is missing and ours to create."""
        if self._stream in self._upstream.streams and self._prepared is not link:
            await self._upstream.stream(link, self._stream or "")
            self._prepared = link

    def _outgoing(self, event: Event, limit: int) -> Outgoing:
        headers = recipe.to_publication_headers(event, self._stream)
        return _fitting(Outgoing(self._subject, headers, event.data), limit)


async def _linked(
    shared: SharedLink, clock: Clock, until: float, prepare: Callable[[Link], Awaitable[None]]
) -> Link:
    """Returns the link that the sinks share, ready for one. Raises Failure: nothing is sent."""
    try:
        with TimeLimit(clock, until):
            link = await shared.get()
            await prepare(link)
    except FOREIGN as error:
        if shared.is_closed:
            raise Failure(Reason.DRAINING, "the connector is closed") from error
        raise from_exception(error) from error
    except Failure as failure:
        raise failure.but(reached=Reached.NOT_SENT) from failure.__cause__
    return link


def _confirmation(answer: Msg | BaseException | None) -> Confirmation:
    """Says what became of one event; an answer that is not there leaves it unknown."""
    if answer is None or isinstance(answer, LinkLost):
        return recipe.lost()
    if isinstance(answer, BaseException):
        return Confirmation(from_exception(answer, reached=Reached.REPLIED))
    return recipe.read_confirmation(answer.data)


def _fitting(outgoing: Outgoing, limit: int) -> Outgoing:
    """Returns a message that the server takes: it cuts the connection on one that is too large."""
    if outgoing.size > limit:
        message = "the event is larger than the broker takes"
        raise Failure(Reason.TOO_LARGE, message, limit=str(limit))
    return outgoing


class CoreSink:
    """A subject of core NATS. Confirmed means that the server has read it, and no more."""

    def __init__(
        self, name: str, config: SinkConfig, *, upstream: Upstream, shared: SharedLink
    ) -> None:
        self.name = name
        self.description = config.description
        self.capability = _CORE
        self._subject = config.subject
        self._upstream = upstream
        self._shared = shared

    async def publish(self, publication: Publication) -> Sequence[Confirmation]:
        clock = self._upstream.tools.clock
        until = min(clock.now() + self._upstream.timeout, publication.deadline)
        link = await _linked(self._shared, clock, until, _nothing)
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
            wanted = Outgoing(self._subject, recipe.to_headers(event), event.data)
            message = _fitting(wanted, link.max_payload)
            publication.effort.reached = Reached.MAYBE
            await link.send(message.subject, message.data, headers=message.headers)
        except Failure as failure:
            return Confirmation(failure)
        except LinkLost:
            return recipe.lost()
        return Confirmation()


async def _nothing(link: Link) -> None:
    """Prepares nothing."""


class NatsConnector:
    """A connector of the nats kind. Readers belong to whoever opened them, and outlive it."""

    def __init__(
        self, feeds: Mapping[str, Feed], sinks: Mapping[str, Sink], shared: SharedLink
    ) -> None:
        self.operations: Mapping[str, Operation] = {}
        self.feeds = feeds
        self.sinks = sinks
        self._shared = shared

    async def open(self) -> None:
        """Does nothing: connections are opened when they are needed."""

    async def close(self) -> None:
        await self._shared.close()


def _feeds(config: Config, upstream: Upstream, connector: str) -> Mapping[str, Feed]:
    feeds: dict[str, Feed] = {}
    for name, feed in config.feeds.items():
        if feed.core:
            feeds[name] = CoreFeed(name, feed, upstream, connector=connector)
            continue
        stream, subject = recipe.dead_letters(name, feed)
        about = f"The dead letters of {name}."
        letters = feed.model_copy(
            update={"description": about, "stream": stream, "subject": subject}
        )
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
