"""A feed is bound under its full name with the bounds that its settings say."""

from pathlib import Path

from manifest_rig import MEMORY, build_text

from interlaced.core.backoff import Backoff

TICKS = """\
interlace: 1
connector: ticks
upstream: {websocket: "ws://127.0.0.1:1/", reconnect: 1s..2s}
feeds: {Ticks: {retain: 5m, ring: {events: 10, bytes: 2KiB}}, Plain: {}}
"""


def test_bounds_come_from_the_settings(tmp_path: Path) -> None:
    feeds = build_text(tmp_path, TICKS).feeds()
    ticks, plain = feeds["ticks.Ticks"], feeds["ticks.Plain"]
    assert (ticks.retain, ticks.ring_events, ticks.ring_bytes) == (300.0, 10, 2048)
    assert ticks.reconnect == plain.reconnect == Backoff(1.0, 2.0)
    assert (plain.retain, ticks.connector) == (60.0, "ticks")


def test_what_a_kind_does_not_have_is_the_default(tmp_path: Path) -> None:
    feeds = build_text(tmp_path, MEMORY).feeds()
    assert set(feeds) == {"orders.Orders", "orders.Orders.dead"}
    assert feeds["orders.Orders.dead"].retain == 60.0


def test_the_digest_changes_only_with_its_own_section(tmp_path: Path) -> None:
    before = build_text(tmp_path, TICKS, MEMORY).feeds()
    after = build_text(tmp_path, TICKS, MEMORY.replace("Says it back.", "Echoes.")).feeds()
    assert before["ticks.Ticks"].digest == after["ticks.Ticks"].digest
    assert before["orders.Orders"].digest != after["orders.Orders"].digest
