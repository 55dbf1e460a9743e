"""The canonical text of values, against literal examples: what two databases and a third party must all write."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest

from etl.domain.canonical import digest_of_fields, field, json_text
from etl.domain.chain import Change, Lines, Link, moment


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "\\N"),
        (True, "t"),
        (False, "f"),
        (0, "0"),
        (-5, "-5"),
        ("", ""),
        ("\\N", "\\\\N"),
        ("a\tb\nc\rd\be\ff\vg\\h", "a\\tb\\nc\\rd\\be\\ff\\vg\\\\h"),
        ("Осень \u2400\x7f\x01", "Осень \u2400\x7f\x01"),
    ],
)
def test_a_field(value: object, text: str) -> None:
    """Null is not the text that looks like it, and no value holds a tab or a newline."""
    assert field(value) == text


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        ('{"bb":1,"a":[1,2.50,null,true],"é":{}}', '{"a": [1, 2.50, null, true], "bb": 1, "é": {}}'),
        ("1e2", "100"),
        ("1.5e-10", "0.00000000015"),
        ("-0.0", "0.0"),
        ("-0.50", "-0.50"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ('"\\u0001\\u001f\\u007f\\"\\\\/\\n\\b\\f\\r\\t"', '"\\u0001\\u001f\x7f\\"\\\\/\\n\\b\\f\\r\\t"'),
        ("[]", "[]"),
        ("no json", "no json"),
        ("NaN", "NaN"),
    ],
)
def test_json_as_jsonb_writes_it(sent: str, text: str) -> None:
    """Names by length, then by bytes; numbers without exponent; text that is not JSON stays unchanged."""
    assert json_text(sent) == text


def test_the_digest_of_fields_is_that_of_their_line() -> None:
    """Tabs between the fields and no newline at the end."""
    assert digest_of_fields("+7", None, "a\nb") == hashlib.sha256(b"+7\t\\N\ta\\nb").hexdigest()


def test_a_link_to_the_byte() -> None:
    """The first link of an account with one section, written out."""
    lines = Lines()
    lines.extend([b"1\t\\N\n", b"2\tx\n"])
    section = lines.section("sites", Change.OPENED)
    link = Link(
        previous=None,
        account_id=7,
        observed=moment(datetime(2026, 1, 5, 6, 7, 8, 9, tzinfo=UTC)),
        account_name="A\tB",
        timezone=None,
    )
    inner = hashlib.sha256(b"1\t\\N\n2\tx\n").hexdigest()
    text = (
        "vnsync chain 1\nprevious \naccount 7\nobserved 2026-01-05 06:07:08.000009\nname A\\tB\ntimezone \\N\n"
        f"opened sites 2 {inner}\n"
    )
    assert link.text([section]) == text
    assert link.digest([section]) == hashlib.sha256(text.encode()).hexdigest()


def test_lines_one_by_one_or_many_at_once() -> None:
    """How the lines were handed over changes nothing; their order does."""
    some = [f"{n}\tx\n".encode() for n in range(50)]
    one, many, turned = Lines(), Lines(), Lines()
    for line in some:
        one.add(line)
    many.extend(some[:20])
    many.extend(some[20:])
    turned.extend(some[::-1])
    made = [lines.section("sites", Change.CLOSED) for lines in (one, many, turned)]
    assert made[0] == made[1]
    assert made[2].digest != made[0].digest
    assert made[2].locator != made[0].locator
