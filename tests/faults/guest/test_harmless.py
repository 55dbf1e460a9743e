"""G03: additions and tuning by others are no damage: exit 70 is for changes that can falsify reads or writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from etl.store import schema
from etl.store.definitions import triggers
from tests.support.fault_clusters import private
from tests.support.scenes import Scene, others, scene

BOTH = pytest.mark.parametrize("database", ["sqlite", "postgresql"])
POSTGRESQL = pytest.mark.parametrize("database", ["postgresql"])


@pytest.fixture
def stage(database: str, tmp_path: Path) -> Iterator[Scene]:
    """A warehouse after its first sync; in PostgreSQL as a role that owns it and is no superuser."""
    if database == "sqlite":
        url = f"sqlite:///{tmp_path / 'w.db'}"
    else:
        private().execute("do $$ begin create role etl login; exception when duplicate_object then null; end $$")
        name = private().new_database("owner etl", migrated=False)
        private().execute("alter schema public owner to etl", name)
        url = private().url(name, "etl")
    with scene(tmp_path / "scene", url) as made:
        assert made.sync().code == 0
        yield made


def damage(stage: Scene, *more: str) -> list[str]:
    """Output of those of `sync`, `doctor` and `verify` that do not end with 0 on the next day."""
    stage.a_day_passes()
    commands = (("sync", *stage.source.options), ("doctor", *stage.source.options), ("verify",))
    return [done.out + done.err for done in (stage.call(*words, *more) for words in commands) if done.code]


NOTIFY = (
    "create function tell() returns trigger language plpgsql as $$ begin perform pg_notify('numbers', 'x'); {} end $$"
)
HARMLESS = {
    "column": ("alter table virtual_numbers add column mine text",),
    "column_with_default": ("alter table sites add column mine integer not null default 7",),
    "columns_of_history": ("alter table virtual_numbers_closed add column mine text",),
    "index": ("create index mine on virtual_numbers (status)",),
    "log": (
        "create table mine (what text)",
        "create trigger mine after insert on virtual_numbers begin insert into mine values ('update sites'); end",
    ),
}
HARMLESS_IN_POSTGRESQL = {
    **{name: case for name, case in HARMLESS.items() if name != "log"},
    "fillfactor": (
        "alter index ix_campaigns_site_id set (fillfactor = 70)",
        "alter table virtual_numbers set (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.01)",
        "alter index pk_sites set (fillfactor = 50)",
    ),
    "brin": ("alter index ix_virtual_numbers_valid_from set (pages_per_range = 64)",),
    "trigger_after": (
        NOTIFY.format("return null;"),
        "create trigger mine after insert or update or delete on virtual_numbers for each row execute function tell()",
    ),
    "trigger_by_statement": (
        NOTIFY.format("return null;"),
        "create trigger mine before insert on virtual_numbers for each statement execute function tell()",
    ),
    "trigger_before": (
        NOTIFY.format("return new;"),
        "create trigger mine before insert or update on virtual_numbers for each row execute function tell()",
    ),
    "row_security": ("alter table virtual_numbers enable row level security",),
    "statistics": ("alter table virtual_numbers alter column status set statistics 500",),
    "replication": ("alter table virtual_numbers replica identity full",),
}
CASES = [
    pytest.param(database, case, id=f"{database}-{name}")
    for database, cases in (("sqlite", HARMLESS), ("postgresql", HARMLESS_IN_POSTGRESQL))
    for name, case in cases.items()
]


@pytest.mark.parametrize(("database", "statements"), CASES)
@pytest.mark.fault("G03")
def test_harmless(statements: tuple[str, ...], stage: Scene) -> None:
    """Changes that affect no value read or written by vnsync: sync, `doctor` and `verify` end with 0."""
    others(stage, *statements)
    assert damage(stage) == []


@BOTH
@pytest.mark.fault("G03")
def test_trigger_that_watches_is_noted(database: str, stage: Scene) -> None:
    """A user's own trigger that only watches is mentioned by `doctor`, without a warning."""
    others(stage, *(HARMLESS["log"] if database == "sqlite" else HARMLESS_IN_POSTGRESQL["trigger_after"]))
    done = stage.call("doctor", "--output", "json", *stage.source.options)
    assert done.code == 0
    assert "mine is not vnsync's, and changes nothing" in done.out


@POSTGRESQL
@pytest.mark.fault("G03")
def test_comments_of_others_are_noted(stage: Scene) -> None:
    """`doctor` mentions comments that are missing or differ, without a warning; only `--comments` replaces them."""
    others(stage, "comment on table sites is 'mine'", "comment on column sites.site_id is null")
    assert damage(stage) == []
    found = stage.call("doctor", "--output", "json", *stage.source.options).out
    assert "1 comment is missing, the first on sites.site_id" in found
    assert "1 comment is not the text of this version of vnsync, the first on sites;" in found
    assert stage.call("db", "upgrade").code == 0
    found = stage.call("doctor", "--output", "json", *stage.source.options).out
    assert "comment is missing" not in found
    assert "the first on sites;" in found
    assert "views and comments were made again" in stage.call("db", "upgrade", "--comments").out
    assert "comment" not in stage.call("doctor", "--output", "json", *stage.source.options).out


DAMAGE_IN_SQLITE = {
    "after_that_writes": (
        "create trigger mine after insert on sites begin delete from sites_closed where site_id = new.site_id; end",
        "trigger mine",
    ),
    "after_that_skips": ("create trigger mine after insert on sites begin select raise(ignore); end", "trigger mine"),
}
DAMAGE_IN_POSTGRESQL = {
    "before_that_changes": (
        "create function f() returns trigger language plpgsql as $$ begin new.status := 'x'; return new; end $$;"
        "create trigger mine before insert on virtual_numbers for each row execute function f()",
        "trigger virtual_numbers.mine",
    ),
    "before_that_skips": (
        "create function f() returns trigger language plpgsql as $$ begin if new.status = 'x' then return null; end if;"
        " return new; end $$;"
        "create trigger mine before insert on virtual_numbers for each row execute function f()",
        "trigger virtual_numbers.mine",
    ),
    "after_that_writes": (
        "create function f() returns trigger language plpgsql as $$ begin"
        " delete from public.virtual_numbers_closed; return null; end $$;"
        "create trigger mine after insert on virtual_numbers for each row execute function f()",
        "trigger virtual_numbers.mine",
    ),
    "row_security": (
        "alter table virtual_numbers enable row level security; alter table virtual_numbers force row level security",
        "row-level security applies",
    ),
    "column_without_default": ("alter table erasures add column mine text not null", "column erasures.mine"),
    "unlogged": ("alter table listing_windows set unlogged", "is unlogged"),
}
DAMAGES = [
    pytest.param(database, *case, id=f"{database}-{name}")
    for database, cases in (("sqlite", DAMAGE_IN_SQLITE), ("postgresql", DAMAGE_IN_POSTGRESQL))
    for name, case in cases.items()
]


@pytest.mark.parametrize(("database", "statements", "says"), DAMAGES)
@pytest.mark.fault("G03")
def test_damage_is_still_found(statements: str, says: str, stage: Scene) -> None:
    """Changes that can falsify vnsync's reads or writes are named by `doctor`, exit 70."""
    others(stage, statements)
    done = stage.call("doctor", *stage.source.options)
    assert done.code == 70, done.out
    assert says in " ".join(done.out.split()) + done.err


@POSTGRESQL
@pytest.mark.fault("G03")
def test_row_security_for_the_syncing_role(stage: Scene) -> None:
    """Row-level security stops a sync only if it applies to the syncing role, before any request."""
    others(stage, "alter table virtual_numbers enable row level security")
    stage.recovers()
    others(stage, "alter table virtual_numbers force row level security")
    assert "row security is on for virtual_numbers" in stage.refused(stage.sync(), 70)


@pytest.mark.parametrize("name", ["Calls_EU", "select", "vnsync"])
@pytest.mark.fault("G03")
def test_schema_of_any_name(name: str, tmp_path: Path) -> None:
    """A schema whose name has to be quoted works like any other."""
    database = private().new_database(migrated=False)
    private().execute(f'create schema "{name}"', database)
    with scene(tmp_path / "scene", private().url(database)) as made:
        assert made.sync("--database-schema", name).code == 0
        assert damage(made, "--database-schema", name) == []


def partitioned(stage: Scene, how: str, name: str) -> None:
    """Recreate a table as partitioned, with its rows, keys and indexes."""
    with stage.engine.begin() as connection:
        table = text(
            "select pg_get_indexdef(indexrelid) from pg_index"
            " where indrelid = cast(:name as regclass) and not indisprimary"
        )
        indexes = connection.execute(table, {"name": name}).scalars().all()
        constraints = connection.execute(
            text(
                "select conname, pg_get_constraintdef(oid) from pg_constraint"
                " where conrelid = cast(:name as regclass) and contype in ('p', 'f', 'c')"
            ),
            {"name": name},
        ).all()
        parts = (
            [
                f"create table {name}_p{n} partition of {name} for values with (modulus 3, remainder {n})"
                for n in range(3)
            ]
            if how == "hash"
            else [
                f"create table {name}_p partition of {name} for values in ({stage.world.customer_ids[0]})",
                f"create table {name}_rest partition of {name} default",
            ]
        )
        for statement in (
            f"alter table {name} rename to old_rows",
            f"create table {name} (like old_rows including defaults) partition by {how} (account_id)",
            *parts,
            f"insert into {name} select * from old_rows",
            "drop table old_rows cascade",
            *(f"alter table {name} add constraint {key} {definition}" for key, definition in constraints),
            *(each.replace("old_rows", name) for each in indexes),
        ):
            connection.exec_driver_sql(statement)


@POSTGRESQL
@pytest.mark.parametrize("how", ["hash", "list"])
@pytest.mark.fault("G03")
def test_partitioned_by_account(how: str, stage: Scene) -> None:
    """Current and closed tables partitioned by account_id are no damage; an unlogged partition is."""
    for table in (*schema.current.values(), *schema.closed.values()):
        partitioned(stage, how, table.name)
    assert stage.call("db", "upgrade").code == 0
    assert damage(stage) == []
    stage.recovers()
    others(stage, f"alter table virtual_numbers_{'p0' if how == 'hash' else 'rest'} set unlogged")
    done = stage.call("doctor", *stage.source.options)
    assert done.code == 70
    assert "virtual_numbers: is unlogged" in " ".join((done.out + done.err).split())


@pytest.mark.parametrize(
    ("body", "writes"),
    [
        ("insert into mine values (new.status)", False),
        ("-- delete from sites\nselect 1", False),
        ("select 'update sites set x = 1'", False),
        ("update my_sites set n = n + 1", False),
        ("insert into sites_history_of_mine select 1", False),
        ('update "sites" set site_domain_name = null', True),
        ("DELETE FROM ONLY public . sites", True),
        ("insert or replace into sites values (1)", True),
        ("truncate table sites", True),
        ("select raise(ignore)", True),
    ],
)
@pytest.mark.fault("G03")
def test_what_a_trigger_writes(body: str, writes: bool) -> None:
    """A trigger is judged by the statements in its text, not by words in comments, strings or longer names."""
    assert triggers.writes(body, ["sites", "sites_closed"]) is writes


@pytest.mark.parametrize(
    ("body", "deletes", "passes"),
    [
        ("begin perform pg_notify('a', new.name); return new; end", False, True),
        ("begin return coalesce(new, old); end", True, True),
        ("begin return old; end", True, True),
        ("begin return old; end", False, False),
        ("begin return new; end", True, False),
        ("begin new.status = 'x'; return new; end", False, False),
        ("begin if new.status = 'x' then insert into log values (new.status); end if; return new; end", False, True),
        ("begin select 'x' into new.status; return new; end", False, False),
        ("begin select * into new from x; return new; end", False, False),
        ("begin execute 'x' using new; return new; end", False, False),
        ("begin if true then return null; end if; return new; end", False, False),
        ("begin raise exception 'no'; end", False, False),
    ],
)
@pytest.mark.fault("G03")
def test_what_a_trigger_passes_on(body: str, deletes: bool, passes: bool) -> None:
    """A trigger that runs before a row is written is harmless only if it certainly returns the row unchanged."""
    assert triggers.passes_rows_on(body, "plpgsql", deletes=deletes) is passes
    assert not triggers.passes_rows_on(body, "plpython3u", deletes=deletes)


@POSTGRESQL
@pytest.mark.fault("G03")
def test_a_key_that_holds_rows_fast_is_told(stage: Scene) -> None:
    """A user's own foreign key that forbids deleting referenced rows is no damage yet: `doctor` names it and its
    effect; one that allows deletion is not mentioned."""
    number = "account_id bigint, virtual_number_id bigint, constraint {} foreign key (account_id, virtual_number_id)"
    to = "references virtual_numbers"
    others(stage, f"create table lax ({number.format('lets_go')} {to} on delete cascade)")
    assert "foreign key" not in stage.call("doctor", *stage.source.options).out
    others(stage, f"create table strict ({number.format('holds')} {to})")
    done = stage.call("doctor", *stage.source.options)
    assert done.code == 0
    assert "the foreign key holds of table public.strict forbids the deletion of rows" in done.out
    assert "lets_go" not in done.out
