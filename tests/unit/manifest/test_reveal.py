"""P49: no line that is shown holds a secret, whatever is wrong with it."""

from functools import partial

from interlaced.manifest.codes import Code
from interlaced.manifest.reveal import Veil
from interlaced.manifest.schema import connector_schema
from interlaced.manifest.shape import Shape
from interlaced.manifest.source import Finding, Span, read_source


def shown(text: str, *, line: int = 0, column: int = 0, width: int = 1, covered: bool = True):
    source = read_source("x.yaml", text.encode())
    veil = Veil(source)
    if covered:
        for document in source.documents:
            veil.cover(document, Shape.of(connector_schema("rest")))
    finding = Finding(Span(line, column, line, column + width), Code.BAD_VALUE, "wrong")
    (problem,) = veil.problems([finding])
    return problem


def test_values_of_secret_fields_are_masked_and_the_caret_moves() -> None:
    text = "upstream: {auth: {bearer: hunter2x, basic: 1}, rest: http://a}\n"
    column = text.index("basic")
    problem = shown(text, column=column, width=5)
    assert problem.source == "upstream: {auth: {bearer: ***, basic: ***}, rest: http://a}"
    assert problem.source[problem.caret :].startswith("basic")
    assert (problem.column, problem.width) == (column + 1, 5)


def test_a_caret_on_a_secret_points_at_the_mask() -> None:
    text = "upstream: {auth: {bearer: [hunter2x]}}\n"
    problem = shown(text, column=text.index("hunter"), width=8)
    assert problem.source[problem.caret :][:3] == "***"
    assert problem.width == 3


def test_values_under_unknown_and_telling_keys_are_masked() -> None:
    assert "hunter2" not in shown("upstream: {tokne: hunter2}\n").source
    assert "hunter2" not in shown("operations: {X: {headers: {X-Api-Key: hunter2}}}\n").source
    assert "hunter2" not in shown("operations: {X: {body: {auth: {deep: hunter2}}}}\n").source
    assert shown("upstream: {nothing: 4}\n").source == "upstream: {nothing: 4}"


def test_references_are_shown_but_their_defaults_are_not() -> None:
    assert "${env:TOKEN}" in shown('upstream: {auth: {bearer: "${env:TOKEN}"}}\n').source
    assert "hunter2" not in shown('upstream: {auth: {bearer: "${env:T:-hunter2}"}}\n').source


def test_a_block_of_lines_is_masked_to_its_end() -> None:
    text = "upstream:\n  auth:\n    bearer: |\n      hunter2\n      hunter3\n    x: 1\n"
    for line in (2, 3, 4):
        assert "hunter" not in shown(text, line=line).source


def test_userinfo_in_addresses_is_masked() -> None:
    problem = shown('upstream: {rest: "http://user:hunter2@host/x"}\n', column=17)
    assert problem.source == 'upstream: {rest: "http://***@host/x"}'


def test_lines_that_could_not_be_read_show_keys_only() -> None:
    text = 'upstream: {auth: {bearer: "hunter2 x: y}, timeout: 5s, {{\n'
    problem = shown(text, covered=False)
    assert "hunter2" not in problem.source
    assert problem.source.startswith("upstream: {auth: {bearer: ***")


def test_long_lines_are_cut_around_the_place() -> None:
    text = f"description: {'a' * 400} b\n"
    problem = shown(text, column=412, width=1)
    assert len(problem.source) <= 160
    assert problem.caret == 60


def test_control_characters_are_not_shown() -> None:
    text = 'description: "a\u202eb"\n'
    assert "\u202e" not in shown(text).source


def test_secrets_are_taken_out_of_messages_too() -> None:
    source = read_source("x", b"upstream: {auth: {bearer: hunter2x}}\n")
    veil = Veil(source)
    veil.cover(source.documents[0], Shape.of(connector_schema("rest")))
    tell = partial(Finding, None, Code.BAD_VALUE)
    (first, second) = veil.problems([tell("it said hunter2x"), tell("m", "canary1")], ["canary1"])
    assert (first.message, second.hint) == ("it said ***", "***")
