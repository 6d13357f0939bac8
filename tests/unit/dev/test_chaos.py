from __future__ import annotations

from collections.abc import Mapping
from random import Random

import pytest

from interlaced.core.failure import Failure, Reason
from interlaced.dev.chaos import Chaos, Fault
from interlaced.testing.clock import VirtualClock


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def chaos(clock: VirtualClock) -> Chaos:
    return Chaos(("shop", "ticker"), clock=clock, random=Random(7))


def pass_time(clock: VirtualClock, seconds: float) -> None:
    async def wait() -> None:
        await clock.sleep(seconds)

    clock.run(wait())


def test_everything_is_well_by_default(chaos: Chaos) -> None:
    assert chaos.fault("shop") == Fault()
    assert not chaos.draws_failure("shop")
    assert chaos.report() == {}


def test_a_posted_fault_is_in_force_until_it_is_cleared(chaos: Chaos) -> None:
    answer = chaos.apply(
        {"upstream": "shop", "fail": "60%", "status": 502, "latency": "300ms", "reset": True}
    )
    assert answer == {"shop": {"fail": 0.6, "status": 502, "latency": 0.3, "reset": True}}
    assert chaos.fault("shop").latency == 0.3
    assert chaos.fault("ticker") == Fault()
    assert chaos.apply({"upstream": "shop", "clear": True}) == {}
    assert chaos.fault("shop") == Fault()


def test_a_fault_ends_by_itself(chaos: Chaos, clock: VirtualClock) -> None:
    chaos.set("shop", {"reset": True, "for": "10s"})
    pass_time(clock, 9)
    assert chaos.fault("shop").reset
    assert chaos.report() == {"shop": {"reset": True, "for": "1s"}}
    pass_time(clock, 1)
    assert not chaos.fault("shop").reset
    assert chaos.report() == {}


def test_a_share_fails_about_so_often_and_always_the_same(clock: VirtualClock) -> None:
    def draws() -> list[bool]:
        chaos = Chaos(("shop",), clock=clock, random=Random(7))
        chaos.set("shop", {"fail": 0.6})
        return [chaos.draws_failure("shop") for _ in range(1000)]

    assert draws() == draws()
    assert 550 < sum(draws()) < 650


def test_counters_are_used_up(chaos: Chaos) -> None:
    chaos.set("ticker", {"drop": 2})
    assert [chaos.take("ticker", "drop") for _ in range(3)] == [True, True, False]
    assert not chaos.take("ticker", "reorder")


def test_a_counter_does_not_outlive_its_time(chaos: Chaos, clock: VirtualClock) -> None:
    chaos.set("ticker", {"drop": 2, "for": "1s"})
    pass_time(clock, 1)
    assert not chaos.take("ticker", "drop")


def test_a_status_alone_means_every_request(chaos: Chaos) -> None:
    assert chaos.set("shop", {"status": 500}).fail == 1.0
    assert chaos.set("shop", {"retry_after": 2}) == Fault(fail=1.0, status=429, retry_after=2.0)


def test_a_listener_hears_of_every_change(chaos: Chaos) -> None:
    heard: list[bool] = []
    chaos.on_change("ticker", lambda: heard.append(chaos.fault("ticker").disconnect))
    chaos.set("ticker", {"disconnect": True})
    chaos.set("shop", {"reset": True})
    chaos.apply({"clear": True})
    assert heard == [True, False]


def test_an_empty_post_only_asks(chaos: Chaos) -> None:
    chaos.set("shop", {"drop": 1})
    assert chaos.apply({}) == chaos.apply({"upstream": "shop"}) == {"shop": {"drop": 1}}


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ({"upstream": "bank", "fail": 1}, "upstream"),
        ({"upstream": ["shop"], "fail": 1}, "upstream"),
        ({"fail": 1}, "upstream"),
        ({"upstream": "shop", "explode": True}, "explode"),
        ({"upstream": "shop", "fail": 1.5}, "fail"),
        ({"upstream": "shop", "fail": True}, "fail"),
        ({"upstream": "shop", "fail": "often"}, "fail"),
        ({"upstream": "shop", "fail": float("nan")}, "fail"),
        ({"upstream": "shop", "status": 200}, "status"),
        ({"upstream": "shop", "status": "503"}, "status"),
        ({"upstream": "shop", "latency": -1}, "latency"),
        ({"upstream": "shop", "latency": "soon"}, "latency"),
        ({"upstream": "shop", "latency": float("inf")}, "latency"),
        ({"upstream": "shop", "reset": 1}, "reset"),
        ({"upstream": "shop", "drop": -1}, "drop"),
        ({"upstream": "shop", "drop": 1.0}, "drop"),
        ({"upstream": "shop", "for": None, "reset": True}, "for"),
        ({"upstream": "shop", "clear": 1}, "clear"),
        ({"upstream": "shop", "clear": True, "fail": 1}, "clear"),
    ],
)
def test_nonsense_is_refused_by_field_and_changes_nothing(
    chaos: Chaos, payload: Mapping[str, object], field: str
) -> None:
    chaos.set("shop", {"malformed": True})
    with pytest.raises(Failure) as caught:
        chaos.apply(payload)
    assert caught.value.reason is Reason.INVALID_REQUEST
    assert [each.field for each in caught.value.fields] == [field]
    assert chaos.report() == {"shop": {"malformed": True}}
