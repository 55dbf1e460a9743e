"""S09: names and errors from the source that look like markup, scripts, styles, links or formulas in the report."""

from __future__ import annotations

import re
import shutil
import unicodedata
from html.parser import HTMLParser
from itertools import cycle
from pathlib import Path

import pytest
from sqlalchemy import Engine

from etl.sandbox import faults
from etl.sandbox.world import CustomerPlan, World
from etl.store.engine import open_warehouse
from tests.support.rig import Rig
from tests.support.running import Run

pytestmark = pytest.mark.usefixtures("clean")

EVIL = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    '" autofocus onfocus=alert(1) x="',
    "</style><style>*{display:none}</style>",
    "</title></head><body onload=alert(1)>",
    "<!-- <b>",
    "--><b>",
    "]]><b>",
    "</svg><svg onload=alert(1)>",
    '<a href="javascript:alert(1)">x</a>',
    "javascript:alert(1)",
    "data:text/html;base64,PHNjcmlwdD4=",
    '<meta http-equiv="refresh" content="0;url=//example.com">',
    '<iframe srcdoc="<script>alert(1)</script>">',
    "&lt;script&gt;&#60;script&#62;",
    "＜script＞alert(1)＜/script＞",
    "`${alert(1)}` {{7*7}} [x](javascript:alert(1)) <!channel>",
    "a\x00<\x00script>",
    "x\u2028<b>\u2029y\x85z\r\n<b>",
    "safe\u202egnp.exe\u202c\u2066x\u2069\u200f",
    "a\u200b\u200d\ufeff\u00ad\u3164b",
    "\x1b[2J<b>\x07",
    "\u0338<b",
    "\U000e0001\ue000\uffff<b>",
    '=HYPERLINK("http://example.com","x")',
    "+cmd|' /C calc'!A0",
    "@SUM(1)",
    "-2+3",
    "\u00a0\t=1+1",
    "<b>" * 200,
)
PLAIN = tuple(f"name {i}" for i in range(len(EVIL)))

PARTS = {
    *("html", "head", "meta", "title", "style", "body", "header", "main", "footer", "section", "div", "p", "span", "b"),
    *("h1", "h2", "h3", "text", "ul", "li", "code", "br", "small", "table", "thead", "tbody", "tr", "th", "td"),
    *("nav", "a", "svg", "rect", "path", "line"),
}


class Page(HTMLParser):
    """A page as a browser parses it: its elements with their attributes, and the text of each cell."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.cells: list[str] = []
        self.strange: list[str] = []
        self.style = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(attrs)))
        self._open.append(tag)
        if tag in ("td", "th", "small", "li"):
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "style":
            self.style += data
        elif self.cells:
            self.cells[-1] += data

    def handle_comment(self, data: str) -> None:
        self.strange.append(data)

    def handle_pi(self, data: str) -> None:
        self.strange.append(data)

    def unknown_decl(self, data: str) -> None:
        self.strange.append(data)


def _named(engine: Engine, names: tuple[str, ...]) -> int:
    """One account of a warehouse in which every name is one of these, and one account's error contains them all."""
    plans = [CustomerPlan(numbers=3, name=name, campaigns=2) for name in names[::3]]
    rig = Rig(World(seed=1, customers=plans, role="agent", edition="newer"), engine)
    assert rig.sync().exit_code == 0
    for i, account in enumerate(rig.world.customer_ids):
        following = cycle(names[i:] + names[:i])
        for kind in ("campaign", "site", "block", "scenario"):
            for each in getattr(rig.world, f"{kind}_ids")(account):
                getattr(rig.world, f"rename_{kind}")(account, each, next(following))
        for number in rig.world.numbers(account):
            name = next(following)
            rig.world.edit(account, number, comment=name, status=name, **{name: name})
    assert rig.sync().exit_code == 0
    blocked, strange = rig.world.customer_ids[3], rig.world.customer_ids[4]
    users = rig.world.user_ids(blocked)
    worst = faults.error(names[0], field=names[1], value=names[2], message="".join(names), helper=names[4])
    rig.api.faults.add(worst, times=None, when=lambda request: request.params.get("user_id") in users)
    rig.world.edit(strange, rig.world.numbers(strange)[0], campaigns=names[0])
    assert rig.sync().exit_code == 3
    return strange


def _report(vnsync: Run, url: str, out: Path, *options: object) -> str:
    done = vnsync("report", "--database-url", url, "--out", out, *options)
    assert (done.code, done.err) == (0, "")
    return out.read_text(encoding="utf-8")


_pages: dict[str, list[tuple[str, str]]] = {}
"""The pages of each database: no test changes them, so each process makes them once."""


@pytest.fixture
def pages(database: str, request: pytest.FixtureRequest, tmp_path: Path, vnsync: Run) -> list[tuple[str, str]]:
    """Reports of a warehouse with hostile names and of one with harmless ones; then those of one account each."""
    if database not in _pages:
        url, empty = request.getfixturevalue("warehouse_url"), request.getfixturevalue("sqlite_template")
        _pages[database] = _made_pages(url, empty, tmp_path, vnsync)
    return _pages[database]


def _made_pages(warehouse_url: str, sqlite_template: Path, tmp_path: Path, vnsync: Run) -> list[tuple[str, str]]:
    harmless = tmp_path / "harmless.db"
    shutil.copy(sqlite_template, harmless)
    told: list[tuple[str, str]] = []
    for url, names in ((warehouse_url, EVIL), (f"sqlite:///{harmless}", PLAIN)):
        account = _named(open_warehouse(url), names)
        out = tmp_path / "page.html"
        told.append((_report(vnsync, url, out), _report(vnsync, url, out, "--account", account)))
    return list(zip(*told, strict=True))


@pytest.mark.fault("S09")
def test_data_makes_no_element_and_no_attribute(pages: list[tuple[str, str]]) -> None:
    """The page with hostile names has the same elements and attributes as that with harmless ones."""
    for evil, plain in (map(Page, pair) for pair in pages):
        assert evil.elements == plain.elements
        assert evil.strange == plain.strange == []
        assert {tag for tag, _ in evil.elements} <= PARTS
        assert not [name for _, attributes in evil.elements for name, _ in attributes if re.match("on|style|src", name)]
        links = [v for _, attributes in evil.elements for name, v in attributes if name in ("href", "xlink:href")]
        assert all(re.fullmatch(r"#[a-z]+(-\d+)?", str(link)) for link in links)
        assert evil.style == plain.style


@pytest.mark.fault("S09")
def test_the_policy_allows_the_style_sheet_alone(pages: list[tuple[str, str]]) -> None:
    """The policy forbids scripts, pictures, connections, forms and a base URL."""
    for page in (Page(text) for pair in pages for text in pair):
        (policy,) = [dict(a)["content"] for _, a in page.elements if ("http-equiv", "Content-Security-Policy") in a]
        rules = dict(rule.strip().split(" ", 1) for rule in str(policy).split(";"))
        assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
        assert re.fullmatch(r"'sha256-[A-Za-z0-9+/]{43}='", rules["style-src"])
        assert [name for name in rules if name.endswith("-src")] == ["default-src", "style-src"]
        assert not re.search(r"url\(|@import|expression", page.style)


@pytest.mark.fault("S09")
def test_nothing_in_it_hides_reorders_or_calculates(pages: list[tuple[str, str]]) -> None:
    """Control, bidi and invisible characters are escaped; no cell begins as a formula; all texts are still shown."""
    page = pages[0][0] + pages[1][0]
    bad = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert not [c for c in page if (unicodedata.category(c) in bad and c != "\n") or c in "\u3164\u115f\u2800\u034f"]
    cells = Page(page).cells
    assert not [cell for cell in cells if re.match(r"\s*[=+\-@|%＝＋－＠]", cell)]
    told = "\n".join(cells)
    for words in (EVIL[0], EVIL[3], EVIL[9], "&lt;script&gt;", "a\\u200b\\u200d", "\\U000e0001", '"@SUM(1)"'):
        assert words in told
