"""The private digest sees secrets, the public hash does not."""

from interlaced.manifest.digest import private_digest, public_hash
from interlaced.manifest.source import MapNode, Node, read_source


def document(text: str) -> Node:
    return read_source("x", text.encode()).documents[0]


def hash_of(text: str, *hidden: str) -> str:
    node = document(text)
    assert isinstance(node, MapNode)
    return public_hash([(node, frozenset(id(node.entries[key].value) for key in hidden))])


def test_the_private_digest_changes_with_any_value() -> None:
    assert private_digest({"a": 1, "b": [2]}) == private_digest({"b": [2], "a": 1})
    assert private_digest({"a": 1}) != private_digest({"a": "1"})
    assert private_digest({"a": float("nan")}) == private_digest({"a": float("nan")})


def test_the_public_hash_is_equal_for_equal_content() -> None:
    assert hash_of("a: 1\nb: x # comment\n") == hash_of("b: 'x'\na: 1\n")
    assert hash_of("a: 1") != hash_of("a: '1'")
    assert hash_of("a: [1]") != hash_of("a: {map: []}")
    assert len(hash_of("a: 1")) == 32


def test_the_public_hash_says_nothing_of_secrets() -> None:
    assert hash_of("a: 1\nb: one", "b") == hash_of("a: 1\nb: two", "b")


def test_files_come_in_any_order() -> None:
    one, two = (document("a: 1"), frozenset[int]()), (document("b: 1"), frozenset[int]())
    assert public_hash([one, two]) == public_hash([two, one])
