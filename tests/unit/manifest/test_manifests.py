"""A manifest finds places in its document."""

from pathlib import Path

from manifest_rig import SHOP, load_text

from interlaced.manifest.codes import Code


def test_a_finding_points_at_a_single_value_or_else_at_the_key(tmp_path: Path) -> None:
    shop = load_text(tmp_path, SHOP).connectors["shop"]
    value = shop.finding(("policy",), Code.BAD_VALUE, "m")
    key = shop.finding(("upstream",), Code.BAD_VALUE, "m")
    assert value.span is not None
    assert key.span is not None
    assert (value.span.line, value.span.column) == (4, 8)
    assert (key.span.line, key.span.column) == (3, 0)


def test_the_policy_of_a_member_is_its_own_or_the_connectors(tmp_path: Path) -> None:
    shop = load_text(tmp_path, SHOP).connectors["shop"]
    assert shop.policy_of("operations", "CreateOrder") is shop.policy
    assert shop.policy_of("operations", "GetProduct") is not shop.policy
    assert shop.policy_of("sinks", "GetProduct") is shop.policy
