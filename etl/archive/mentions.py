"""Search for one number in text of any form: its id, its phones and its texts, in any spelling.

For text that cannot be divided into fields. Escapes of JSON, HTML and URLs are decoded, white space within phones is
ignored, words that look like base64 or hex are decoded, and text with two or four bytes per character is read too.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
from collections.abc import Iterator
from decimal import Decimal
from urllib.parse import unquote

from msgspec import Struct, field
from msgspec.structs import replace

from etl.domain import json_spans

LARGEST_SEARCHED = 4 * 2**20
"""Maximum size of text that is searched, in bytes. Larger text counts as a mention, so that a search is small."""
_ROUNDS = 3
"""How many nested levels of escapes are decoded: JSON within a text of JSON, in a URL."""
_ESCAPE = re.compile(r'\\(?:u([0-9a-fA-F]{4})|(["\\/]))')
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_EXPONENT = re.compile(r"[0-9.]{1,40}[eE][+-]?[0-9]{1,3}(?![0-9])")
_ENCODED = re.compile(r"[A-Za-z0-9+/_-]{12,}={0,2}")
_WITHIN_PHONES = re.compile(r"[\s().+\-\u2010-\u2015]+")
_PLAIN_WORD = re.compile("[a-z_]*")
_PHONE_DIGITS = 10
"""Number of last digits of a phone that are compared: before them stands 7, 8 or nothing."""
_SHORTEST_PHONE = 5
_SHORTEST_TEXT = 5


class Sought(Struct):
    """Number to search for: its id, and the phones and texts of its records.

    `owner`: in answers of another customer, only records that name this customer count; otherwise None.
    """

    number_id: int
    owner: int | None = None
    phones: set[str] = field(default_factory=set)
    texts: set[str] = field(default_factory=set)

    def only_of(self, customer: int) -> Sought:
        """Same target for answers of another customer: only records that name `customer` count."""
        return replace(self, owner=customer)

    def learn(self, token: bytes) -> None:
        """Add the value of a personal field, a JSON text or number, to the search."""
        text = json_spans.decoded_string(token) if token[:1] == b'"' else token.decode("latin-1")
        digits = re.sub("[^0-9]", "", text)
        if len(digits) >= _SHORTEST_PHONE and len(_WITHIN_PHONES.sub("", text)) <= len(digits) + 1:
            self.phones.add(digits[-_PHONE_DIGITS:])
        elif token[:1] == b'"' and len(text.strip()) >= _SHORTEST_TEXT and not _PLAIN_WORD.fullmatch(text):
            self.texts.add(text.strip().casefold())

    def is_mentioned_in(self, text: bytes) -> bool:
        """Whether the text mentions the number: by its id as a separate number, by a phone, or by a text."""
        found = (self._has_id(layer) or self._has_value(layer) for layer in _layers(text))
        return len(text) > LARGEST_SEARCHED or any(found)

    def has_values_in(self, text: bytes) -> bool:
        """Whether the text contains a phone or text of the number."""
        if not self.phones and not self.texts:
            return False
        return len(text) > LARGEST_SEARCHED or any(self._has_value(layer) for layer in _layers(text))

    def is_named_in(self, text: bytes) -> bool:
        """Whether any `id` member within the text, also one of a nested object or text, is the number's id."""
        named = re.compile(rf"(?<![A-Za-z0-9_])id[\"'\s]*[:=][\"'\s]*0*{self.number_id}(?![0-9])", re.IGNORECASE)
        return len(text) > LARGEST_SEARCHED or any(named.search(layer) for layer in _layers(text))

    def equals(self, token: bytes) -> bool:
        """Whether a JSON text or number is the number's id, in any spelling."""
        text = json_spans.decoded_string(token) if token[:1] == b'"' else token.decode("latin-1")
        return _number(text.strip()) == self.number_id

    def _has_id(self, text: str) -> bool:
        digits = re.search(rf"(?<![0-9])0*{self.number_id}(?![0-9])", text)
        return digits is not None or any(_number(m) == self.number_id for m in _EXPONENT.findall(text))

    def _has_value(self, text: str) -> bool:
        folded, squeezed = text.casefold(), _WITHIN_PHONES.sub("", text)
        return any(t in folded for t in self.texts) or any(_stands_in(p, squeezed) for p in self.phones)


def _stands_in(phone: str, text: str) -> bool:
    alone = len(phone) < _PHONE_DIGITS
    return re.search(rf"(?<![0-9]){phone}(?![0-9])" if alone else phone, text) is not None


def _number(text: str) -> Decimal | None:
    return Decimal(text) if re.fullmatch(r"[+-]?[0-9]{1,40}(\.[0-9]{0,40})?([eE][+-]?[0-9]{1,3})?", text) else None


def is_unreadable(text: bytes) -> bool:
    """Whether the bytes cannot be searched as text: another encoding, or compressed data."""
    try:
        return _CONTROL.search(text.removeprefix(b"\xff\xfe").replace(b"\0", b"").decode()) is not None
    except UnicodeDecodeError:
        return True


def _layers(text: bytes) -> Iterator[str]:
    """Text with its escapes decoded, then the decoded form of each word that looks like base64 or hex."""
    plain = _unescaped(text.replace(b"\0", b"").decode("utf-8", "surrogateescape"))
    yield plain
    for word in _ENCODED.findall(plain):
        yield from (_unescaped(inner.replace(b"\0", b"").decode("latin-1")) for inner in _decodings(word))


def _unescaped(text: str) -> str:
    for _ in range(_ROUNDS):
        new = _ESCAPE.sub(_escaped, text) if "\\" in text else text
        new = html.unescape(new) if "&" in new else new
        new = unquote(new, errors="surrogateescape") if "%" in new else new
        if new == text:
            break
        text = new
    return text


def _escaped(found: re.Match[str]) -> str:
    return chr(int(found[1], 16)) if found[1] else found[2]


def _decodings(word: str) -> Iterator[bytes]:
    base = word.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        yield base64.b64decode(base + "=" * (-len(base) % 4))
        yield bytes.fromhex(word)
    except (ValueError, binascii.Error):
        return
