"""Spellings: text is folded to one spelling, so that a word is found in it in any escaping and any letter case.

Folding removes the escapes of JSON, URLs, HTML and program code (`\\/`, `\\u002f`, `%2F`, `%252f`, `&#47;`, `\\x2f`),
and letter case. The word is folded as well, so one search finds every spelling.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

IN_A_ROW = 12
"""Fewest characters of a word that reveal it: so many in a row are found anywhere; a shorter word only as a whole."""
_ANCHOR = 6
_STRIDE = IN_A_ROW - _ANCHOR + 1
"""Any `IN_A_ROW` characters contain `_ANCHOR` that begin at a multiple of this, so few searches find all parts."""
_PASSES = 4
"""How many kinds of escape may be nested; repeated escapes of the same kind count as one."""
_HEX = rb"[0-9a-fA-F]"
_UNITS = rb"[uU](%b{4}) (?: \\++ u([dD][c-fC-F]%b{2}) )?" % (_HEX, _HEX)
_ASCII_UNIT = rb"[uU](00[0-7]%b)(\Z\Z)?" % _HEX
_AFTER_BACKSLASH = rb"[xX](%b{2}) | (?![uU]%b{4})([^\\]|\Z)" % (_HEX, _HEX)
_OTHERS = rb"""
      %% (?:25)* (%b{2})
    | & (?:amp;)* (?: \#0*([0-9]{1,7}) | \#[xX]0*(%b{1,6}) | (quot|apos|lt|gt|amp|sol) ) ;
    | \+
""" % (_HEX, _HEX)
_WIDE, _NARROW = (
    re.compile(rb"\\ \\*+ (?: %b | %b ) | %b" % (unit, _AFTER_BACKSLASH, _OTHERS), re.VERBOSE)
    for unit in (_UNITS, _ASCII_UNIT)
)
"""Escapes. The narrow pattern ignores those of letters outside ASCII, of which whole answers may consist."""
_WINDOW, _OVERLAP = 65_536, 8_192
"""Bytes that are searched for places at once, which bounds the memory; a place lies completely in one such piece."""
_MARKS = (b"\\", b"%", b"&", b"+")
_NAMED = {b"quot": b'"', b"apos": b"'", b"lt": b"<", b"gt": b">", b"amp": b"&", b"sol": b"/"}
_LETTER = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
"""A character outside ASCII, in UTF-8."""


class Part(NamedTuple):
    """Place in a text: from byte `begin` up to `end`."""

    begin: int
    end: int


@dataclass(frozen=True)
class Word:
    """Word to search for, folded. `anchors`: pieces of it; every part that counts contains one of them."""

    folded: bytes = field(repr=False)
    anchors: tuple[tuple[int, bytes], ...] = field(repr=False)

    @classmethod
    def of(cls, word: str) -> Word:
        """The word to search for. If folding leaves nothing of it, nothing is found."""
        folded = fold(word.encode("utf-8", "surrogatepass"))
        size = min(_ANCHOR, len(folded))
        begins = range(0, len(folded) - size + 1 if size else 0, _STRIDE)
        if len(folded) < IN_A_ROW:
            begins = begins[:1]
        return cls(folded, tuple((begin, folded[begin : begin + size]) for begin in begins))


def fold(text: bytes, *, wide: bool = True) -> bytes:
    """UTF-8 text without escapes and letter case. Not `wide`: letters outside ASCII keep both."""
    pattern = _WIDE if wide else _NARROW
    for _ in range(_PASSES if any(mark in text for mark in _MARKS) else 0):
        plain = pattern.sub(_meaning, text)
        if plain == text:
            break
        text = plain
    if not wide or text.isascii():
        return text.lower()
    return text.decode("utf-8", "surrogateescape").casefold().encode("utf-8", "surrogateescape")


def holds(text: bytes, words: Sequence[Word]) -> bool:
    """Whether a text contains one of the words, or `IN_A_ROW` characters of one."""
    folded = fold(text, wide=_is_wide(words))
    return any(True for word in words for _ in _places(folded, word))


def parts_of(text: bytes, words: Sequence[Word]) -> list[Part]:
    """Places of the words, and of `IN_A_ROW` characters of them, in a text; in order.

    A place begins and ends between escapes. No two places touch. A spelling longer than `_OVERLAP` may be missed.
    """
    found: list[Part] = []
    wide = _is_wide(words)
    for begin in range(0, max(1, len(text)), _WINDOW):
        window = text[begin : begin + _WINDOW + _OVERLAP]
        folded = fold(window, wide=wide)
        if parts := [part for word in words for part in _places(folded, word)]:
            at = _origins(window, wide=wide)
            found += [_whole(text, begin + at[part.begin], begin + at[part.end]) for part in parts]
    return _united(found)


def _is_wide(words: Sequence[Word]) -> bool:
    return not all(word.folded.isascii() for word in words)


def _places(folded: bytes, word: Word) -> Iterator[Part]:
    least = min(IN_A_ROW, len(word.folded))
    for offset, anchor in word.anchors:
        at = folded.find(anchor)
        while at >= 0:
            part = _grown(folded, at, word.folded, offset)
            if part.end - part.begin >= least:
                yield part
            at = folded.find(anchor, at + 1)


def _grown(folded: bytes, at: int, word: bytes, offset: int) -> Part:
    """Everything that the text and the word have in common around a place where they agree."""
    begin, end, low, high = at, at, offset, offset
    while begin and low and folded[begin - 1] == word[low - 1]:
        begin, low = begin - 1, low - 1
    while high < len(word) and folded[end : end + 1] == word[high : high + 1]:
        end, high = end + 1, high + 1
    return Part(begin, end)


def _whole(text: bytes, begin: int, end: int) -> Part:
    """The place, extended to whole characters."""
    while begin and text[begin] & 0xC0 == 0x80:
        begin -= 1
    while end < len(text) and text[end] & 0xC0 == 0x80:
        end += 1
    return Part(begin, end)


def _united(parts: Iterable[Part]) -> list[Part]:
    united: list[Part] = []
    for part in sorted(parts):
        if united and part.begin <= united[-1].end:
            united[-1] = Part(united[-1].begin, max(part.end, united[-1].end))
        else:
            united.append(part)
    return united


def _origins(text: bytes, *, wide: bool) -> list[int]:
    """Origin of each byte of the folded text, and of its end."""
    at = list(range(len(text) + 1))
    for _ in range(_PASSES):
        text, at = _replaced(_WIDE if wide else _NARROW, _meaning, text, at)
    return _replaced(_LETTER, _cased, text.lower(), at)[1] if wide else at


def _replaced(
    pattern: re.Pattern[bytes], meaning: Callable[[re.Match[bytes]], bytes], text: bytes, at: list[int]
) -> tuple[bytes, list[int]]:
    """The text with what the pattern matches replaced by its meaning, and the origin of each byte."""
    made: list[bytes] = []
    origins: list[int] = []
    last = 0
    for match in pattern.finditer(text):
        replacement = meaning(match)
        made += [text[last : match.start()], replacement]
        origins += [*at[last : match.start()], *[at[match.start()]] * len(replacement)]
        last = match.end()
    return b"".join([*made, text[last:]]), [*origins, *at[last:]]


def _meaning(escape: re.Match[bytes]) -> bytes:
    unit, low, byte, plain, percent, decimal, hexadecimal, name = escape.groups()
    if plain is not None:
        return plain
    if name:
        return _NAMED[name]
    if byte or percent:
        return bytes((int(byte or percent, 16),))
    if unit:
        return _of_units(unit, low)
    if decimal or hexadecimal:
        return _utf8(int(decimal) if decimal else int(hexadecimal, 16))
    return b" "  # in the query of a URL a plus sign means a space


def _of_units(unit: bytes, low: bytes | None) -> bytes:
    """Character of one or two UTF-16 units; two units that are no pair stay two."""
    text = bytes.fromhex((unit + (low or b"")).decode()).decode("utf-16-be", "surrogatepass")
    return text.encode("utf-8", "surrogatepass")


def _utf8(number: int) -> bytes:
    return chr(number).encode("utf-8", "surrogatepass") if number < 0x110000 else b""


def _cased(letter: re.Match[bytes]) -> bytes:
    try:
        return letter[0].decode().casefold().encode()
    except UnicodeDecodeError:
        return letter[0]
