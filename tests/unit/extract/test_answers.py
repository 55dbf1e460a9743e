"""JSON-RPC answers: which are accepted, and the reaction to each error."""

from __future__ import annotations

import json
from typing import Any

import pytest

from etl.errors import (
    AccountRefused,
    BrokenAnswer,
    DayLimit,
    FilterRefused,
    MethodUnknown,
    NotAllowed,
    SessionExpired,
    SourceUnusable,
    TooMuchAsked,
    Transient,
    VnsyncError,
)
from etl.extract.answers import NotOurs, decode, decode_login, digest_of
from etl.extract.api_errors import ErrorBody, LimitExceeded, day_limit, error_of
from etl.extract.redaction import Redaction

DOCUMENTED: dict[str, tuple[int, type[VnsyncError], int]] = {
    "parse_error": (-32700, SourceUnusable, 65),
    "invalid_request": (-32600, SourceUnusable, 65),
    "method_not_found": (-32601, MethodUnknown, 78),
    "required_parameter_missed": (-32602, SourceUnusable, 65),
    "invalid_parameter_value": (-32602, TooMuchAsked, 65),
    "data_type_error": (-32602, SourceUnusable, 65),
    "unexpected_parameters": (-32602, FilterRefused, 65),
    "invalid_parameters_combination": (-32602, SourceUnusable, 65),
    "sort_prohibited": (-32602, SourceUnusable, 65),
    "filter_prohibited": (-32602, FilterRefused, 65),
    "date_interval_limit_reached": (-32602, SourceUnusable, 65),
    "error": (-32602, SourceUnusable, 65),
    "internal_error": (-32603, Transient, 69),
    "access_token_expired": (-32001, SessionExpired, 77),
    "access_token_invalid": (-32001, SessionExpired, 77),
    "access_token_blocked": (-32001, SessionExpired, 77),
    "auth_error": (-32001, SessionExpired, 77),
    "forbidden": (-32003, AccountRefused, 77),
    "ip_not_whitelisted": (-32003, AccountRefused, 77),
    "method_component_disabled": (-32008, AccountRefused, 77),
    "parameter_component_disabled": (-32008, AccountRefused, 77),
    "account_inactive": (-32009, AccountRefused, 77),
    "limit_exceeded": (-32029, DayLimit, 75),
    "batch_operations_not_supported": (-32099, SourceUnusable, 65),
    "notifications_not_supported": (-32099, SourceUnusable, 65),
}
"""The vendor's 25 mnemonics, with what each asks for; a limit that does not say which is taken for the day's."""


def _error(code: Any = -32602, mnemonic: str | None = None, **data: Any) -> VnsyncError:
    return error_of(ErrorBody(code=code, message="words", data=data | ({"mnemonic": mnemonic} if mnemonic else {})))


def _answer(**members: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 7, **members}).encode()


@pytest.mark.parametrize("mnemonic", DOCUMENTED)
@pytest.mark.fault("P01")
def test_every_documented_mnemonic(mnemonic: str) -> None:
    """P01: each error has the class of its remedy, names the mnemonic or the limit, and has its exit code."""
    code, kind, exit_code = DOCUMENTED[mnemonic]
    error = _error(code, mnemonic)
    assert (type(error), error.exit_code) == (kind, exit_code)
    assert mnemonic in str(error) or kind is DayLimit
    assert error.remedy


@pytest.mark.parametrize(
    ("code", "data", "kind"),
    [
        (-32000, {"mnemonic": "brand_new_error"}, SourceUnusable),
        (-32603, {}, Transient),
        (-32601, {}, MethodUnknown),
        (-32700, {}, SourceUnusable),
        (-32001, {}, NotAllowed),
        (-32003, {}, NotAllowed),
        (-32602, None, SourceUnusable),
        (None, "words", SourceUnusable),
        ("-32603", [], SourceUnusable),
    ],
)
@pytest.mark.fault("P01")
def test_unknown_mnemonics_and_errors_without_data(code: Any, data: Any, kind: type[VnsyncError]) -> None:
    """P01: an undocumented error is never retried endlessly; without a mnemonic the numeric code decides."""
    assert type(error_of(ErrorBody(code=code, message=None, data=data))) is kind


@pytest.mark.parametrize(
    ("field", "kind"), [("id", FilterRefused), ("filter", FilterRefused), ("limit", SourceUnusable)]
)
def test_only_a_refused_filter_falls_back_to_offsets(field: str, kind: type[VnsyncError]) -> None:
    """`unexpected_parameters` about something else is a fault of its own, not a missing filter."""
    assert type(_error(-32602, "unexpected_parameters", field=field)) is kind


def test_a_minute_limit_says_how_long() -> None:
    """P08: `params.limit_type` distinguishes minute and day; the reset is in the error's metadata."""
    metadata = {"limits": {"minute_reset": 17, "day_reset": 100}}
    error = _error(-32029, "limit_exceeded", params={"limit_type": "minute"}, metadata=metadata)
    assert isinstance(error, LimitExceeded)
    assert (error.reset, error.exit_code) == (17, 75)


@pytest.mark.parametrize(
    ("reset", "when"), [(7200, "run again in 2.0 h"), (None, "tomorrow"), (-5, "tomorrow"), ("60", "tomorrow")]
)
def test_a_day_limit_says_when_to_come_back(reset: object, when: str) -> None:
    """P09: the remedy names the hour that the source names, or tomorrow."""
    error = _error(-32029, "limit_exceeded", params={"limit_type": "day"}, metadata={"limits": {"day_reset": reset}})
    assert isinstance(error, DayLimit)
    assert when in error.remedy
    assert when in day_limit(reset).remedy


@pytest.mark.fault("P06")
def test_the_refused_address_is_named() -> None:
    """P06: the operator reads which address to put on the whitelist, and of which kind of account."""
    error = _error(-32003, "ip_not_whitelisted", params={"ip": "203.0.113.9"})
    assert "(203.0.113.9)" in str(error)
    assert "whitelist" in error.remedy
    assert isinstance(error, AccountRefused)
    assert error.mnemonic == "ip_not_whitelisted"


def test_a_result_comes_undecoded() -> None:
    """The records stay as they were sent; metadata is read."""
    result = decode(_answer(result={"data": [{"id": 1}], "metadata": {"total_items": 1}}), 7)
    assert (bytes(result.data), result.metadata) == (b'[{"id": 1}]', {"total_items": 1})


@pytest.mark.parametrize("given", [6, "7", None, 7.5, True, [7]])
@pytest.mark.fault("P02")
def test_an_answer_with_another_id_is_not_ours(given: object) -> None:
    """P02: another id, or the right digits in another type, is the answer to another request: retry."""
    with pytest.raises(Transient, match="another request"):
        decode(_answer(id=given, result={"data": []}), 7)


@pytest.mark.fault("P02")
def test_an_error_with_another_id_is_not_ours() -> None:
    """An error meant for another request must not stop this one."""
    with pytest.raises(Transient, match="another request"):
        decode(_answer(id=8, error={"code": -32001, "data": {"mnemonic": "access_token_blocked"}}), 7)


@pytest.mark.fault("P03")
def test_an_error_without_an_id_is_ours() -> None:
    """P03: a server that could not read the request answers id null; the error counts."""
    with pytest.raises(SourceUnusable, match="parse_error"):
        decode(_answer(id=None, error={"code": -32700, "message": "?", "data": {"mnemonic": "parse_error"}}), 7)


@pytest.mark.parametrize(
    "body",
    [
        _answer(),
        _answer(result=None),
        _answer(result=None, error=None),
        _answer(result=[]),
        _answer(result="fine"),
        _answer(error="broken"),
        b"[]",
        b"null",
        b'"ok"',
    ],
)
@pytest.mark.fault("P04")
def test_json_that_is_no_answer_is_unusable(body: bytes) -> None:
    """P04: neither result nor error, or another shape: the contract is broken, and asking again will not mend it."""
    with pytest.raises(SourceUnusable):
        decode(body, 7)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Sign in to the hotel's network</html>",
        b"\xef\xbb\xbf{}",
        b"\xff\xfe",
        _answer(result={"data": [1, 2, 3]})[:-4],
        b'{"id": 7, "result": {"metadata": {"\xff": 1}}}',
    ],
    ids=["empty", "captive portal", "byte order mark", "utf-16", "cut", "not utf-8"],
)
@pytest.mark.fault("H19")
def test_what_is_no_json_is_tried_again(body: bytes) -> None:
    """H08, H19: a cut or foreign body may pass, so it is transient; its beginning is shown, at most 80 characters."""
    with pytest.raises(Transient, match="not JSON") as caught:
        decode(body, 7)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "body",
    [
        b'{"id":7,"result":{"data":[{"id":100037,"comment":"Anna"',
        b'oops {"id":100037,"comment":"Anna"}',
        b"<html>74951234567 is blocked",
        "[100037,Anna]".encode("utf-16"),
    ],
)
@pytest.mark.fault("E03")
def test_error_quotes_no_record(body: bytes) -> None:
    """Errors are kept in logs, tables and manifests, so they quote no record and no phone number."""
    with pytest.raises(Transient, match="not JSON") as caught:
        decode(body, 7)
    assert not any(word in str(caught.value) for word in ("Anna", "A\\x00n", "100037", "4951234567"))


@pytest.mark.parametrize(
    "value", [b"NaN", b"-Infinity", b"[" * 100_000 + b"]" * 100_000], ids=["d06-nan", "d06-infinity", "h12-deep"]
)
def test_whole_json_that_cannot_be_used_is_no_passing_fault(value: bytes) -> None:
    """H12, D06: a complete answer that no parser accepts is refused without a retry: exit 65."""
    with pytest.raises(SourceUnusable):
        decode(b'{"id": 7, "result": {"data": [{"id": 1, "weight": %b}]}}' % value, 7)


@pytest.mark.fault("P04")
def test_an_error_beside_a_result_is_no_answer() -> None:
    """P04: an answer with both is refused: neither its records nor its error can be believed."""
    with pytest.raises(SourceUnusable, match="both"):
        decode(_answer(result={"data": []}, error={"code": -32003, "data": {"mnemonic": "forbidden"}}), 7)


@pytest.mark.parametrize("wrap", [lambda d: d, lambda d: {"data": d}], ids=["plain", "in data"])
def test_the_session_key_of_a_login(wrap: Any) -> None:
    """`login.user` answers the key in `result.data`, or in `result` itself."""
    assert decode_login(_answer(result=wrap({"access_token": "k3y", "expire_at": 1, "app_id": 2})), 7) == "k3y"


@pytest.mark.parametrize("data", [{}, {"access_token": ""}, {"access_token": 5}, [], None])
def test_a_login_without_a_key_is_unusable(data: object) -> None:
    """Without a key nothing can be asked, and None must never be sent as one."""
    with pytest.raises(SourceUnusable):
        decode_login(_answer(result={"data": data}), 7)


@pytest.mark.parametrize("metadata", [5, "x", [1], None])
def test_metadata_of_any_type_is_carried(metadata: object) -> None:
    """P10: unusable metadata does not make the records unusable."""
    assert decode(_answer(result={"data": [], "metadata": metadata}), 7).metadata == metadata


RECORDS = b'[{"id": 1, "name": "a]b"}, {"id": 2}]'
HEAD, TAIL = b'{"id": 7, "result": {"data":', b', "metadata": {"total_items": 2}}}'


def test_records_that_are_known_are_passed_over() -> None:
    """Known records are recognized by digest; the text around them is read, with the result of a full reading."""
    body = HEAD + RECORDS + TAIL
    found = decode(body, 7, known=digest_of(RECORDS))
    assert (found.digest, bytes(found.data), found.metadata) == (digest_of(RECORDS), RECORDS, {"total_items": 2})
    assert decode(body, 7).digest == b""
    assert bytes(decode(body, 7).data) == RECORDS


def test_records_that_turn_out_to_be_others_are_digested_once() -> None:
    """The digest that was compared is kept for unknown records if it covers exactly the answer's records."""
    body = HEAD + RECORDS + TAIL
    assert decode(body, 7, known=digest_of(b"[]")).digest == digest_of(RECORDS)
    claimed = ', "␀digest": "eA==", "metadata": [1]}}'.encode()
    for tail in (b', "metadata": [1]}}', claimed):  # what was digested ends behind the records
        assert decode(HEAD + RECORDS + tail, 7, known=digest_of(b"[]")).digest == b""


@pytest.mark.parametrize(
    "tail",
    [
        b"}",  # cut short
        b', "metadata": {"total_items": 2}}} trailing',
        b', "data": null, "metadata": {"total_items": 2}}}',  # what counts is not what was recognized
    ],
)
def test_known_records_in_an_answer_that_is_none(tail: bytes) -> None:
    """Known records do not make the text around them valid: it is checked as usual."""
    body = HEAD + RECORDS + tail
    outcomes: list[object] = []
    for known in (b"", digest_of(RECORDS)):
        try:
            outcomes.append(bytes(decode(body, 7, known=known).data))
        except VnsyncError as exc:
            outcomes.append((type(exc), str(exc)))
    assert outcomes[0] == outcomes[1]


def test_known_records_of_another_answer() -> None:
    """An answer with another id is refused for any content, and an error answer stays an error."""
    with pytest.raises(NotOurs):
        decode(HEAD + RECORDS + TAIL, 8, known=digest_of(RECORDS))
    refused = b'{"id": 7, "error": {"code": -32603, "data": {"mnemonic": "internal_error", "data":' + RECORDS + b"}}}"
    with pytest.raises(Transient):
        decode(refused, 7, known=digest_of(RECORDS))


def test_nobody_can_claim_that_records_are_known() -> None:
    """An answer that calls itself known is not believed."""
    body = HEAD + RECORDS + b', "\xe2\x90\x80digest": "AAAAAAAAAAAAAAAAAAAAAA==", "metadata": {"total_items": 2}}}'
    assert decode(body, 7).digest == b""


@pytest.mark.fault("A14")
def test_known_records_in_another_place_are_not_the_answer_s() -> None:
    """Known records in another place than `result.data` do not count; the content of `result.data` does."""
    body = b'{"id": 7, "result": {"\\u0064ata": [], "more": {"data":' + RECORDS + b'}, "metadata": {"total_items": 0}}}'
    for known in (b"", digest_of(RECORDS)):
        assert bytes(decode(body, 7, known=known).data) == b"[]"


@pytest.mark.parametrize(
    ("members", "says"),
    [({}, "neither"), ({"result": None, "error": None}, "neither"), ({"result": {}, "error": {}}, "both")],
)
@pytest.mark.fault("A14")
def test_an_answer_that_breaks_the_contract_is_told_from_one_of_another_server(members: Any, says: str) -> None:
    """Neither a result nor an error, or both: a kind of its own, so that it can be asked for once more."""
    with pytest.raises(BrokenAnswer, match=says):
        decode(_answer(**members), 7)


@pytest.mark.fault("A14")
def test_the_name_that_comes_twice_is_shown_without_secrets_and_escaped() -> None:
    """A name comes from the source: it is masked and cut like all that is quoted, and holds no control character."""
    redaction = Redaction()
    redaction.add("k" * 20)
    body = b'{"id": 7, "result": {"metadata": {"%(n)s": 1, "%(n)s": 2}}}' % {b"n": b"k" * 20 + b"\\u0000" + b"x" * 90}
    with pytest.raises(BrokenAnswer) as caught:
        decode(body, 7, redaction)
    assert "kkk" not in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 120
