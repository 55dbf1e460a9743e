"""The glossary is the rule: no identifier of the program contains a word that it retired."""

from __future__ import annotations

import io
import re
import tokenize

import pytest

from etl.store.relations import relations
from tests.support.checkout import ROOT

PAGE = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")


def retired_words() -> set[str]:
    """Words of the last table's first column, without the remarks after a comma."""
    rows = re.findall(r"^\| ([^|]+?) \|", PAGE.partition("## Retired words")[2], re.MULTILINE)
    return {re.sub(r"\W", "", word) for row in rows if row not in ("not", "---") for word in _without_remark(row)}


def _without_remark(row: str) -> list[str]:
    return [word for word in row.split(", ") if not word.startswith("of ")]


def retired_in(source: str, words: set[str]) -> set[str]:
    """The identifiers of a Python source that have one of the words in them, whole or in the plural."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    names = {token.string for token in tokens if token.type == tokenize.NAME}
    return {name for name in names if words & set(_parts(name))}


def _parts(name: str) -> set[str]:
    parts = {part.lower() for part in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}
    return parts | {part.removesuffix("s") for part in parts} | {part.removesuffix("es") for part in parts}


def test_the_table_of_retired_words_is_read() -> None:
    """A check against no words finds nothing."""
    assert {"surroundings", "heed", "witness", "canary", "vanished"} <= retired_words()
    assert not {"of customers", "not", "but"} & retired_words()


@pytest.mark.parametrize("name", ["Witness", "_lane", "HaltingClock2_halt", "all_witnesses", "CANARIES_canary"])
def test_a_retired_word_is_found_in_an_identifier(name: str) -> None:
    """Whatever its case, in the plural, or as a part of a longer name."""
    assert retired_in(f"{name} = 1", retired_words()) == {name}


def test_no_identifier_contains_a_retired_word() -> None:
    """In the program's own code."""
    found = {
        str(path.relative_to(ROOT)): names
        for path in sorted((ROOT / "etl").rglob("*.py"))
        if (names := retired_in(path.read_text(encoding="utf-8"), retired_words()))
    }
    assert found == {}


def test_no_sentence_about_a_table_contains_a_retired_word() -> None:
    """Tables, views and columns are described in the words of the glossary."""
    sentences = [r.sentence for r in relations()] + [c.meaning.sentence for r in relations() for c in r.columns]
    assert sentences
    assert [said for said in sentences if retired_words() & set(_parts(said.replace("-", " ")))] == []
