"""Open numbers that a viewer has never listed: they were opened while another viewer listed the account.

A viewer has listed the numbers that were open at its last complete listing (one without suspects), and those that its
own syncs opened or changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Table, and_, exists, func, not_, or_, select

from etl.domain import tables as declared
from etl.domain.viewer import Viewer
from etl.store import schema

BATCH = 500
"""Count of ids in one statement."""
_SYNCS = schema.account_syncs.c


def never_shown(connection: Connection, account_id: int, viewer: Viewer, ids: Sequence[int]) -> set[int]:
    """The ids among `ids`, open numbers of the account, that are in no recorded listing of this viewer."""
    of_account = and_(_SYNCS.account_id == account_id, _SYNCS.observed_at.is_not(None))
    mine = and_(of_account, _seen_by(viewer))
    whole: datetime | None = connection.scalar(select(func.max(_SYNCS.observed_at)).where(mine, _SYNCS.suspects == 0))
    since = [of_account] if whole is None else [of_account, _SYNCS.observed_at > whole]
    if connection.scalar(select(func.count()).where(*since, not_(_seen_by(viewer)))) == 0:
        return set()
    shown = set[int]()
    for start in range(0, len(ids), BATCH):
        for numbers in (schema.current, schema.closed):
            versions = numbers[declared.VIRTUAL_NUMBERS.name]
            found = versions.c.virtual_number_id.in_(ids[start : start + BATCH])
            held = _held(versions, mine, whole)
            shown.update(
                connection.scalars(
                    select(versions.c.virtual_number_id).where(versions.c.account_id == account_id, found, held)
                )
            )
    return set(ids) - shown


def _seen_by(viewer: Viewer) -> ColumnElement[bool]:
    """Condition like `Viewer.sees_as` for the viewers of syncs; a sync without a credential is compared by its user."""
    same_user = _SYNCS.listed_by_user_id.is_not_distinct_from(viewer.user_id)
    if viewer.credential is None:
        return same_user
    return and_(same_user, func.coalesce(_SYNCS.listed_by_credential, viewer.credential) == viewer.credential)


def _held(versions: Table, mine: ColumnElement[bool], whole: datetime | None) -> ColumnElement[bool]:
    """Condition that a version was opened by one of the syncs `mine`, or was open at the listing of `whole`."""
    opened = exists().where(mine, _SYNCS.run_id == versions.c.opened_run_id)
    if whole is None:
        return opened
    ends = [versions.c.valid_to > whole] if "valid_to" in versions.c else []
    return or_(opened, and_(versions.c.valid_from <= whole, *ends))
