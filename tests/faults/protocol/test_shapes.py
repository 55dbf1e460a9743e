"""P02-P04: answers to other requests, and answers of a wrong form."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from etl.errors import SourceUnusable, Transient, VnsyncError
from etl.extract.answers import Result, decode
from etl.sandbox.faults import (
    MISSING,
    ReplyId,
    error,
    reshape,
)
from tests.support import oracle
from tests.support.protocol_case import ends, recovers, synced
from tests.support.source_case import how_it_ends

STRANGE_IDS = {
    "another": lambda sent: int(sent) + 1,
    "text": lambda sent: sent.decode(),
    "missing": MISSING,
    "null": None,
    "float": lambda sent: int(sent) + 0.5,
    "true": True,
    "list": lambda sent: [int(sent)],
    "object": {},
    "zero": 0,
}


@pytest.mark.parametrize("strange", STRANGE_IDS, ids=[f"p02-{name}" for name in STRANGE_IDS])
@pytest.mark.fault("P02")
def test_another_id(sqlite_warehouse: Engine, strange: str) -> None:
    """An answer with another id is discarded and requested again; if no other comes, exit 69."""
    rig = synced(sqlite_warehouse, 12)
    rig.api.faults.add(ReplyId(STRANGE_IDS[strange]), times=None)
    assert "another request" in ends(rig, 69)
    rig.api.faults.clear()
    rig.api.faults.add(ReplyId(STRANGE_IDS[strange]), times=1)
    assert rig.sync().exit_code == 0
    recovers(rig)


@pytest.mark.parametrize("mnemonic", ["parse_error", "internal_error", "access_token_expired", "brand_new"])
@pytest.mark.parametrize("missing", [None, MISSING], ids=["p03-null", "p03-missing"])
@pytest.mark.fault("P03")
def test_an_error_with_id_null(sqlite_warehouse: Engine, mnemonic: str, missing: Any) -> None:
    """An error with id null, from a server that could not read the request, is accepted as the answer."""
    rig = synced(sqlite_warehouse, 12)
    rig.api.faults.add(error(mnemonic), times=None)
    rig.api.faults.add(ReplyId(missing), times=None)
    assert mnemonic in ends(rig, {"internal_error": 69, "access_token_expired": 77}.get(mnemonic, 65))
    recovers(rig)


# -- P04

SHAPES: dict[str, dict[str, Any]] = {
    "neither": {"result": MISSING},
    "both": {"error": {"code": -32603, "message": "no"}},
    "result_null": {"result": None},
    "result_list": {"result": []},
    "result_text": {"result": "fine"},
    "result_empty": {"result": {}},
    "data_null": {"result": {"data": None, "metadata": {}}},
    "data_object": {"result": {"data": {}, "metadata": {"total_items": 0}}},
    "data_text": {"result": {"data": "[]", "metadata": {"total_items": 0}}},
    "data_numbers": {"result": {"data": [1, 2], "metadata": {"total_items": 0}}},
    "metadata_gone": {"result": {"data": []}},
    "metadata_list": {"result": {"data": [], "metadata": []}},
    "error_text": {"result": MISSING, "error": "broken"},
    "error_list": {"result": MISSING, "error": [1]},
    "error_empty": {"result": MISSING, "error": {}},
}


@pytest.mark.parametrize("shape", SHAPES, ids=[f"p04-{name}" for name in SHAPES])
@pytest.mark.fault("P04")
def test_neither_result_nor_error_or_both(sqlite_warehouse: Engine, shape: str) -> None:
    """An answer that breaks the contract: exit 65, nothing changes, nothing is closed."""
    rig = synced(sqlite_warehouse, 12)
    rig.api.faults.add(reshape(**SHAPES[shape]), times=None)
    if shape == "data_numbers":  # rows that are no records: each is quarantined, which is too many
        before = oracle.current(rig.engine, rig.only)
        assert how_it_ends(rig.sync)[0] in (3, 65)
        assert oracle.current(rig.engine, rig.only) == before
    else:
        ends(rig, 65)
    recovers(rig)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
MEMBERS = st.fixed_dictionaries(
    {},
    optional={
        "id": st.just(7) | JSON,
        "result": JSON | st.fixed_dictionaries({}, optional={"data": JSON, "metadata": JSON}),
        "error": JSON | st.fixed_dictionaries({}, optional={"code": JSON, "message": JSON, "data": JSON}),
        "jsonrpc": JSON,
    },
)


@given(MEMBERS)
@settings(max_examples=300, deadline=None)
@pytest.mark.fault("P04")
def test_any_answer(members: dict[str, Any]) -> None:
    """For any JSON: a result only if id and form are right, otherwise an error of vnsync."""
    body = json.dumps(members).encode()
    try:
        result = decode(body, 7)
    except VnsyncError as exc:
        assert exc.exit_code in (65, 69, 75, 77, 78)  # noqa: PT017 - both outcomes are checked
        return
    assert isinstance(result, Result)
    assert members["id"] == 7
    assert not isinstance(members["id"], bool)
    assert members.get("error") is None


@given(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
@settings(max_examples=300, deadline=None)
@pytest.mark.fault("P04")
def test_any_bytes(body: bytes) -> None:
    """For any bytes that are no answer: transient or unusable, never a crash."""
    with pytest.raises((Transient, SourceUnusable)):
        decode(body, 7)
