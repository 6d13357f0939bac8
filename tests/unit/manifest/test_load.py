"""Manifests load whole, or every problem of every file is told at its place."""

import contextlib
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from manifest_rig import ENV, MEMORY, SHOP, load_text, problems_of

from interlaced import connectors
from interlaced.connectors.memory.config import Config as MemoryConfig
from interlaced.core.secret import Secret
from interlaced.manifest.codes import Code, Severity
from interlaced.manifest.load import load
from interlaced.manifest.problem import ManifestError, Problem, render

REST = "interlace: 1\nconnector: a\nupstream: {rest: http://x}\n"
CANARY = "canary-4711"


def test_files_of_a_directory_become_connectors(tmp_path: Path) -> None:
    manifests = load_text(tmp_path, SHOP, MEMORY)
    assert list(manifests.connectors) == ["orders", "shop"]
    shop = manifests.connectors["shop"]
    assert (shop.kind, shop.description) == ("rest", "The shop's catalogue.")
    assert (shop.policy.config.deadline, shop.policy.config.retry.attempts) == (10.0, 4)
    assert shop.policy_of("operations", "GetProduct").config.deadline == 5.0
    assert shop.policy_of("operations", "GetProduct").config.retry.attempts == 4
    assert shop.policy_of("operations", "CreateOrder") is shop.policy
    assert isinstance(manifests.connectors["orders"].config, MemoryConfig)
    assert manifests.warnings == ()


def test_resolved_secrets_are_collected_for_the_log(tmp_path: Path) -> None:
    assert load_text(tmp_path, SHOP).secrets == (Secret("canary-token-1"),)


def test_single_files_and_a_directory_of_secrets(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "shop").write_text("token=told\n")
    path = tmp_path / "shop.yaml"
    path.write_text(SHOP.replace("${env:SHOP_TOKEN}", "${secret:shop#token}"))
    manifests = load([str(path)], env={**ENV, "INTERLACE_SECRETS": str(tmp_path / "secrets")})
    assert Secret("told") in manifests.secrets


READMES = sorted(Path(connectors.__file__).parent.glob("*/README.md"))
ADDRESSES = {"rest": "http://x", "websocket": "ws://x", "nats": "nats://x", "memory": "m"}


class AnyVariable(dict[str, str]):
    """An environment where every variable is set: addresses to one of the kind's form."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def get(self, name: str, default: object = None) -> str | None:  # type: ignore[override]
        if name == "INTERLACE_SECRETS":
            return None
        is_secret = re.search("TOKEN|PASS|KEY|SECRET|USER", name)
        return "value" if is_secret else ADDRESSES[self.kind]


@pytest.mark.parametrize("path", READMES, ids=lambda path: path.parent.name)
def test_the_manifest_of_every_readme_loads_without_a_warning(tmp_path: Path, path: Path) -> None:
    blocks = re.findall(r"```ya?ml\n(.*?)```", path.read_text(), re.DOTALL)
    manifests = [block for block in blocks if block.startswith(("interlace:", "#"))]
    assert manifests
    for text in manifests:
        found = load_text(tmp_path, text, env=AnyVariable(path.parent.name))
        assert [render(problem) for problem in found.warnings] == []
        assert found.connectors


BAD = [
    ("- a\n", "a.yaml:1:1", Code.NOT_A_MAPPING, ""),
    ("connector: a\nupstream: {rest: http://x}\n", "a.yaml:1:1", Code.BAD_VERSION, "begin with"),
    (REST.replace("interlace: 1", "interlace: 2"), "a.yaml:1:12", Code.BAD_VERSION, ""),
    ("interlace: 1\nconnectr: a\n", "a.yaml:1:1", Code.UNKNOWN_DOCUMENT, "'connector'?"),
    ("interlace: 1\nconnector: a\npolicies: {}\n", "a.yaml:1:1", Code.UNKNOWN_DOCUMENT, ""),
    ("interlace: 1\nconnector: a\n", "a.yaml:1:1", Code.MISSING_KEY, ""),
    ("interlace: 1\nconnector: a\nupstream: {rset: http://x}\n", "a.yaml:3:12",
     Code.UNKNOWN_KIND, "did you mean 'rest'?"),
    ("interlace: 1\nconnector: a\nupstream: http://x\n", "a.yaml:3:1", Code.UNKNOWN_KIND, ""),
    ("interlace: 1\nconnector: a\nupstream: {rest: http://x, memory: m}\n", "a.yaml:3:28",
     Code.UNKNOWN_KIND, "one connector each"),
    (REST.replace("connector: a", "connector: 9a"), "a.yaml:2:12", Code.BAD_NAME, "a letter"),
    (REST.replace("connector: a", "connector: [a]"), "a.yaml:2:1", Code.BAD_NAME, "a letter"),
    (REST + "description: [x]\n", "a.yaml:4:1", Code.BAD_VALUE, ""),
    (REST + "operatoins: {}\n", "a.yaml:4:1", Code.UNKNOWN_KEY, "did you mean 'operations'?"),
    (REST + "policy: {retries: 4}\n", "a.yaml:4:10", Code.UNKNOWN_KEY,
     "did you mean 'retry.attempts'?"),
    (REST + "policy: {deadline: 5 s}\n", "a.yaml:4:20", Code.BAD_VALUE, ""),
    (REST + "policy: vendor\n", "a.yaml:4:9", Code.UNKNOWN_POLICY, ""),
    (REST + "policy: {use: vendor}\n", "a.yaml:4:15", Code.UNKNOWN_POLICY, ""),
    (REST + "policy: [x]\n", "a.yaml:4:1", Code.BAD_VALUE, ""),
    (REST + "operations:\n  Get: {get: /x, policy: {limit: {rate: 5/s}}}\n", "a.yaml:5:27",
     Code.SHARED_POLICY, "move it to the connector's policy"),
    (REST + "operations:\n  Get: {get: /x, policy: {bulkhaed: 3}}\n", "a.yaml:5:27",
     Code.UNKNOWN_KEY, "did you mean 'bulkhead'?"),
    (REST + "operations:\n  Get: {gte: /x, get: /x}\n", "a.yaml:5:9", Code.UNKNOWN_KEY,
     "did you mean 'get'?"),
    (REST + "operations:\n  Get: {post: /x, effect: unsfe}\n", "a.yaml:5:27", Code.BAD_VALUE,
     "did you mean 'unsafe'?"),
    (REST + "operations:\n  Get: {get: /x, parameters: {p: {}}}\n", "a.yaml:5:31",
     Code.UNKNOWN_PARAMETER, ""),
    (REST + "operations:\n  9x: {get: /x}\n", "a.yaml:5:3", Code.BAD_NAME, "a letter"),
    (REST.replace("http://x", "'${env:NOPE}'"), "a.yaml:3:18", Code.UNRESOLVED_REFERENCE,
     "set it, or write ${env:NOPE:-default}"),
    (REST.replace("http://x", "'${NOPE}'"), "a.yaml:3:18", Code.BAD_REFERENCE, "${env:NOPE}"),
    ("interlace: 1\npolicies: [x]\n", "a.yaml:2:1", Code.BAD_VALUE, ""),
    ("interlace: 1\npolicies: {a: {}}\npolcies: 1\n", "a.yaml:3:1", Code.UNKNOWN_KEY,
     "did you mean 'policies'?"),
    ("interlace: 1\npolicies: {9a: {}}\n", "a.yaml:2:12", Code.BAD_NAME, "a letter"),
    ("interlace: 1\npolicies: {a: 3}\n", "a.yaml:2:12", Code.BAD_VALUE, ""),
    ("interlace: 1\npolicies: {a: {limit: {burst: 3}}}\n", "a.yaml:2:16", Code.MISSING_KEY, ""),
    ("interlace: 1\npolicies: {a: {breaker: {windw: 3s}}}\n", "a.yaml:2:26", Code.UNKNOWN_KEY,
     "did you mean 'window'?"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "place", "code", "hint"), BAD)
def test_a_bad_manifest_is_told_at_its_place_with_a_proposal(
    tmp_path: Path, text: str, place: str, code: Code, hint: str
) -> None:
    (problem,) = problems_of(tmp_path, text)
    assert problem.severity is Severity.ERROR
    told = f"{Path(problem.file).name}:{problem.line}:{problem.column}"
    assert (told, problem.code) == (place, code)
    assert hint in problem.hint
    shown = re.escape(problem.source).replace(re.escape("***"), ".+")
    assert re.fullmatch(shown, text.splitlines()[problem.line - 1])
    assert problem.caret == problem.column - 1
    assert f"interlace help {code}" in render(problem)


def test_all_problems_of_all_files_are_told_in_order(tmp_path: Path) -> None:
    one = REST + "operations:\n  A: {gte: /x, get: /x}\n  B: {}\n  B: {}\n"
    two = "a: [\n"
    problems = problems_of(tmp_path, one, two)
    assert [(Path(each.file).name, each.line, each.code) for each in problems] == [
        ("a.yaml", 5, Code.UNKNOWN_KEY),
        ("a.yaml", 6, Code.BAD_VALUE),
        ("a.yaml", 7, Code.DUPLICATE_KEY),
        ("b.yaml", 2, Code.BAD_YAML),
    ]


def test_names_are_unique_over_all_files(tmp_path: Path) -> None:
    policies = "---\ninterlace: 1\npolicies: {p: {}}\n"
    problems = problems_of(tmp_path, REST + "policy: p\n" + policies, REST + policies)
    assert [each.code for each in problems] == [Code.DUPLICATE_NAME] * 2
    assert all(each.file.endswith("b.yaml") for each in problems)
    assert "a.yaml" in problems[0].message


def test_a_policy_that_nobody_uses_is_a_warning(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, "interlace: 1\npolicies: {lonely: {}}\n")
    assert (problem.code, problem.severity) == (Code.UNUSED_POLICY, Severity.WARNING)


def test_a_secret_that_is_written_out_is_a_warning_and_is_not_shown(tmp_path: Path) -> None:
    """P49: the warning about it does not repeat it."""
    text = REST.replace("http://x", f"http://x, auth: {{bearer: {CANARY}}}")
    manifests = load_text(tmp_path, text)
    (problem,) = manifests.warnings
    assert problem.code is Code.WRITTEN_SECRET
    assert CANARY not in render(problem)
    assert manifests.secrets == (Secret(CANARY),)


def test_a_plain_header_is_no_secret(tmp_path: Path) -> None:
    text = REST.replace("http://x", "http://x, headers: {X-Client: interlace, X-Key: '${env:K}'}")
    manifests = load_text(tmp_path, text, env={"K": "keyed"})
    assert manifests.warnings == ()
    assert manifests.secrets == (Secret("keyed"),)


def test_an_unquoted_reference_in_braces_is_told_with_its_cure(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, "upstream: {rest: ${env:SHOP_URL}}\n")
    assert problem.hint == 'put quotes around it, as in "${env:NAME}"'
    assert "${env:SHOP_URL}" in problem.source


WITH_CANARY = [
    f"upstream: {{rest: http://x, auth: {{bearer: {CANARY}, tokne: {CANARY}}}}}",
    f"upstream: {{rest: http://x, auth: {{bearer: [{CANARY}]}}}}",
    f"upstream: {{rest: http://x, auth: {{basic: {{username: {CANARY}}}}}}}",
    f"upstream: {{rest: http://x, password: {CANARY}}}",
    f"upstream: {{rest: http://user:{CANARY}@x}}",
    f"upstream: {{rest: http://x, headers: {{X-Key: {CANARY}, 'bad header': {CANARY}}}}}",
    f"upstream: {{rset: http://x, auth: {{bearer: {CANARY}}}}}",
    f"upstream: {{rest: http://x, auth: {{bearer: '{CANARY}",
    f"upstream: {{rest: http://x, auth: {{bearer: {CANARY}: x}}}}",
    f"upstream: {{rest: http://x, auth: {{bearer: !secret {CANARY}}}}}",
    f"upstream: {{rest: http://x, auth: {{bearer: 'a${{env:NOPE}}{CANARY}'}}}}",
    f"upstream: {{rest: http://x, auth: {{bearer: '${{env:NOPE:-{CANARY}}}'}}, bad: 1}}",
    f"upstream: {{rest: http://x, auth: {{bearer: '${{{CANARY}}}'}}}}",
    "upstream: {rest: '${env:CANARY}', auth: {bearer: '${env:CANARY}'}, bad: 1}",
    f"upstream:\n  rest: http://x\n  auth:\n    bearer: |\n      {CANARY}\n      x\n  bad: 1",
    f"upstream: {{rest: http://x}}\npolicy: {{token: {CANARY}}}",
    f"upstream: {{nats: nats://x, auth: {{password: {CANARY}, tokn: {CANARY}}}}}",
    f"upstream: {{websocket: ws://x, auth: {{bearer: {CANARY}}}, on_open: [{{key: $bad}}]}}",
]


@pytest.mark.parametrize("text", WITH_CANARY)
def test_no_message_ever_shows_a_secret(tmp_path: Path, text: str) -> None:
    """P49: whatever is wrong, and wherever the secret stands."""
    whole = f"interlace: 1\nconnector: a\n{text}\n"
    problems = problems_of(tmp_path, whole, env={"CANARY": CANARY})
    assert problems
    for problem in problems:
        assert CANARY not in f"{problem!r}{problem}{render(problem)}"


def test_manifests_do_not_print_secrets(tmp_path: Path) -> None:
    """P49: neither do the objects that were loaded."""
    manifests = load_text(tmp_path, SHOP)
    assert ENV["SHOP_TOKEN"] not in repr(manifests.connectors["shop"].config)
    assert ENV["SHOP_TOKEN"] not in repr(manifests.secrets)


def test_the_hash_is_public_and_the_digest_is_not(tmp_path: Path) -> None:
    one = load_text(tmp_path, SHOP)
    two = load_text(tmp_path, SHOP, env={**ENV, "SHOP_TOKEN": "another"})
    assert one.config_hash == two.config_hash
    assert one.digest != two.digest
    three = load_text(tmp_path, SHOP.replace("/orders", "/order"))
    assert three.config_hash != one.config_hash


def test_a_path_that_does_not_exist_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(ManifestError) as caught:
        load([tmp_path / "nowhere"], env={})
    (problem,) = caught.value.problems
    assert problem.code is Code.UNREADABLE_FILE


def test_fifty_connectors_load_at_once(tmp_path: Path) -> None:
    texts = [SHOP.partition("---")[0].replace("shop", f"shop{n}", 1) for n in range(50)]
    path = tmp_path / "all.yaml"
    path.write_text("---\n".join(texts) + "---" + SHOP.partition("---")[2])
    assert len(load([path], env=ENV).connectors) == 50


PIECES = st.sampled_from(
    [
        "interlace: 1\n", "connector: a\n", "upstream: ", "{rest: http://x}\n", "{memory: m}\n",
        "policy: ", "x\n", "{deadline: 1s}\n", "---\n", "policies: ", "{x: {deadline: 2s}}\n",
        "operations: ", "{Get: {get: /x}}\n", "  ", "- ", "&a ", "*a", "!!str ", "'${env:A}'\n",
        "'${B}'\n", "feeds: ", "{F: {}}\n", "null\n", "3\n", "[1, {}]\n", "{'': 1}\n", "? ", ": ",
    ]
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.one_of(
        st.binary(max_size=100),
        st.lists(PIECES, max_size=14).map(lambda pieces: "".join(pieces).encode()),
    )
)
@example(b"interlace: 1\nconnector: 1\nupstream: {rest: 1}\npolicy: 1\noperations: 1\n")
@example(
    b'interlace: 1\nconnector: a\nupstream: {memory: m}\noperations: {"\\ud800": {x: "\\ud800"}}\n'
)
@example(b"interlace: .nan\nconnector: null\nupstream: {memory: [x]}\nsinks: {x: 1}\n")
def test_any_bytes_load_or_give_problems(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.yaml").write_bytes(data)
    problems: tuple[Problem, ...] = ()
    with contextlib.suppress(ManifestError):
        try:
            problems = load([tmp_path], env={"A": "one"}).warnings
        except ManifestError as error:
            problems = error.problems
            raise
        assert all(problem.severity is Severity.WARNING for problem in problems)
    assert all(render(problem).encode() for problem in problems)
