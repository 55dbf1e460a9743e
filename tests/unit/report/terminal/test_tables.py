"""Tables: plain and aligned off a terminal, drawn on one, and safe for any content."""

from __future__ import annotations

import io

import pytest

from etl.report.terminal.tables import Table, show


class Terminal(io.StringIO):
    """A stream that says that a person looks at it."""

    def isatty(self) -> bool:
        """Yes."""
        return True


TABLE = Table(["id", "name", "listed"], [[7, "東京 Travel", "10 000"], [12, "Zoë", None]], frozenset({"id", "listed"}))


def shown(table: Table, stream: io.StringIO) -> list[str]:
    """The lines of the table on that stream."""
    show(table, stream)
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_plain_table_is_aligned() -> None:
    """Figures to the right, text to the left, wide characters counted as two cells, a dash for nothing."""
    assert shown(TABLE, io.StringIO()) == [
        "id  name         listed",
        " 7  東京 Travel  10 000",
        "12  Zoë               -",
    ]


def test_title_stands_alone() -> None:
    """A title comes after a blank line, above the columns."""
    lines = shown(Table(["a"], [["x"]], title="What changed"), io.StringIO())
    assert lines == ["", "What changed", "a", "x"]


def test_drawn_table_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal of 40 columns nothing is wider, figures are whole, and long text is folded, not lost."""
    monkeypatch.setenv("COLUMNS", "40")
    note = "held because more numbers were gone than allowed"
    lines = shown(Table(["id", "note"], [[123_456, note]], frozenset({"id"})), Terminal())
    assert max(map(len, lines)) <= 40 + len("\x1b[1m\x1b[0m") * 4
    assert any("123456" in line for line in lines)
    assert " ".join(" ".join(line.split()) for line in lines[2:]).replace("123456 ", "") == note


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_a_cell_cannot_forge_a_row(stream: io.StringIO) -> None:
    """Newlines, escape sequences, bidi marks and rich's own markup show as text."""
    text = "\n".join(shown(Table(["name"], [["[red]x[/red]\n7\x1b[2J\u202e:smile:"]]), stream))
    assert "[red]x[/red]\\x0a7\\x1b[2J\\u202e:smile:" in text
    assert "\x1b[2J" not in text


def test_closed_stream_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a stdout nothing is written, not to stderr either, and no exception is raised."""
    show(TABLE, None)
    assert capsys.readouterr() == ("", "")
