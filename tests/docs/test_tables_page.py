"""docs/tables.md equals the output of `vnsync describe`, and names every table, view and column."""

from __future__ import annotations

from etl.describe.markdown import markdown
from etl.store.described import RelationKind
from etl.store.relations import relations
from tests.support.checkout import ROOT

PAGE = (ROOT / "docs" / "tables.md").read_text(encoding="utf-8")


def test_the_page_is_generated() -> None:
    """If this fails: `vnsync describe --format markdown > docs/tables.md`."""
    assert markdown(relations()) == PAGE


def test_every_sentence_of_a_column_is_on_the_page() -> None:
    """Columns of the versions are there once, for all eight tables."""
    for relation in relations():
        assert relation.sentence in PAGE
        if relation.kind not in (RelationKind.HISTORY, RelationKind.CLOSED):
            section = PAGE.partition(f"### `{relation.name}`\n")[2].partition("\n#")[0]
            for column in relation.columns:
                assert f"`{column.name}`" in section
                assert column.meaning.text in section


def test_the_diagram_draws_every_current_table() -> None:
    """With a line to each."""
    picture = PAGE.partition("```mermaid\n")[2].partition("```")[0]
    for relation in relations():
        if relation.kind is RelationKind.CURRENT:
            assert f"\n    {relation.name} {{" in picture
            assert f"--o{{ {relation.name} :" in picture
