#!/usr/bin/env python3
"""Verifies the hash chains of a vnsync warehouse in SQLite, with Python's standard library alone (docs/chain.md).

Usage: python verify_chain.py WAREHOUSE.db [HEAD...]

Each HEAD is a digest that was kept elsewhere, or ACCOUNT=DIGEST; it must be one of the chain's.
Exit 0 when everything fits, else 1.
This script shares no code with vnsync, so that it can disagree.
"""

import contextlib
import hashlib
import json
import pathlib
import sqlite3
import sys
from decimal import Decimal

TABLES = {  # table: (key columns, plain value columns, personal columns)
    "virtual_numbers": (
        ["virtual_number_id"],
        ["child_customer_id", "activation_date", "status", "category", "type"],
        ["virtual_phone_number", "redirection_phone_number", "comment", "name", "extra"],
    ),
    "campaigns": (["campaign_id"], ["campaign_name", "site_id", "extra"], []),
    "sites": (["site_id"], ["site_domain_name"], []),
    "site_blocks": (["site_block_id"], ["site_block_name", "site_id", "extra"], []),
    "scenarios": (["scenario_id"], ["scenario_name"], []),
    "virtual_number_campaigns": (["virtual_number_id", "campaign_id"], [], []),
    "virtual_number_site_blocks": (["virtual_number_id", "campaign_id", "site_block_id"], ["is_tracking"], []),
    "virtual_number_scenarios": (
        ["virtual_number_id", "scenario_id", "call_processing_rule_id"],
        ["is_active", "extra"],
        [],
    ),
}
LATER = {}  # table: (plain, personal columns) that a release after the first added; in a line only where not null
WHOLE = ("child_customer_id", "site_id", "is_tracking", "is_active")
INSTANT = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9] [0-9][0-9]:[0-9][0-9]:[0-9][0-9]." + "[0-9]" * 6
ESCAPES = {92: "\\\\", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r"}


class Number(str):
    """A JSON number as it is written."""


def jsonb(value):
    """JSON as PostgreSQL's JSONB writes it."""
    if isinstance(value, Number):
        return format(Decimal(value), "f")
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: (len(name.encode()), name.encode()))
        return "{" + ", ".join(f"{json.dumps(n, ensure_ascii=False)}: {jsonb(value[n])}" for n in names) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(jsonb(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def as_bytes(text):
    """The bytes of a text as SQLite holds it, UTF-8 or not."""
    return text.encode(errors="surrogateescape")


def field(value, column=""):
    """One field of a line."""
    if value is None:
        return "\\N"
    if column.startswith("is_") and value in (0, 1):
        return "t" if value else "f"
    if column == "extra":
        with contextlib.suppress(
            ValueError, RecursionError, ArithmeticError
        ):  # what is no JSON any more was edited, and stands there as it is
            value = jsonb(json.loads(value, parse_int=Number, parse_float=Number))
    return str(value).translate(ESCAPES)


def columns():
    """All that this script relies on: table, column, its storage class, and whether it is an instant."""
    for name, (key, values, personal) in TABLES.items():
        for table, ends in ((name, []), (f"{name}_closed", ["valid_to"])):
            yield from ((table, column, "integer", False) for column in ["account_id", *key, "opened_run_id"])
            added = [column for columns in LATER.get(name, ()) for column in columns]
            yield from ((table, c, "integer" if c in WHOLE else "text", False) for c in [*values, *personal, *added])
            yield from ((table, column, "text", True) for column in ["valid_from", *ends])
        yield f"{name}_closed", "closed_run_id", "integer", False
    yield from (("account_syncs", column, "integer", False) for column in ["run_id", "account_id"])
    yield from (("account_syncs", c, "text", False) for c in ["status", "account_name", "timezone", "chain_digest"])
    yield from (("erasures", column, "integer", False) for column in ["account_id", "virtual_number_id"])
    yield "erasures", "digest", "text", False
    yield from (
        (table, column, "text", True)
        for table, column in [("account_syncs", "observed_at"), ("erasures", "valid_from")]
    )


def foreign(db):
    """Columns with values of another storage class, which SQLite sorts otherwise, or that are no instants."""
    for table, column, kind, instant in columns():
        wrong = f"typeof({column}) not in ('{kind}', 'null')"
        wrong += f" or {column} not glob '{INSTANT}'" if instant else ""
        (count,) = db.execute(f"select count(*) from {table} where {wrong}").fetchone()
        if count:
            yield f"{table}.{column}: {count} values are no {'instants' if instant else kind}"


def sections(db, account):
    """What each sync closed (0) and opened (1): {moment: {(place of the table, 0 or 1): [count, hash]}}.

    Beside it, the versions that are said to be erased and are not there, or are not empty.
    """
    erased = {(n, since): d for n, since, d in db.execute(
        "select virtual_number_id, valid_from, digest from erasures where account_id = ?", [account])}  # fmt: skip
    found, without = {}, set(erased)

    def add(moment, place, change, fields):
        section = found.setdefault(moment, {}).setdefault((place, change), [0, hashlib.sha256()])
        section[0] += 1
        section[1].update(as_bytes("\t".join(fields) + "\n"))

    for place, (table, (key, values, personal)) in enumerate(TABLES.items()):
        added, added_personal = LATER.get(table, ([], []))
        columns = [*key, *values, *personal, *added, *added_personal]
        names = ", ".join(columns)
        order = ", ".join(key)
        rows = db.execute(  # the tables themselves, for a view could hide something
            f"select {names}, valid_from, valid_to from {table}_closed where account_id = ?1"
            f" union all select {names}, valid_from, null from {table} where account_id = ?1"
            f" order by {order}, valid_from",
            [account],
        )
        for *row, since, until in rows:
            made = [field(value, column) for value, column in zip(row, columns, strict=True)]
            named = {c: f"{c}={text}" for c, text in zip(columns, made, strict=True) if text != "\\N"}
            plain = made[: len(key) + len(values)]
            if personal:
                kept = made[len(plain) : len(plain) + len(personal)]
                kept += [named[c] for c in added_personal if c in named]
                digest = hashlib.sha256(as_bytes("\t".join(kept))).hexdigest()
                emptied = all(value == "\\N" for value in kept)  # by an erasure, if there is one on record
                plain.append(erased.get((row[0], since), digest) if emptied else digest)
                if emptied:
                    without.discard((row[0], since))
            plain += [named[c] for c in added if c in named]
            add(since, place, 1, plain)
            if until is not None:
                add(until, place, 0, [*made[: len(key)], since])
    return found, sorted(without)


def chain(db, account):
    """The links (run, moment, digest as computed, digest as stored), and what fits to none of them."""
    found, without = sections(db, account)
    previous = ""
    links = []
    for run, moment, name, timezone, stored in db.execute(
        "select run_id, observed_at, account_name, timezone, chain_digest from account_syncs"
        " where account_id = ? and status = 'succeeded' order by observed_at",
        [account],
    ).fetchall():
        lines = ["vnsync chain 1", f"previous {previous}", f"account {account}", f"observed {moment}"]
        lines += [f"name {field(name)}", f"timezone {field(timezone)}"]
        for (place, change), (count, digest) in sorted(found.pop(moment, {}).items()):
            lines.append(f"{'opened' if change else 'closed'} {list(TABLES)[place]} {count} {digest.hexdigest()}")
        computed = hashlib.sha256(as_bytes("\n".join(lines) + "\n")).hexdigest()
        links.append((run, moment, computed, stored))
        previous = stored or ""
    loose = [f"versions of {moment}, of which no sync tells" for moment in sorted(found)]
    return links, loose + [f"erasure of number {n} of {since}, which is not there or not empty" for n, since in without]


def main(path, *heads):
    """Verify every account; the exit code."""
    db = sqlite3.connect(pathlib.Path(path).resolve().as_uri() + "?mode=ro", uri=True)
    db.text_factory = lambda raw: raw.decode(errors="surrogateescape")
    problems, digests = list(foreign(db)), set()
    accounts = "select distinct account_id from account_syncs where typeof(account_id) = 'integer' order by 1"
    for (account,) in db.execute(accounts).fetchall():
        links, loose = chain(db, account)
        for run, moment, computed, stored in links:
            digests |= {f"{stored}", f"{account}={stored}"}
            if computed != stored:
                problems.append(f"account {account}, run {run}, {moment}: sealed as {stored}, is {computed}")
        problems += [f"account {account}: {what}" for what in loose]
        print(f"account {account}: {len(links)} links, head {links[-1][3] if links else 'none'}")
    problems += [f"the head {head} is not in any chain" for head in heads if head.lower() not in digests]
    print("\n".join(problems).encode(errors="backslashreplace").decode() or "everything fits")
    return 1 if problems else 0


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]) if len(sys.argv) > 1 else __doc__)
    except sqlite3.Error as error:
        sys.exit(f"{sys.argv[1]} cannot be read as a vnsync warehouse: {error}")
