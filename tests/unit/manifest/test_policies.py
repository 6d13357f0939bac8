"""Policies are laid over each other, and it is known who said what."""

from interlaced.manifest.codes import Code
from interlaced.manifest.policies import DEFAULT, Layer, PolicyBook, PolicyUse, check_named
from interlaced.manifest.source import Span, read_source

ANYWHERE = Span(0, 0, 0, 1)


def book(**policies: dict[str, object]) -> PolicyBook:
    named = PolicyBook()
    for name, values in policies.items():
        assert named.add(name, values, file="policies.yaml", span=ANYWHERE)
    return named


def use(text: str, value: object, *, is_shared: bool = True) -> PolicyUse:
    (document,) = read_source("x", f"policy: {text}\n".encode()).documents
    return PolicyUse(document, ("policy",), value, "connector shop", set(), is_shared)


def test_a_name_lays_its_policy_over_the_default() -> None:
    named = book(base={"deadline": "8s", "retry": {"attempts": 4}})
    policy, findings = named.lay(DEFAULT, use("base", "base"))
    assert findings == []
    assert (policy.config.deadline, policy.config.retry.attempts) == (8.0, 4)
    assert policy.config.attempt_timeout == DEFAULT.config.attempt_timeout
    assert policy.origin("deadline") == "policies.yaml base"
    assert policy.origin("retry", "attempts") == "policies.yaml base"
    assert policy.origin("retry", "backoff") == "default"
    assert (policy.rank("deadline"), policy.rank("breaker")) == (1, 0)
    assert named.unused() == {}


def test_own_keys_lie_over_the_named_policy() -> None:
    named = book(base={"deadline": "8s", "limit": {"rate": "5/s"}})
    values = {"use": "base", "limit": {"burst": 3}}
    policy, findings = named.lay(DEFAULT, use("{use: base, limit: {burst: 3}}", values))
    assert findings == []
    assert policy.config.limit is not None
    assert (policy.config.limit.rate.count, policy.config.limit.burst) == (5, 3)
    assert policy.layers[-1] == Layer("connector shop", {"limit": {"burst": 3}})


def test_an_unknown_name_is_told_with_a_proposal() -> None:
    policy, (finding,) = book(vendor={}).lay(DEFAULT, use("vendro", "vendro"))
    assert policy is DEFAULT
    assert (finding.code, finding.hint) == (Code.UNKNOWN_POLICY, "did you mean 'vendor'?")
    assert finding.span is not None
    assert finding.span.column == 8


def test_shared_parts_are_refused_for_an_operation() -> None:
    values = {"limit": {"rate": "5/s"}, "retry": {"budget": "5%"}}
    text = "{limit: {rate: 5/s}, retry: {budget: 5%}}"
    _, findings = book().lay(DEFAULT, use(text, values, is_shared=False))
    assert [finding.code for finding in findings] == [Code.SHARED_POLICY] * 2
    named = book(base={"bulkhead": {"in_flight": 3}})
    _, (finding,) = named.lay(DEFAULT, use("base", "base", is_shared=False))
    assert finding.message.startswith("bulkhead belongs to the connector")


def test_neither_a_name_nor_a_mapping_is_refused() -> None:
    _, (finding,) = book().lay(DEFAULT, use("[a]", ["a"]))
    assert finding.code is Code.BAD_VALUE
    (finding,) = check_named(use("3", 3))
    assert finding.code is Code.BAD_VALUE


def test_nothing_changes_nothing() -> None:
    assert book().lay(DEFAULT, use("", None)) == (DEFAULT, [])


def test_a_name_is_taken_once_and_the_unused_are_known() -> None:
    named = book(a={}, b={})
    assert not named.add("a", {}, file="x", span=ANYWHERE)
    named.lay(DEFAULT, use("a", "a"))
    assert list(named.unused()) == ["b"]
