"""The explanation tells each value with its origin, the worst case, reasons and metrics."""

from pathlib import Path

import pytest
from manifest_rig import ENV, MEMORY, SHOP, build_text

from interlaced.core.failure import Failure, Reason
from interlaced.core.model import Effect
from interlaced.manifest.explain import explain, possible_reasons
from interlaced.resilience.config import PolicyConfig


def test_each_line_says_where_its_values_come_from(tmp_path: Path) -> None:
    text = explain(build_text(tmp_path, SHOP), "shop.GetProduct")
    lines = [line.strip() for line in text.splitlines()]
    assert lines[0] == "shop.GetProduct  (rest, safe)"
    assert lines[lines.index("deadline         5s") + 1] == "from operation GetProduct"
    assert lines[lines.index("attempt timeout  2s") + 1] == "from a.yaml vendor-default"
    retry = next(index for index, line in enumerate(lines) if line.startswith("retry  "))
    assert lines[retry + 1] == "from a.yaml vendor-default (attempts), default (the rest)"
    breaker = next(index for index, line in enumerate(lines) if line.startswith("breaker  "))
    assert lines[breaker + 1] == "from default"
    assert any(line.startswith("worst case ") for line in lines)
    assert "BREAKER_OPEN" in text
    assert "interlace_upstream_attempts" in text
    assert "interlace_feed" not in text


def test_a_connector_is_explained_operation_by_operation(tmp_path: Path) -> None:
    text = explain(build_text(tmp_path, SHOP), "shop")
    assert text.index("shop.CreateOrder") < text.index("shop.GetProduct")


def test_no_explanation_shows_a_secret(tmp_path: Path) -> None:
    """P49."""
    text = explain(build_text(tmp_path, SHOP), "shop")
    assert ENV["SHOP_TOKEN"] not in text
    assert ENV["SHOP_URL"] not in text


@pytest.mark.parametrize(
    ("name", "reason", "hint"),
    [
        ("ordres.Echo", Reason.UNKNOWN_CONNECTOR, "did you mean 'orders'?"),
        ("orders.Ecko", Reason.UNKNOWN_OPERATION, "did you mean 'Echo'?"),
    ],
)
def test_an_unknown_name_comes_with_a_proposal(
    tmp_path: Path, name: str, reason: Reason, hint: str
) -> None:
    with pytest.raises(Failure) as caught:
        explain(build_text(tmp_path, MEMORY), name)
    assert (caught.value.reason, caught.value.context["hint"]) == (reason, hint)


def test_reasons_follow_the_policy() -> None:
    bare = PolicyConfig().overlaid({"breaker": None, "bulkhead": None})
    reasons = possible_reasons(bare, Effect.SAFE, takes_key=False)
    assert not {Reason.BREAKER_OPEN, Reason.BULKHEAD_FULL, Reason.OUTCOME_UNKNOWN} & set(reasons)
    limited = PolicyConfig().overlaid({"limit": {"rate": "5/s"}})
    reasons = possible_reasons(limited, Effect.UNSAFE, takes_key=False)
    assert {Reason.RATE_LIMITED, Reason.OUTCOME_UNKNOWN, Reason.BREAKER_OPEN} <= set(reasons)
    assert reasons == [reason for reason in Reason if reason in reasons]


def test_what_workers_share_is_said(tmp_path: Path) -> None:
    told = "hold for the whole server: each worker"
    assert told in explain(build_text(tmp_path, SHOP), "shop.GetProduct")
    off = MEMORY + "policy: {bulkhead: null}\n"
    assert told not in explain(build_text(tmp_path, off), "orders.Echo")
