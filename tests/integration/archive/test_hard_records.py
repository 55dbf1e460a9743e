"""Records that are hard to archive, erase and replay."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from etl.archive import personal, pieces
from etl.archive.checking import check_archive
from etl.archive.erasing import erase_number
from etl.archive.mentions import Sought
from etl.erasure.warehouse import erase_number as erase_from_warehouse
from etl.replay.rebuild import chosen
from etl.replay.restate import restate
from tests.stress import hard_records
from tests.stress.hard_records import Shape, secret_of, shapes
from tests.support.archive_folders import archived
from tests.support.archive_rebuilding import rebuilt, same


@pytest.mark.soak
@pytest.mark.fault("E03")
def test_drawn_records_are_synced_archived_erased_and_replayed(tmp_path: Path, sqlite_template: Path) -> None:
    """The same heads, and an erasure removes nothing else (`python -m tests.stress.hard_records` draws 100 000)."""
    assert hard_records.run(240, 20, 5, sqlite_template) >= 240


REST = (
    b'"virtual_phone_number":"74950000001","redirection_phone_number":null,"status":"active","category":"usual",'
    b'"type":"va","campaigns":[],"scenarios":[]'
)
RECORDS = {
    "half a surrogate pair": rb'{"id":%d,"comment":"a\ud800b",REST}',
    "bytes that are no UTF-8": b'{"id":%d,"comment":"a\xffb",REST}',
    "a name in escapes": rb'{"\u0069d":%d,"comment":"secret",REST}',
    "a number beyond floats": b'{"id":%d,"comment":"secret","new":1e400,REST}',
    "a name that comes twice": b'{"id":%d,"comment":"secret","comment":"more",REST}',
    "a number of too many digits": b'{"id":%d,"comment":"secret","new":-1e-400,REST}',
    "nested too deep": b'{"id":%d,"comment":"secret","new":' + b"[" * 70 + b"]" * 70 + b",REST}",
    "a text that is no text": b'{"id":%d,"comment":["secret"],REST}',
    "a phone that no index holds": b'{"id":%d,"comment":"secret",' + REST.replace(b"74950000001", b"7" * 700) + b"}",
    "too many values": b'{"id":%d,"comment":"secret","new":[' + b"1," * 100_001 + b"1],REST}",
    "white space": b' {\n"id" : %d ,"comment"\t:"secret", REST } ',
    "what looks like the end": rb'{"id":%d,"comment":"}]},\"id\":7","name":"\\",REST}',
}


@pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)
@pytest.mark.fault("E03")
def test_hard_record_is_replayed_and_erased(
    warehouse: Engine, tmp_path: Path, target: Callable[..., Engine], record: bytes
) -> None:
    """The replay gives the same heads; after an erasure the rest is the same byte for byte, and the account replays."""
    rig = archived(warehouse, tmp_path / "a", numbers=12)
    number = rig.world.numbers(rig.only)[3]
    rig.world.put_raw(rig.only, number, (record % number).replace(b"REST", REST))
    for _ in range(2):
        rig.sync()
        rig.world.edit(rig.only, rig.world.numbers(rig.only)[5], comment="edited")
    engine = target()
    assert rebuilt(rig, engine).mismatches == {}
    same(rig, engine)
    assert erase_number(tmp_path / "a", rig.only, number, now=rig.clock.now()).responses == 2
    erase_from_warehouse(warehouse, rig.only, number, now=rig.clock.now(), reason=None)
    assert check_archive(tmp_path / "a").problems == []
    assert rebuilt(rig, target("erased")).failed == []
    assert restate(chosen(tmp_path / "a"), warehouse, report=rig.events.append).differing == []


def _answer(records: list[bytes], space: bytes) -> bytes:
    separator = b"," + space
    return b'{"jsonrpc":"2.0","id":1,"result":{"data":[%b],"metadata":{"total_items":9}}}' % separator.join(records)


@given(st.lists(shapes(), min_size=1, max_size=8), hard_records.SPACE, st.data())
@pytest.mark.fault("E03")
def test_nothing_but_the_number_changes(drawn: list[Shape], space: bytes, data: st.DataObject) -> None:
    """For any records: those of others, and the rest of the answer, stay byte for byte and are verified."""
    records = [shape.of(1000 + at) for at, shape in enumerate(drawn)]
    at = data.draw(st.integers(0, len(drawn) - 1))
    body = _answer(records, space)
    new = personal.emptied(body, Sought(1000 + at))
    assert secret_of(1000 + at) not in new.body
    assert new.former == {at: records[at]}
    before, after = pieces.cut(body), pieces.cut(new.body)
    assert before is not None
    assert after is not None
    assert list(before.records) == records
    assert [r for i, r in enumerate(after.records) if i != at] == [r for i, r in enumerate(records) if i != at]
    assert (after.rest(), after.ids()) == (before.rest(), before.ids())
    assert personal.emptied(new.body, Sought(1000 + at)).body == new.body


@given(st.lists(shapes(), max_size=8), hard_records.SPACE)
def test_quick_and_thorough_cuts_agree(drawn: list[Shape], space: bytes) -> None:
    """Both ways of cutting an answer give the same pieces and the same digest."""
    body = _answer([shape.of(at) for at, shape in enumerate(drawn)], space)
    quick, thorough = pieces._plain(body), pieces._scanned(body)
    assert thorough is not None
    assert quick in (None, thorough)
    assert quick is None or quick.digest() == thorough.digest()
