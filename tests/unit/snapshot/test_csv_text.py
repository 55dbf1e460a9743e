"""CSV for spreadsheets: nothing in it is a formula, and nothing is lost."""

from __future__ import annotations

import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.snapshot.csv_text import harmless, line, original
from tests.support.sqlish import SQLISH

HOSTILE = [
    "=1+1", "+7495", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", '"=1', "'=1", "'", "''", "＝1",
    "x;=cmd|'/c calc'!A0",
    "x\t=1", "x\n-1", ";;=1", ";'=1", "x';'", '";=1', "a,=1", "", " ", "plain", "x; +7", "\u00a0=1",
]  # fmt: skip


@pytest.mark.parametrize("text", [*HOSTILE, *SQLISH])
def test_a_field_survives_the_way_out_and_back(text: str) -> None:
    """A field read by a CSV reader, without the apostrophes of the documented rule, is the original text."""
    (row,) = csv.reader(io.StringIO(line([1, text]), newline=""))
    assert (row[0], original(row[1])) == ("1", text)


@given(st.text(alphabet=st.sampled_from(list("=+-@\t\r\n;'\", ax\u00a0＝"))))
def test_neutralising_can_always_be_undone(text: str) -> None:
    """Whatever mixture of signs: one apostrophe less at each place gives the original."""
    assert original(harmless(text).replace('""', '"')) == text


@given(st.text(alphabet=st.sampled_from(list("=+-@\t\r\n;'\" ax"))))
def test_no_cell_begins_with_a_formula(text: str) -> None:
    """Neither at the beginning nor where a spreadsheet of another country would cut the text."""
    for cell in re.split("[;\t\r\n]", harmless(text)):
        assert not re.match('[ "]*[=+\\-@]', cell)


def test_null_and_empty_text_differ() -> None:
    """Null is nothing, empty text is two quotes; figures and truth values are bare."""
    assert line([None, "", 0, True, False, "a"]) == ',"",0,true,false,"a"\n'
