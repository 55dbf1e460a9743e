"""Inputs of fuzzing: correct answers of the Data API, spoiled in their structure and then in their bytes.

Everything is drawn from one seeded generator, so a seed and an index give the same bytes again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

REQUEST_ID = 7
DEEP = (10, 63, 64, 65, 200, 900, 1200, 20_000)


@dataclass(frozen=True)
class Token:
    """Text that is written unchanged, JSON or not."""

    text: bytes


class Members(list[Any]):
    """An object as a list of names and values, so that a name may come twice."""


def _tree(value: Any) -> Any:
    if isinstance(value, dict):
        return Members([name, _tree(item)] for name, item in value.items())
    return [_tree(item) for item in value] if isinstance(value, list) else value


def _dump(node: Any, style: _Style) -> bytes:
    if isinstance(node, Token):
        return node.text
    if isinstance(node, Members):
        pairs = (_dump(name, style) + style.colon + _dump(value, style) for name, value in node)
        return b"{" + style.comma.join(pairs) + b"}"
    if isinstance(node, list):
        return b"[" + style.comma.join(_dump(item, style) for item in node) + b"]"
    return json.dumps(node, ensure_ascii=style.escaped).encode("utf-8", "surrogatepass")


@dataclass(frozen=True)
class _Style:
    comma: bytes
    colon: bytes
    escaped: bool


_STYLES = (
    _Style(b",", b":", False),
    _Style(b", ", b": ", True),
    _Style(b",\n\t", b" :\r\n", False),
    _Style(b",", b":", True),
)

# -- correct records

_TEXTS = ("", "Осень", 'a"b\\c', "null", "\u2400", "e\u0301", "\U0001f600", '":', '{"id":1}', "\u0000", "x" * 300)


def _text(rng: Random) -> str:
    return rng.choice(_TEXTS) if rng.random() < 0.5 else f"text {rng.randrange(50)}"


def _block(rng: Random) -> dict[str, Any]:
    return {"site_block_id": rng.randrange(9), "site_block_name": _text(rng), "is_tracking": rng.random() < 0.5}


def _campaign(rng: Random) -> dict[str, Any]:
    site = {"site_id": rng.randrange(5), "site_domain_name": _text(rng)}
    blocks = [_block(rng) for _ in range(rng.choice((0, 1, 1, 3)))]
    return {"campaign_id": rng.randrange(9), "campaign_name": _text(rng), **site, "site_blocks": blocks}


def _scenario(rng: Random, newer: bool) -> dict[str, Any]:
    more = {"call_processing_rule_id": rng.randrange(9), "is_active": rng.choice((True, False, None))} if newer else {}
    return {"scenario_id": rng.randrange(9), "scenario_name": _text(rng), **more}


def _record(rng: Random, newer: bool) -> dict[str, Any]:
    more = {"child_customer_id": rng.choice((None, 5)), "comment": _text(rng), "name": None} if newer else {}
    return {
        "id": rng.choice((rng.randrange(20), rng.getrandbits(62))),
        "virtual_phone_number": f"7495{rng.randrange(10**7):07d}",
        "redirection_phone_number": rng.choice((None, "78001234567")),
        "activation_date": rng.choice((None, "2026-03-29 01:30:00")),
        "status": rng.choice(("active", "waiting")),
        "category": "usual",
        "type": "va",
        "campaigns": [_campaign(rng) for _ in range(rng.choice((0, 1, 1, 2)))],
        "scenarios": [_scenario(rng, newer) for _ in range(rng.choice((0, 1, 2)))],
        **more,
    }


_LIMITS = {
    f"{span}_{what}": n for span, n in (("day", 9000), ("minute", 90)) for what in ("limit", "remaining", "reset")
}


def _listing(rng: Random) -> Any:
    newer = rng.random() < 0.7
    records = [_record(rng, newer) for _ in range(rng.choice((0, 1, 1, 2, 4)))]
    metadata = {"total_items": len(records), "limits": _LIMITS}
    return {"jsonrpc": "2.0", "id": REQUEST_ID, "result": {"data": records, "metadata": metadata}}


_MNEMONICS = ("limit_exceeded", "internal_error", "forbidden", "ip_not_whitelisted", "filter_prohibited", "auth_error",
              "access_token_expired", "unexpected_parameters", "method_not_found", "no_such_mnemonic")  # fmt: skip


def _refusal(rng: Random) -> Any:
    params = {"limit_type": rng.choice(("minute", "day")), "ip": "192.0.2.1"}
    data = {"mnemonic": rng.choice(_MNEMONICS), "field": "id", "params": params, "metadata": {"limits": _LIMITS}}
    error = {"code": rng.choice((-32602, -32603, -32029, -32001)), "message": _text(rng), "data": data}
    return {"jsonrpc": "2.0", "id": REQUEST_ID, "error": error}


# -- spoiled structure

_NUMBERS = (
    *(b"-0", b"-0.0", b"0.0", b"1.0", b"1e2", b"1e999", b"-1e999", b"5e-324", b"1e-400", b"1E308", b"01", b"+1", b".5"),
    *(b"9223372036854775807", b"9223372036854775808", b"-9223372036854775809", b"18446744073709551616"),
    *(b"9007199254740993", b"1" + b"0" * 300, b"9" * 5000, b"0.1000000000000000055511151231257827"),
)
_WORDS = (
    *(b"NaN", b"Infinity", b"-Infinity", b"nul", b"True", b"undefined", b"", b"{", b"]", b",", b'"', b"//"),
    b"\xef\xbb\xbf",
)
_STRINGS = (
    *(rb'"\ud800"', rb'"\udfff\ud800"', rb'"\u0000"', rb'"a\u0000\ud83d\ude00"', rb'"\x"', rb'"\u12"'),
    *(rb'"\ud83d\u0041"', rb'"\u2400"', b'"\xff"', b'"\xed\xa0\x80"', b'"\xc0\x80"', b'"\xe2\x90"', b'"\x00"'),
    *(b'"\x1f"', b'"\x7f\xc2\x85"'),
)
_DATES = ("0000-00-00 00:00:00", "2026-02-30 00:00:00", "2026-01-01 24:00:00", "9999-12-31 23:59:59", "2026-01-01")


def _deep(rng: Random) -> Token:
    depth = rng.choice(DEEP)
    one, other = rng.choice(((b"[", b"]"), (b'{"a":', b"}")))
    return Token(one * depth + b"1" + other * depth)


_JUNK: tuple[Callable[[Random], Any], ...] = (
    lambda rng: None,
    lambda rng: rng.choice((True, False)),
    lambda rng: rng.choice((0, 1, -1, 2**53 + 1, 2**63, -(2**63), 5)),
    lambda rng: Token(rng.choice(_NUMBERS)),
    lambda rng: Token(rng.choice(_NUMBERS)),
    lambda rng: Token(rng.choice(_WORDS)),
    lambda rng: Token(rng.choice(_STRINGS)),
    lambda rng: Token(rng.choice(_STRINGS)),
    lambda rng: rng.choice(_DATES),
    lambda rng: _text(rng),
    lambda rng: _tree(rng.choice(([], {}, [[]], [None], {"a": 1}, [{"a": [1.5, 1e22]}], {"": {"": ""}}))),
    lambda rng: _tree(rng.choice((_record(rng, True), _campaign(rng), _scenario(rng, True)))),
    _deep,
    lambda rng: "y" * rng.choice((10, 1000, 3000)) if rng.random() < 0.98 else "Z" * 200_000,
)
_NAMES = (
    *("id", "new", "data", "result", "error", "campaigns", "site_blocks", "comment", "status", "is_active", "limits"),
    *("total_items", "␀extra", "extra", "", "a.b", "$[`x`]", "q" * 400, "nul\0", "sur\ud800"),
)


def _junk(rng: Random) -> Any:
    return rng.choice(_JUNK)(rng)


def _containers(node: Any) -> list[Any]:
    found = [node] if isinstance(node, list) else []
    for item in node if isinstance(node, list) else ():
        found += _containers(item[1] if isinstance(node, Members) else item)
    return found


def _spoil(root: Any, rng: Random) -> None:
    places = _containers(root)
    node = rng.choice(places)
    if not isinstance(node, Members):
        _spoil_list(node, places, rng)
    elif not node or rng.random() < 0.25:
        node.insert(rng.randint(0, len(node)), [rng.choice(_NAMES), _junk(rng)])
    else:
        _spoil_member(node, places, rng)


def _spoil_list(node: list[Any], places: list[Any], rng: Random) -> None:
    if node and rng.random() < 0.5:
        node[rng.randrange(len(node))] = _junk(rng)
    elif node and rng.random() < 0.5:
        node.extend(rng.choices(node, k=rng.choice((1, 2, 40))))
    else:
        node.append(_junk(rng))


def _spoil_member(node: Members, places: list[Any], rng: Random) -> None:
    member = rng.choice(node)
    action = rng.randrange(6)
    if action == 0:
        node.remove(member)
    elif action == 1:
        node.insert(rng.randint(0, len(node)), [member[0], _junk(rng) if rng.random() < 0.5 else member[1]])
    elif action == 2:
        member[0] = rng.choice(_NAMES)
    elif action == 3:
        member[1] = _tree(json.loads(json.dumps(_record(rng, False))))
    else:
        member[1] = _junk(rng)


# -- spoiled bytes


def _cut(body: bytes, rng: Random) -> bytes:
    return body[: rng.randrange(len(body) + 1)]


def _flip(body: bytes, rng: Random) -> bytes:
    spoiled = bytearray(body or b" ")
    for _ in range(rng.choice((1, 1, 1, 3, 20))):
        spoiled[rng.randrange(len(spoiled))] = rng.randrange(256)
    return bytes(spoiled)


def _insert(body: bytes, rng: Random) -> bytes:
    at = rng.randrange(len(body) + 1)
    return body[:at] + rng.choice((*_NUMBERS, *_WORDS, *_STRINGS, b"\x00", b"\xff")) + body[at:]


def _move(body: bytes, rng: Random) -> bytes:
    a, b, c = sorted(rng.randrange(len(body) + 1) for _ in range(3))
    return body[:a] + body[b:c] + body[a:b] + body[c:] if rng.random() < 0.5 else body[:c] + body[a:]


_BYTES = (_cut, _flip, _flip, _insert, _move)


def draw(seed: int, index: int) -> bytes:
    """The body of an answer: input number `index` of a stress run."""
    rng = Random(f"{seed}:{index}")
    root = _tree(_listing(rng) if rng.random() < 0.9 else _refusal(rng))
    for _ in range(rng.choice((0, 1, 1, 1, 2, 2, 3, 6))):
        _spoil(root, rng)
    body = _dump(root, rng.choice(_STYLES))
    for _ in range(rng.choice((0, 0, 0, 0, 1, 2))):
        body = rng.choice(_BYTES)(body, rng)
    return body
