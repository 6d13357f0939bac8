from __future__ import annotations

from pathlib import Path

import pytest

from interlaced.core.seat import Seat
from interlaced.core.secret import Secret
from interlaced.settings import Ingress, Settings
from interlaced.workers.orders import GroupError, Order, Report


def test_an_order_arrives_as_it_was_given() -> None:
    settings = Settings(
        config=(Path("a"), Path("b")),
        ingress=Ingress(
            host="0.0.0.0",
            port=7,
            certificate=Path("c.pem"),
            private_key=Path("k.pem"),
            api_keys=(Secret("k" * 20), Secret("l" * 20)),
        ),
        cursor_keys=(Secret("c" * 32),),
        secrets_folder=Path("secrets"),
        drain_limit=1.5,
        seat=Seat(1, 3, Path("folder")),
    )
    order = Order(settings, "json", "warning")
    assert Order.read(order.write()) == order


def test_an_order_is_one_line() -> None:
    order = Order(Settings(config=(Path("with\nbreak"),)), "json", "info").write()
    assert order.count(b"\n") == 1
    assert order.endswith(b"\n")
    assert Order.read(order).settings.config == (Path("with\nbreak"),)


def test_a_report_arrives_as_it_was_given() -> None:
    report = Report(is_serving=False, error="no", lines=("one", "two\nlines"), is_config=True)
    found = Report.read(report.write())
    assert found is not None
    assert (found.is_serving, found.error, tuple(found.lines), found.is_config) == (
        False,
        "no",
        ("one", "two\nlines"),
        True,
    )


@pytest.mark.parametrize("line", [b"", b"\n", b'{"is_ser', b"[]\n", b'{"other": 1}\n', b"\xff\n"])
def test_a_worker_that_ended_in_the_midst_of_its_report_has_made_none(line: bytes) -> None:
    assert Report.read(line) is None


def test_the_error_says_what_the_report_does() -> None:
    assert str(GroupError(Report(is_serving=False, error="port taken"))) == "port taken"
