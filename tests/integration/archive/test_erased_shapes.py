"""Answers of every shape that contain a number: after its erasure none does, and the rest is verified."""

from __future__ import annotations

import base64
import gzip
import json
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from etl.archive.checking import check_archive
from etl.archive.erasing import ErasedResponses, erase_number
from etl.archive.heads import ArchiveHead
from etl.archive.layout import existing
from etl.archive.mentions import Sought
from etl.archive.objects import Objects, digest_of
from etl.archive.personal import STAND_IN, emptied
from etl.errors import Usage
from etl.sandbox import faults
from tests.stress.forged_archive import Forged
from tests.support.archive_folders import archived
from tests.support.archive_rebuilding import rebuilt
from tests.support.archive_recording import ACCOUNT, BEGAN, LISTING, REQUEST, RUN, Heard, recorded

NUMBER = 100037
PHONE, SECRET = "74951234567", "Anna Petrova"
RECORD = f'{{"id":{NUMBER},"virtual_phone_number":"{PHONE}","comment":"{SECRET}","status":"active"}}'
NEIGHBOUR = '{"id":100038,"virtual_phone_number":"74950000002","comment":"Neighbour","status":"active"}'


def _answer(data: str, more: str = "", metadata: str = '{"total_items":2}', request: int = REQUEST) -> str:
    return f'{{"jsonrpc":"2.0","id":{request},"result":{{"data":{data},"metadata":{metadata}{more}}}}}'


def _escaped(text: str) -> str:
    return "".join(f"\\u{ord(character):04x}" for character in text)


PLAIN = _answer(f"[{NEIGHBOUR},{RECORD}]")
IN_RECORDS = {
    "a record": PLAIN,
    "a name in escapes": PLAIN.replace('"id":100037', '"\\u0069d":100037'),
    "an id in escapes": PLAIN.replace(":100037", f':"{_escaped("100037")}"'),
    "an id as text": PLAIN.replace(":100037", ':" 100037"'),
    "an id with a fraction": PLAIN.replace(":100037", ":100037.0"),
    "an id with an exponent": PLAIN.replace(":100037", ":1.00037e5"),
    "the id first of two": PLAIN.replace('"id":100037', '"id":100037,"id":7'),
    "the id with an exponent first of two": PLAIN.replace('"id":100037', '"id":1.00037e5,"id":7'),
    "a list of lists": _answer(f"[{NEIGHBOUR},[{RECORD}]]"),
    "a row of values": _answer(f'[{NEIGHBOUR},[{NUMBER},"{PHONE}","{SECRET}"]]'),
    "a record that cannot be divided": _answer(f"[{NEIGHBOUR},{RECORD[:-1]},}}]"),
    "a record within another": _answer(f'[{NEIGHBOUR},{{"id":5,"linked":{RECORD}}}]'),
    "a record in a text of another": _answer(f'[{NEIGHBOUR},{{"id":5,"linked":{json.dumps(RECORD)}}}]'),
    "a record without its id": _answer(f'[{NEIGHBOUR},{{"virtual_phone_number":"{PHONE}","comment":"{SECRET}"}}]'),
    "a name of a member": _answer(f'[{NEIGHBOUR},{RECORD[:-1]},"{SECRET}":1}}]'),
    "a field that is kept": PLAIN.replace('"active"}]', f'"{SECRET}"}}]'),
}  # fmt: skip
AROUND = {
    "beside the records": _answer(f"[{NEIGHBOUR}]", f',"items":[{RECORD}]'),
    "in the metadata": _answer(f"[{NEIGHBOUR}]", metadata=f'{{"total_items":2,"last":{RECORD}}}'),
    "a phone in the metadata": _answer(f"[{NEIGHBOUR}]", metadata=f'{{"total_items":2,"of":{PHONE}}}'),
    "an error beside the records": _answer(f"[{NEIGHBOUR}]")[:-1] + f',"error":{{"data":{RECORD}}}}}',
}  # fmt: skip
WITHOUT_RECORDS = {
    "text before it": f"oops {RECORD}",
    "an HTML page": f"<html><h1>502</h1>{RECORD}</html>",
    "an HTML page in entities": f"<html>{RECORD.replace(chr(34), '&quot;').replace('100037', '&#49;00037')}</html>",
    "an HTML page with the phone": f"<html>+7 (495) 123-45-67 is blocked ({SECRET})</html>",
    "records under another name": f'{{"jsonrpc":"2.0","id":{REQUEST},"result":{{"items":[{RECORD}]}}}}',
    "an error": f'{{"jsonrpc":"2.0","id":{REQUEST},"error":{{"code":-32000,"message":"x","data":{RECORD}}}}}',
    "an error that quotes": f'{{"jsonrpc":"2.0","id":{REQUEST},"error":{{"code":-3,"message":"{SECRET}: {NUMBER}"}}}}',
    "data twice": _answer(f"[{RECORD}]", ',"data":[]'),
    "result twice": _answer(f"[{RECORD}]")[:-1] + ',"result":{}}',
    "an empty element": _answer(f"[{RECORD},,{NEIGHBOUR}]"),
    "a comma at the end": _answer(f"[{RECORD},]"),
    "an answer that is cut off": PLAIN[:-40],
    "the record alone": RECORD,
    "an array": f"[{RECORD}]",
    "JSON in JSON": json.dumps(json.dumps(RECORD)),
    "a URL": f"<a href='/?q=%7B%22id%22%3A%31{str(NUMBER)[1:]}%7D&name={SECRET.replace(' ', '%20')}'>",
    "base64": f"<html>{base64.b64encode(RECORD.encode()).decode()}</html>",
    "hex": f"<html>{RECORD.encode().hex()}</html>",
    "base64 of UTF-16": f"<html>{base64.b64encode(RECORD.encode('utf-16-le')).decode()}</html>",
    "hex of UTF-16": f"<html>{RECORD.encode('utf-16-be').hex()}</html>",
}  # fmt: skip
IN_BYTES = {
    "UTF-16": PLAIN.encode("utf-16"),
    "UTF-16 in the other order": PLAIN.encode("utf-16-be"),
    "UTF-32": PLAIN.encode("utf-32"),
    "EBCDIC": PLAIN.encode("cp500"),
    "a byte order mark": b"\xef\xbb\xbf" + PLAIN.encode(),
    "gzip": gzip.compress(PLAIN.encode(), mtime=0),
    "another code page": f"<html>Ошибка {NUMBER} {SECRET}</html>".encode("cp1251"),
}
SHAPES = {name: text.encode() for name, text in {**IN_RECORDS, **AROUND, **WITHOUT_RECORDS}.items()} | IN_BYTES
ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "cp500")


def _secrets() -> Iterator[bytes]:
    """The personal texts in the encodings in which bytes may contain them."""
    for text in (PHONE, SECRET):
        yield from (text.encode(encoding) for encoding in ENCODINGS)
        yield from (text.encode().hex().encode(), base64.b64encode(RECORD.encode()), text.replace(" ", "%20").encode())
    yield b"123-45-67"


def _telling(body: bytes) -> list[bytes]:
    return [secret for secret in _secrets() if secret in body]


def _sought() -> Sought:
    sought = Sought(NUMBER)
    for text in (PHONE, SECRET):
        sought.learn(json.dumps(text).encode())
    return sought


@pytest.mark.parametrize("body", SHAPES.values(), ids=SHAPES)
@pytest.mark.fault("E03")
def test_no_shape_of_an_answer_keeps_an_erased_number(body: bytes) -> None:
    """For any shape: no trace of the number is left, erasing again changes nothing, and the other record stays."""
    new = emptied(body, _sought())
    assert _telling(new.body) == []
    assert emptied(new.body, Sought(NUMBER)).body == emptied(new.body, _sought()).body == new.body
    if body in [text.encode() for text in (*IN_RECORDS.values(), *AROUND.values())]:
        assert NEIGHBOUR.encode() in new.body


HARMLESS = {
    "a listing": _answer(f"[{NEIGHBOUR}]"),
    "counters": _answer(f"[{NEIGHBOUR}]", metadata='{"total_items":100037,"limits":{"day_limit":100037}}'),
    "a request of that number": _answer(f"[{NEIGHBOUR}]", request=NUMBER),
    "a longer number": _answer(f'[{NEIGHBOUR},{{"id":1000370,"comment":"100037"}}]'),
    "a campaign with that id": _answer('[{"id":5,"campaigns":[{"id":100037}],"scenarios":[{"id":100037}]}]'),
    "a page of a gateway": "<html><h1>502 Bad Gateway</h1><p>nginx, request 5a1c</p></html>",
    "an error": f'{{"jsonrpc":"2.0","id":{NUMBER},"error":{{"code":-32029,"message":"limit_exceeded"}}}}',
    "nothing": "",
}  # fmt: skip


@pytest.mark.parametrize("text", HARMLESS.values(), ids=HARMLESS)
@pytest.mark.fault("E03")
def test_what_does_not_tell_of_a_number_stays(text: str) -> None:
    """Ids of other things, counters, error pages: an erasure deletes no other evidence."""
    assert emptied(text.encode(), _sought()).body == text.encode()


@pytest.mark.parametrize("before", ['{"jsonrpc":"2.0","id":41,"result":{"data":[],"more":"', "<html>"])
@pytest.mark.fault("E04")
def test_what_is_too_large_to_search_is_erased(before: str) -> None:
    """The whole answer is erased, so that an erasure and its check need little memory for any archive."""
    body = f'{before}{"x" * (4 * 2**20)}"}}}}'.encode()
    new = emptied(body, _sought())
    assert new.whole
    assert len(new.body) < 100
    assert emptied(new.body, Sought(NUMBER)).body == new.body


# -- in an archive


def _everything(folder: Path) -> bytes:
    layout = existing(folder)
    return b"\n".join(Objects(layout).get(digest) for digest in layout.digests())


def _erase(folder: Path, number: int = NUMBER) -> ErasedResponses:
    return erase_number(folder, ACCOUNT, number, now=BEGAN + timedelta(days=2))


@pytest.mark.fault("E03")
def test_archive_of_every_shape_is_erased_and_proved(tmp_path: Path) -> None:
    """No byte of the number is left, responses erased as a whole are named, and the earlier head verifies the rest."""
    head = recorded(tmp_path, [(body, {}) for body in SHAPES.values()])
    done = _erase(tmp_path)
    assert _telling(_everything(tmp_path)) == []
    whole = {digest for _, digest in done.whole}
    named = [*(text.encode() for text in (*AROUND.values(), *WITHOUT_RECORDS.values())), *IN_BYTES.values()]
    assert whole == {digest_of(body) for body in named}
    found = check_archive(tmp_path, [ArchiveHead(head)])
    assert found.problems == []
    assert any(f"({len(SHAPES)}), {len(named)} of them replaced as a whole, at" in note for note in found.notes)
    assert _erase(tmp_path).responses == 0


ELSEWHERE: dict[str, Heard] = {
    "an answer to another request of the account": (PLAIN.encode(), {"method": "get.account", "request_id": 40}),
    "an answer to another account's request": (PLAIN.encode(), {"params": {"user_id": 2}, "request_id": 40}),
    "a row that names its customer": (
        _answer(f'[{NEIGHBOUR},{RECORD[:-1]},"child_customer_id":{ACCOUNT}}}]').encode(),
        {"params": {"user_id": 2}},
    ),
}


@pytest.mark.parametrize(("body", "other"), ELSEWHERE.values(), ids=ELSEWHERE)
@pytest.mark.fault("E03")
def test_number_is_erased_where_it_does_not_belong(tmp_path: Path, body: bytes, other: dict[str, object]) -> None:
    """In answers to another request, and in rows of this customer in another customer's listing."""
    head = recorded(tmp_path, [(body, other)])
    assert _erase(tmp_path).responses == 1
    assert _telling(_everything(tmp_path)) == []
    assert NEIGHBOUR.encode() in _everything(tmp_path)
    assert check_archive(tmp_path, [ArchiveHead(head)]).problems == []


@pytest.mark.parametrize("method", [LISTING, "get.customers"])
@pytest.mark.fault("E03")
def test_same_id_of_another_customer_stays(tmp_path: Path, method: str) -> None:
    """A number of another account, or a customer, may have the same id."""
    other: dict[str, object] = {"params": {"user_id": 2}} if method == LISTING else {"method": method}
    theirs = PLAIN.replace(SECRET, "Somebody else").replace(PHONE, "74950000003").encode()
    recorded(tmp_path, [(PLAIN.encode(), {}), (theirs, other)])
    assert _erase(tmp_path).responses == 1
    assert theirs in _everything(tmp_path)


@pytest.mark.parametrize("body", [text.encode() for text in WITHOUT_RECORDS.values()], ids=WITHOUT_RECORDS)
@pytest.mark.fault("E03")
def test_number_that_stands_in_one_odd_answer_only_is_not_refused(tmp_path: Path, body: bytes) -> None:
    """A number is found in any odd answer that has its id; an unknown number is refused."""
    recorded(tmp_path, [(body, {})])
    if b"Petrova) is" in body or b"hex" in body:
        return
    with pytest.raises(Usage, match="holds no number 100039"):
        _erase(tmp_path, 100039)
    assert _everything(tmp_path) == body


@pytest.mark.parametrize("shape", ["an id with an exponent", "the id with an exponent first of two"])
@pytest.mark.fault("E03")
def test_number_that_is_named_with_an_exponent_only_is_not_refused(tmp_path: Path, shape: str) -> None:
    """`1.00037e5` is the number 100037, although no answer contains its digits."""
    recorded(tmp_path, [(IN_RECORDS[shape].encode(), {})])
    assert _erase(tmp_path).responses == 1
    assert _telling(_everything(tmp_path)) == []


def _forge(folder: Path, body: bytes, records: list[list[object]], **more: object) -> list[str]:
    """The problems of an archive of one page and a forged erasure in which all digests agree."""
    recorded(folder, [(PLAIN.encode(), {})])
    forged, former = Forged(folder), digest_of(PLAIN.encode())
    forged.object(former).unlink()
    forged.erasure(ACCOUNT, NUMBER, [{"former": former, "now": forged.put(body), "records": records, **more}])
    return check_archive(folder).problems


RECORDS = [NEIGHBOUR.encode(), RECORD.encode()]
REST = _answer("[,]").encode()
GONE = b'{"erased":true,"id":100037}'


@pytest.mark.fault("E02")
def test_erased_rest_is_proved(tmp_path: Path) -> None:
    """The rest of an answer may be erased under its own digest: its records can still be verified."""
    body, rest = _without_rest(RECORDS[0], GONE), digest_of(REST)
    assert _forge(tmp_path / "a", body, [[1, digest_of(RECORDS[1])]], rest=rest) == []
    kept = PLAIN.encode().replace(RECORDS[1], GONE)
    assert _forge(tmp_path / "b", kept, [[1, digest_of(RECORDS[1])]]) == []


def _without_rest(*records: bytes, more: bytes = b"") -> bytes:
    return b'{"erased":true,"result":{"data":[%b]%b}}' % (b",".join(records), more)


FORGED = {
    "another record changed": (_without_rest(RECORDS[0].replace(b"active", b"locked"), GONE), digest_of(REST)),
    "another rest": (_without_rest(RECORDS[0], GONE, more=b',"x":1'), digest_of(REST)),
    "another digest": (_without_rest(RECORDS[0], GONE), digest_of(b"x")),
    "another id": (_without_rest(RECORDS[0], GONE.replace(b"37", b"39")), digest_of(REST)),
    "no id": (_without_rest(RECORDS[0], STAND_IN), digest_of(REST)),
    "all of it": (STAND_IN, digest_of(REST)),
}


@pytest.mark.parametrize(("body", "rest"), FORGED.values(), ids=FORGED)
@pytest.mark.fault("E02")
def test_forged_stand_in_is_found(tmp_path: Path, body: bytes, rest: str) -> None:
    """The replacement of a record or a rest has one form, and all else is verified as usual."""
    (problem,) = _forge(tmp_path, body, [[1, digest_of(RECORDS[1])]], rest=rest)
    assert problem.startswith(f"the erased response {digest_of(PLAIN.encode())[:16]}")


@pytest.mark.fault("E03")
def test_manifest_that_quotes_the_number_is_named(tmp_path: Path) -> None:
    """Manifests never change, so a quotation in an error stays, and the run is named."""
    recorded(tmp_path, [(PLAIN.encode(), {}), (b"", {"error": f"the source says: {PHONE} is blocked"})])
    assert _erase(tmp_path).quoting == (RUN.run_id,)
    assert check_archive(tmp_path).problems == []


@pytest.mark.fault("E03")
def test_responses_of_no_run_that_tell_of_the_number_are_removed(tmp_path: Path) -> None:
    """Remains of a crash with the number are removed; others stay, and so do young ones, which a run may name soon."""
    recorded(tmp_path, [(PLAIN.encode(), {})])
    paths = [Forged(tmp_path).object(Forged(tmp_path).put(body)) for body in (b"oops " + PLAIN.encode(), b"x")]
    young = Forged(tmp_path).object(Forged(tmp_path).put(b"young " + PLAIN.encode()))
    for path in paths:
        os.utime(path, (BEGAN.timestamp(), BEGAN.timestamp()))
    os.utime(young, ((BEGAN + timedelta(days=2)).timestamp(),) * 2)
    assert _erase(tmp_path).unneeded == 1
    assert [path.exists() for path in (*paths, young)] == [False, True, True]
    assert check_archive(tmp_path).problems == []


# -- through the whole pipeline


@pytest.mark.fault("E03")
def test_failed_answers_that_name_a_number_are_erased_and_replayed_over(
    warehouse: Engine, tmp_path: Path, target: Callable[..., Engine]
) -> None:
    """A page in HTML and a truncated answer, each requested again: erased as a whole; the account replays."""
    rig = archived(warehouse, tmp_path / "a", numbers=12)
    number = rig.world.numbers(rig.only)[3]
    told = b'<html>{"id":%d,"comment":"secret of somebody"}</html>' % number
    rig.api.faults.add(faults.http(200, told))
    rig.api.faults.add(faults.Body(lambda body: body[:-20] + told), at=2)
    assert rig.sync().accounts[0].observed_at is not None
    rig.sync()
    assert b"secret of somebody" in _everything(tmp_path / "a")
    done = erase_number(tmp_path / "a", rig.only, number, now=rig.clock.now())
    assert (done.responses, len(done.whole)) == (4, 2)
    assert b"secret of somebody" not in _everything(tmp_path / "a")
    assert check_archive(tmp_path / "a").problems == []
    assert rebuilt(rig, target()).failed == []
