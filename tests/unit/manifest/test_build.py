"""Manifests become connectors that are ready to serve; what did not change is kept."""

from pathlib import Path

import pytest
from manifest_rig import CLOCK, ENV, MEMORY, SHOP, build_text, load_text, tools

from interlaced.core.failure import Failure, Reason
from interlaced.core.model import Call, Effect, Effort, Payload
from interlaced.core.seat import Seat
from interlaced.manifest import build as builder
from interlaced.manifest.build import build
from interlaced.manifest.codes import Code
from interlaced.manifest.problem import ManifestError
from interlaced.resilience.admission import Admission
from interlaced.testing.clock import VirtualClock
from interlaced.testing.fakes import make_tools


def test_routes_sinks_and_feeds_have_full_names(tmp_path: Path) -> None:
    generation = build_text(tmp_path, SHOP, MEMORY)
    assert set(generation.routes()) == {
        ("shop", "GetProduct"), ("shop", "CreateOrder"), ("orders", "Echo"),
    }  # fmt: skip
    assert set(generation.sinks()) == {"orders.Orders"}
    assert set(generation.feeds()) == {"orders.Orders", "orders.Orders.dead"}


def test_a_route_answers(tmp_path: Path) -> None:
    clock = VirtualClock()
    manifests = load_text(tmp_path, MEMORY)
    generation = build(manifests, tools=make_tools(clock), admission=Admission(10))

    async def main() -> bytes:
        await generation.built["orders"].connector.open()
        now = clock.now()
        call = Call(
            connector="orders", operation="Echo", deadline=now + 5, effort=Effort(now),
            payload=Payload("application/json", b'{"a":1}'),
        )  # fmt: skip
        reply = await generation.routes()[("orders", "Echo")](call)
        await generation.built["orders"].connector.close()
        return reply.payload.data

    assert clock.run(main()) == b'{"a":1}'


def test_the_catalog_tells_policies_and_worst_cases(tmp_path: Path) -> None:
    generation = build_text(tmp_path, SHOP, MEMORY)
    assert generation.catalog.load_time == CLOCK.wall()
    create, get = generation.catalog.connectors["shop"].operations
    assert (create.name, create.effect, get.name) == ("CreateOrder", Effect.UNSAFE, "GetProduct")
    assert (get.worst_case_seconds, get.worst_case_attempts) == (5.0, 4)
    assert any("deadline" in line and "5s" in line for line in get.policy)
    orders = generation.catalog.connectors["orders"]
    assert orders.operations[0].description == "Says it back."
    assert [feed.dead_letters for feed in orders.feeds] == ["orders.Orders.dead", ""]
    assert orders.sinks[0].name == "Orders"


def test_what_did_not_change_is_the_same_object(tmp_path: Path) -> None:
    first = build_text(tmp_path, SHOP, MEMORY)
    changed = MEMORY.replace("Says it back.", "Echoes.")
    second = build_text(tmp_path, "# moved\n" + SHOP, changed, previous=first)
    assert second.built["shop"] is first.built["shop"]
    assert second.built["orders"] is not first.built["orders"]
    assert not second.is_same(first)
    assert build_text(tmp_path, SHOP, changed, previous=second).is_same(second)


def test_a_rotated_secret_is_a_change_though_the_hash_is_equal(tmp_path: Path) -> None:
    first = build_text(tmp_path, SHOP)
    second = build_text(tmp_path, SHOP, previous=first, env={**ENV, "SHOP_TOKEN": "rotated"})
    assert second.built["shop"] is not first.built["shop"]
    assert second.catalog.config_hash == first.catalog.config_hash
    assert not second.is_same(first)


def test_a_bad_reload_leaves_the_old_generation_untouched(tmp_path: Path) -> None:
    first = build_text(tmp_path, SHOP, MEMORY)
    built, routes = dict(first.built), first.routes()
    with pytest.raises(ManifestError):
        build_text(tmp_path, SHOP, MEMORY.replace("memory: main", "memroy: main"), previous=first)
    assert first.built == built
    assert first.routes() == routes


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (Failure(Reason.INTERNAL_ERROR, "our own words"), "orders: our own words"),
        (OSError("/secret/place"), "orders: a file that it names (such as those of `tls`)"),
        (ValueError("https://user:pw@host"), "orders: its settings do not go together"),
    ],
)
def test_a_connector_that_cannot_be_built_is_told_in_our_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, says: str
) -> None:
    """P49: a foreign exception's text does not go out."""
    manifests = load_text(tmp_path, SHOP, MEMORY)
    build_one = builder._build_one

    def fail(manifest, *rest):
        if manifest.name == "orders":
            raise error
        return build_one(manifest, *rest)

    monkeypatch.setattr(builder, "_build_one", fail)
    with pytest.raises(ManifestError) as caught:
        build(manifests, tools=tools(), admission=Admission(1))
    (problem,) = caught.value.problems
    assert problem.code is Code.UNBUILDABLE
    assert (problem.line, problem.column) == (3, 1)
    assert problem.message.startswith(says)


def test_a_missing_tls_file_is_a_problem_at_its_connector(tmp_path: Path) -> None:
    text = SHOP.replace("{rest: ", "{tls: {ca: /nowhere.pem}, rest: ").replace("//", "//", 1)
    with pytest.raises(ManifestError) as caught:
        build_text(tmp_path, text, env={**ENV, "SHOP_URL": "https://127.0.0.1:1"})
    assert [problem.code for problem in caught.value.problems] == [Code.UNBUILDABLE]


@pytest.mark.parametrize(("workers", "refused"), [(2, 0), (3, 1), (5, 2)])
def test_limits_that_the_workers_cannot_share_are_refused_by_name(
    tmp_path: Path, workers: int, refused: int
) -> None:
    text = MEMORY + "policy: {limit: {rate: 50/s, burst: 4}, bulkhead: {in_flight: 2}}\n"
    seat = Seat(0, workers)
    if not refused:
        guard = build_text(tmp_path, text, seat=seat).built["orders"].guard
        assert guard.bulkhead is not None
        assert guard.bulkhead.permits.limit == 1
        return
    with pytest.raises(ManifestError) as caught:
        build_text(tmp_path, text, seat=seat)
    told = [str(problem) for problem in caught.value.problems if problem.code == "IL151"]
    assert len(told) == refused
    assert f"orders: bulkhead.in_flight is 2, which {workers} workers cannot share" in "\n".join(
        told
    )
