"""The verbs that listen and tell: `watch` and `publish`."""

import base64
import json
import uuid
from typing import Annotated

import typer

from interlace import (
    Bookmark,
    Client,
    Dropped,
    Event,
    Filter,
    Gap,
    Overflow,
    Prefix,
    Start,
    Subscription,
)
from interlaced.cli.connect import (
    ADDRESS,
    ApiKeyOption,
    CaOption,
    CertOption,
    FormatOption,
    KeyOption,
    Server,
    ServerOption,
    TimeoutOption,
    as_json,
    bytes_of,
    pairs,
    run,
    seconds,
    split_name,
)
from interlaced.cli.output import Exit, Style, fail, print_json, say, show, suggest

__all__ = ["publish", "register", "watch"]

_MOST_POSITIONS = 32


def register(app: typer.Typer) -> None:
    """Adds the verbs."""
    app.command("watch")(watch)
    app.command("publish")(publish)


def watch(
    feed: Annotated[str, typer.Argument(help="CONNECTOR.FEED")],
    *,
    start: Annotated[str, typer.Option("--from", help="now, oldest, or a cursor.")] = "now",
    key: Annotated[str, typer.Option(help="Only this key; KEY* is a prefix.")] = "",
    type_: Annotated[str, typer.Option("--type", help="Only this type; TYPE* is a prefix.")] = "",
    overflow: Annotated[
        str, typer.Option(help="block, drop_oldest, drop_newest, conflate or disconnect.")
    ] = "block",
    count: Annotated[int, typer.Option(min=0, help="End after so many events; 0 goes on.")] = 0,
    output: FormatOption = Style.TEXT,
    server: ServerOption = ADDRESS,
    tls_ca: CaOption = None,
    tls_cert: CertOption = None,
    tls_key: KeyOption = None,
    api_key: ApiKeyOption = None,
) -> None:
    """Print the events of a feed.

    Reconnects by itself, and ends with a cursor (on stderr) that --from goes on after.

    Example: interlace watch ticks.Ticks --count 3
    """
    connector, _ = split_name(feed, "FEED")
    wanted = Filter(type=_match(type_), key=_match(key))
    rule, begin = _overflow(overflow), _start(start)

    async def work(service: Client) -> None:
        # A subscription would wait for a service that is not there, and say nothing meanwhile.
        await service.connector(connector)
        events = service.subscribe(feed, start=begin, filter=wanted, overflow=rule)
        try:
            await _print_events(events, count, output)
        finally:
            await events.close()
            place = _place(events.bookmark)
            if place not in ("", start):
                say(f"cursor {place}")
                suggest(f"interlace watch {feed} --from {place}")

    run(Server(server, tls_ca, tls_cert, tls_key, api_key), work, asked=[feed], what="feeds")


async def _print_events(events: Subscription, count: int, output: Style) -> None:
    """Prints so many events; 0 goes on."""
    left = count
    async for item in events:
        if not isinstance(item, Event):
            _remark(item)
            continue
        _show(item, output)
        left -= 1
        if left == 0:
            break


def publish(
    sink: Annotated[str, typer.Argument(help="CONNECTOR.SINK")],
    *,
    data: Annotated[str, typer.Option("-d", "--data", help="Content: text, @FILE or @-.")],
    type_: Annotated[str, typer.Option("--type", help="What kind of thing happened.")] = "event",
    event_id: Annotated[str, typer.Option("--id", help="Unique; a new one if not given.")] = "",
    source: Annotated[str, typer.Option(help="Where it happened.")] = "interlace-cli",
    key: Annotated[str, typer.Option(help="Events of one key keep their order.")] = "",
    attribute: Annotated[list[str], typer.Option(help="NAME=VALUE")] = [],  # noqa: B006  # typer copies it
    media_type: Annotated[str, typer.Option(help="Of the content.")] = "application/json",
    timeout: TimeoutOption = "",
    output: FormatOption = Style.TEXT,
    server: ServerOption = ADDRESS,
    tls_ca: CaOption = None,
    tls_cert: CertOption = None,
    tls_key: KeyOption = None,
    api_key: ApiKeyOption = None,
) -> None:
    """Publish one event.

    The exit code is 0 only when the broker has confirmed it.

    Example: interlace publish orders.Orders --type order.created --data '{"id": 7}'
    """
    split_name(sink, "SINK")
    limit = seconds(timeout)
    event = Event(
        id=event_id or uuid.uuid4().hex,
        source=source,
        type=type_,
        data=bytes_of(data),
        media_type=media_type,
        key=key,
        attributes=pairs(attribute),
    )

    async def work(service: Client) -> None:
        (outcome,) = await service.publish(sink, [event], timeout=limit)
        if outcome.error is not None:
            raise outcome.error
        if output is Style.JSON:
            told = {"id": event.id, "position": outcome.position.hex()}
            print_json({**told, "duplicate": outcome.is_duplicate})
        else:
            show(f"confirmed {event.id}{' (known already)' if outcome.is_duplicate else ''}")

    run(Server(server, tls_ca, tls_cert, tls_key, api_key), work, asked=[sink], what="sinks")


def _start(text: str) -> Start:
    """Reads where to start: `now`, `oldest`, or what `_place` made."""
    if text == "now":
        return Start.now()
    if text == "oldest":
        return Start.oldest()
    cursor, *positions = text.split(".")
    try:
        delivered = tuple(base64.urlsafe_b64decode(position) for position in positions)
    except ValueError:
        fail(f"--from {text}: expected now, oldest, or a cursor", Exit.USAGE)
    return Start.after(Bookmark(cursor, delivered))


def _place(bookmark: Bookmark) -> str:
    """A bookmark as one word: the cursor, and the positions of what was shown after it."""
    if len(bookmark.delivered) > _MOST_POSITIONS:
        # Too long a word to be typed: whoever resumes sees the last events again.
        return bookmark.cursor
    positions = [base64.urlsafe_b64encode(position).decode() for position in bookmark.delivered]
    return ".".join([bookmark.cursor, *positions])


def _overflow(text: str) -> Overflow:
    rules = ("block", "drop_oldest", "drop_newest", "conflate", "disconnect")
    if text not in rules:
        fail(f"--overflow {text}: expected one of {', '.join(rules)}", Exit.USAGE)
    return Overflow(text)


def _match(text: str) -> str | Prefix | None:
    """Reads a filter: empty is none, a trailing * makes a prefix."""
    if not text:
        return None
    return Prefix(text[:-1]) if text.endswith("*") else text


def _show(event: Event, output: Style) -> None:
    content = as_json(event.data, event.media_type)
    if output is Style.JSON:
        record = {"id": event.id, "source": event.source, "type": event.type, "key": event.key}
        time = event.time.isoformat() if event.time is not None else None
        print_json({**record, "time": time, "data": content})
        return
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    show(f"{event.type}  {event.key}  {text}".strip())


def _remark(item: Gap | Dropped) -> None:
    """Says what is missing."""
    if isinstance(item, Gap):
        say(f"gap: {item.why} {item.first} {item.last}".rstrip())
    else:
        say(f"dropped: {item.count} events")
