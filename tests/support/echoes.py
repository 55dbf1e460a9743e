"""Places in an answer where a source may echo a word, and spellings of the echo."""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

from etl.sandbox import faults

AS_ITS_OWN = "as it is"


def places(said: str, word: str = "") -> dict[str, tuple[faults.Fault, int]]:
    """By place, an answer that contains `said`, and the exit code of a sync that gets it. `word`: the original word."""
    word, page = word or said, b"<html><body>your request: {access_token: %b}</body></html>" % said.encode()
    return {
        "invalid": (faults.error("access_token_invalid", value=said, message=f"no such key: {said}"), 77),
        "forbidden": (faults.error("forbidden", field=said, message=f"{said} may not"), 77),
        "unknown": (faults.error(said, message="?"), 65),
        "whitelist": (faults.error("ip_not_whitelisted", value=said, params={"ip": said}), 77),
        "bare": (faults.error("error", message=f"{said!r}", bare=True), 65),
        "internal": (faults.error("internal_error", message=f"trace: {{'access_token': {said!r}}}"), 69),
        "filter": (faults.error("filter_prohibited", field="limit", value=said, message=said), 65),
        "page": (faults.http(200, page), 69),
        "page_cut_in_the_key": (faults.http(200, b"<" * (80 - len(word) + 4) + said.encode()), 69),
        "message_cut_in_the_key": (faults.error("error", message="x" * 255 + said), 65),
        "error_page": (faults.http(403, page), 77),
        "gateway": (faults.http(502, page), 69),
        "status_400": (faults.http(400, page), 78),
        "redirect": (faults.redirect(f"https://elsewhere.example/{said}?key={said}#{said}"), 78),
        "redirect_user": (faults.redirect(f"https://u:{said}@elsewhere.example/"), 78),
        "redirect_nowhere": (faults.redirect(f"https://[{said}/"), 78),
        "encoding": (faults.http(200, b"{}", Content_Encoding=said), 65),
        "result": (faults.reshape(result=said), 65),
        "reply_id": (faults.ReplyId(said), 69),
        "total": (faults.TotalItems(said), 65),
    }


def more_places(said: str) -> dict[str, tuple[faults.Fault, int]]:
    """Places where the bytes of an answer are the spelling itself, and places that do not end a sync."""
    no_json = 0 if _fits_json(said) else 65
    raw = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"no %b","data":{"mnemonic":"%b"}}}'
    twice = b'{"%b":1,"%b":2,"jsonrpc":"2.0","id":null}'
    plain, sent = "application/json", said.encode()
    return {
        "raw_error": (
            faults.http(200, raw % (b'\\"%b\\"' % sent, b"internal_error"), content_type=plain),
            no_json or 69,
        ),
        "raw_mnemonic": (faults.http(200, raw % (b"", sent), content_type=plain), 65),
        "raw_error_of_502": (faults.http(502, raw % (sent, b"forbidden"), content_type=plain), no_json or 77),
        "name_twice": (faults.http(200, twice % (sent, sent), content_type=plain), 65),
        "page_that_says_result": (faults.http(200, b'<p>"result": {"data": [%b]}</p>' % sent), 69),
        "error_beside_a_result": (faults.reshape(error={"code": -32001, "message": said}), 65),
        "deprecated": (faults.Deprecated(latest=said), 0),
        "limits": (faults.Limits({said: said}), 0),
    }


def _fits_json(said: str) -> bool:
    """Whether the text may stand between quotes in JSON."""
    try:
        json.loads(f'"{said}"')
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class Spelling:
    """Spelling of a word: each character by itself, then the whole. `first`: the count of characters that are sent."""

    character: Callable[[str], str]
    first: int = 1000

    def of(self, word: str) -> str:
        """The word, spelled."""
        return "".join(map(self.character, word[: self.first]))

    def traces(self, word: str, length: int) -> set[str]:
        """Texts that must be nowhere: each `length` successive characters, spelled."""
        told = word[: self.first]
        return {"".join(map(self.character, told[i : i + length])) for i in range(len(told) - length + 1)}


def _json_escaped(character: str) -> str:
    return f"\\u{ord(character):04x}"


def _either_way(character: str) -> str:
    """Letters in the other case, digits as character references of HTML, others as in a URL in JSON."""
    if character.isalpha():
        return character.swapcase()
    return f"&#x{ord(character):X};" if character.isdigit() else _bytes("%25", character)


def _bytes(mark: str, character: str) -> str:
    """Each byte of the character in hex, after the mark."""
    return "".join(f"{mark}{byte:02x}" for byte in character.encode())


SPELLINGS = {
    AS_ITS_OWN: Spelling(str),
    "slashes": Spelling(lambda c: "\\/" if c == "/" else c),
    "escapes": Spelling(_json_escaped),
    "escapes of capitals": Spelling(lambda c: f"\\u{ord(c):04X}" if not c.isalnum() else c),
    "percent": Spelling(lambda c: quote(c, safe="")),
    "percent of all": Spelling(lambda c: _bytes("%", c)),
    "percent twice": Spelling(lambda c: quote(quote(c, safe=""), safe="")),
    "html": Spelling(lambda c: html.escape(c) if c.isalnum() else f"&#{ord(c)};"),
    "program": Spelling(lambda c: _bytes("\\x", c)),
    "json in json": Spelling(lambda c: json.dumps(json.dumps("\\/" if c == "/" else c))[3:-3]),
    "capitals": Spelling(str.upper),
    "small letters": Spelling(str.lower),
    "turned": Spelling(_either_way),
    "first twelve": Spelling(str, first=12),
}
