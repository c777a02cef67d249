"""YAML with places, bounded: what is good is read as YAML 1.2 says, what is hostile ends early and says where."""

from __future__ import annotations

import json
import math

import pytest
import yaml
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from trainyard.validation.document import MAX_BYTES, Document, DocumentError, read_document


def read(text: str) -> Document:
    return read_document(text.encode())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on: {push: yes}", {"on": {"push": "yes"}}),
        ("a: true\nb: False\nc: ~\nd:\ne: 'true'", {"a": True, "b": False, "c": None, "d": None, "e": "true"}),
        (
            "a: 1\nb: -0x1F\nc: 0o17\nd: 1e-3\ne: .5\nf: 017",
            {"a": 1, "b": "-0x1F", "c": 15, "d": 0.001, "e": 0.5, "f": 17},
        ),
        ("a: .inf\nb: -.inf", {"a": math.inf, "b": -math.inf}),
        ("a: 1_000\nb: 12:30:00\nc: 2026-01-02", {"a": "1_000", "b": "12:30:00", "c": "2026-01-02"}),
        ("a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}", {"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}}),
        ("a: &x [1]\nb: *x", {"a": [1], "b": [1]}),
        ("a: !!str 1", {"a": "1"}),
        ('{"a": [1, 2.5, "x", null, true]}', {"a": [1, 2.5, "x", None, True]}),
        ("\ufeffa: 1\r\nb: 2\r\n", {"a": 1, "b": 2}),
        ("1: a\nnull: b", {"1": "a", "null": "b"}),
        ("", None),
    ],
)
def test_it_reads(text: str, value: object) -> None:
    assert read(text).value == value


def test_it_knows_where_everything_was_written() -> None:
    document = read("runs:\n  a:\n    inputs:\n      data: {dataset: x/y}\n    list: [1,\n      2]\n")
    assert str(document.position(("runs", "a", "inputs", "data"), of_key=True)) == "Position(line=4, column=7)"
    assert str(document.position(("runs", "a", "inputs", "data", "dataset"))) == "Position(line=4, column=23)"
    assert str(document.position(("runs", "a", "list", 1))) == "Position(line=6, column=7)"
    assert str(document.position(("runs", "a", "nothing", "there"))) == "Position(line=3, column=5)"


LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
MERGES = "a0: &a0 {k: v}\n" + "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 40))
HOSTILE = {
    "laughs": LAUGHS,
    "merges": MERGES,
    "deep list": "[" * 60_000,
    "deep mapping": "{" * 60_000,
    "deep indent": "- " * 30_000,
    "deep keys": "? " * 30_000,
    "chain of aliases": "".join(f"a{n}: &a{n} {{b: *a{n - 1}}}\n" for n in range(1, 200)).replace("*a0", "1"),
    "itself": "a: &a [*a]",
    "unknown alias": "a: *b",
    "tag": "a: !!python/object/apply:os.system ['true']",
    "own tag": "a: !thing 1",
    "null byte": "a: \0",
    "control": "a: \x07",
    "two documents": "a: 1\n---\nb: 2\n",
    "key twice": "a: 1\na: 2\n",
    "key is a list": "? [1]\n: 2\n",
    "tab": "a:\n\tb: 1\n",
    "unclosed": "a: 'b",
    "merge of a word": "<<: word\n",
    "large": "a: " + "x" * MAX_BYTES,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_hostile_ends_early_with_a_place(name: str) -> None:
    with pytest.raises(DocumentError) as raised:
        read(HOSTILE[name])
    assert raised.value.position.line >= 1
    assert raised.value.message.zh
    assert raised.value.fix.en


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b"a: \xc3\x28", "a: 1".encode("utf-16"), b"\x00" * 100, b"\x80"])
def test_what_is_no_text_is_told(data: bytes) -> None:
    with pytest.raises(DocumentError):
        read_document(data)


def refusal(data: bytes) -> DocumentError | None:
    """What keeps the bytes from being read; None if they are."""
    try:
        read_document(data)
    except DocumentError as error:
        return error
    return None


@given(st.binary(max_size=300))
@hypothesis(max_examples=200)
def test_any_bytes_are_read_or_refused_with_a_place(data: bytes) -> None:
    refused = refusal(data)
    assert refused is None or (refused.position.line >= 1 and refused.position.column >= 1)


@given(st.text(alphabet="ab:{}[]-? &*!|>'\"#%@`,\n\t<~0.1", max_size=120))
@hypothesis(max_examples=400)
def test_anything_like_yaml_is_read_or_refused(text: str) -> None:
    refused = refusal(text.encode())
    assert refused is None or refused.position.line <= text.count("\n") + 2


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**6), 10**6)
    | st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "Zs")), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text("abc-_ :", max_size=6).filter(lambda key: key != "<<"), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(json_values)
@hypothesis(max_examples=150)
def test_json_and_its_yaml_are_read_as_they_were_written(value: object) -> None:
    # Beyond the basic plane JSON escapes a character as two surrogates, which YAML does not know; as itself it is fine.
    assert read(json.dumps(value, ensure_ascii=False)).value == value
    # Quoted, because plain words mean more in YAML 1.1, which the writer speaks.
    assert read(yaml.safe_dump({"v": value}, default_style='"', allow_unicode=True)).value is not None
