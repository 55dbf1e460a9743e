"""G08: output on a real terminal of 40, 60, 80 and 120 columns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from etl.cli.main import COMMANDS as ALL
from etl.report.terminal.paragraphs import folded
from etl.report.terminal.tables import Table, fitting
from etl.sandbox import faults
from etl.sandbox.world import CustomerPlan, World
from tests.support.running import Run, Source, listening
from tests.support.terminals import WIDTHS, figures_in, on_terminal, words_in

pytestmark = pytest.mark.usefixtures("clean")

SEPARATE = re.compile(r"[─\n]|\s{2,}")
TIMES = re.compile(r"\b\d+(?:\.\d+)? (?:s|min)\b|\b\d\d:\d\d:\d\d\b|Run \d+|run \d+|\b[0-9a-f]{64}\b")
"""Text that differs between two runs, and digests, which hold no figures."""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Source]:
    """An agency with figures of four digits and more, and names that are long, wide or both."""
    plans = [
        CustomerPlan(numbers=1_208, name="Окна Плюс и двери для всех", timezone="Europe/Moscow"),
        CustomerPlan(numbers=64, name="東京 Travel 東京 Travel", timezone="Asia/Tokyo"),
    ]
    yield from listening(World(seed=3, customers=plans), tmp_path_factory.mktemp("large"))


@pytest.fixture(scope="module")
def filled(large: Source, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """The options of a warehouse that holds two days of that agency."""
    from etl.cli.main import run

    where = ("--database-url", f"sqlite:///{tmp_path_factory.mktemp('filled') / 'w.db'}")
    for _ in range(2):
        assert run(["sync", "-q", *where, *large.options, "--output", "json"]) == 0
        large.world.pass_day(0.02)
    return where


COMMANDS: dict[str, tuple[tuple[str, ...], bool]] = {
    "status": (("status",), False),
    "plan": (("plan", "--details"), True),
    "changes": (("changes",), False),
    "verify": (("verify",), False),
    "config": (("config",), False),
    "doctor": (("doctor",), True),
    "accounts": (("accounts",), True),
    "db current": (("db", "current"), False),
}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.fault("G08")
def test_figures_and_words_are_whole(name: str, large: Source, filled: tuple[str, ...], vnsync: Run) -> None:
    """For any width, every figure, id, instant and word that fits into a line is on one line, as off a terminal."""
    arguments, asks = COMMANDS[name]
    arguments = (*arguments, *(large.options if asks else ()), *(filled if name != "accounts" else ()))
    plain = vnsync(*arguments)
    assert plain.code == 0
    told = TIMES.sub(" ", plain.out)
    for width in WIDTHS:
        seen = TIMES.sub(" ", "\n".join(on_terminal(width, *arguments)))
        assert words_in(told, width - 18) - words_in(seen, width) - {"-", "note"} == set()
        assert figures_in(told) - figures_in(seen) <= {"0"}


@pytest.mark.parametrize("width", [40, 80])
@pytest.mark.fault("G08")
def test_demo_can_be_read(width: int, tmp_path: Path) -> None:
    """The first output that a newcomer sees: every account's figures are complete."""
    shown = on_terminal(width, "demo", "--days", "2", "--database-url", f"sqlite:///{tmp_path / 'demo.db'}")
    text = "\n".join(shown)
    assert "10 600" in text
    for account in ("12001", "12002", "12003"):
        assert account in figures_in(text)
    assert max(map(len, shown)) <= width


@pytest.mark.parametrize("width", [40, 80])
@pytest.mark.fault("G08")
def test_remedies_stand_below_the_table(width: int, large: Source, tmp_path: Path) -> None:
    """The reason of an unpublished account is one sentence below the table, with an unbroken command."""
    victim = large.world.customer_ids[1]
    where = ("--database-url", f"sqlite:///{tmp_path / 'w.db'}")
    assert on_terminal(width, "sync", *where, *large.options)
    mine = large.world.user_ids(victim)
    large.api.faults.add(faults.error("forbidden"), times=None, when=lambda r: r.params.get("user_id") in mine)
    shown = on_terminal(width, "plan", *where, *large.options, code=3)
    large.api.faults.clear()
    text = " ".join(" ".join(shown).split())
    assert "see below" in text
    assert "give user" in text
    assert text.index("see below") < text.index("give user")


@pytest.mark.fault("G08")
def test_progress_is_gone_and_warnings_stay(large: Source, tmp_path: Path) -> None:
    """Runs with a warning each, on a terminal: the warning is complete, and nothing of the progress is left."""
    token = large.options[-1]
    for place in range(5):
        Path(token).chmod(0o644)
        shown = on_terminal(80, "sync", "--database-url", f"sqlite:///{tmp_path}/{place}.db", *large.options)
        text = "".join(shown)
        assert f"{token} is readable by every user of this machine" in text
        assert "listing" not in text
        assert "0:00:0" not in text
        assert sum(line.startswith("Run ") for line in shown) == 1
    Path(token).chmod(0o600)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.fault("G08")
def test_an_error_is_folded_between_words(width: int, vnsync: Run) -> None:
    """A word of an error is never cut at the edge; off a terminal the error is one line."""
    arguments = ("status", "--max-age", "soon-or-later-but-not-now")
    plain = vnsync(*arguments).error
    shown = on_terminal(width, *arguments, code=2)
    assert " ".join(shown).split() == plain.split()
    assert max(map(len, shown)) <= width


HELP = [[], *([name] for name in sorted(ALL)), ["db", "downgrade"], ["db", "rebind"], ["archive", "erase"]]


@pytest.mark.parametrize("words", HELP, ids=" ".join)
@pytest.mark.fault("G08")
def test_help_fits_the_terminal(words: list[str], vnsync: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """No word of a help page is cut at the edge; only commands and settings to copy may be wider."""
    told = vnsync(*words, "--help").out.split()
    for width in WIDTHS:
        monkeypatch.setenv("COLUMNS", str(width))
        lines = vnsync(*words, "--help").out.splitlines()
        wide = [line for line in lines if len(line) > width]
        assert all(re.match(r"\s+(vnsync|VNSYNC_|export|\w+ = )", line) for line in wide)
        assert " ".join(lines).split() == told


@pytest.mark.fault("G08")
def test_a_comparison_begins_below_no_progress(large: Source, tmp_path: Path) -> None:
    """`replay --diff` prints its table after the progress line is erased, from the first column on."""
    where, archive = ("--database-url", f"sqlite:///{tmp_path / 'w.db'}"), tmp_path / "archive"
    on_terminal(80, "sync", "--archive", archive, *where, *large.options)
    shown = on_terminal(80, "replay", archive, "--diff", *where)
    assert shown[0].startswith("account ")
    assert "0:00:0" not in "".join(shown)


# -- the layout functions, without a terminal

FIGURES = Table(
    ["account", "numbers", "note"],
    [[12001, "10 844", "held because more numbers were gone than allowed"]],
    frozenset({"account", "numbers"}),
)


@pytest.mark.parametrize(
    ("room", "widths"),
    [(120, [7, 7, 48]), (66, [7, 7, 48]), (65, [7, 7, 47]), (42, [7, 7, 24]), (41, None), (10, None)],
)
@pytest.mark.fault("G08")
def test_only_text_is_folded(room: int, widths: list[int] | None) -> None:
    """Columns of figures keep their width; a text column shrinks to 24 cells; with less there is no table."""
    assert fitting(FIGURES, room) == widths


@pytest.mark.fault("G08")
def test_a_repeated_value_is_shown_once_in_a_table_and_in_every_block() -> None:
    """The account of several rows is shown in the first; each block repeats it, to be understood alone."""
    table = Table(["account", "what"], [[7, "a"], [7, "b"], [8, "a"]], once=["account"])
    assert table.lines() == [["7", "a"], ["", "b"], ["8", "a"]]
    assert table.cells() == [["7", "a"], ["7", "b"], ["8", "a"]]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a word or two", ["a word or", "two"]),
        ("run `vnsync sync --account 7` now", ["run", "`vnsync sync --account 7`", "now"]),
        ("  deep down below", ["  deep down", "    below"]),
        ("anunbreakableword x", ["anunbreakableword", "x"]),
    ],
)
@pytest.mark.fault("G08")
def test_sentences_are_folded_between_words(text: str, lines: list[str]) -> None:
    """A command in backticks is never broken, for any length."""
    assert folded(text, 11).split("\n") == lines
