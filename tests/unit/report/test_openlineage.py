"""Run events: which kind an exit code is, and that the reader of these tests refuses what OpenLineage does not know."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from etl.domain.tables import CAMPAIGNS
from etl.report.openlineage import LineageRun, end, start
from etl.store.datasets import Dataset, DatasetColumn
from tests.support.openlineage import read

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
RUN = LineageRun(
    run_uuid="01941f29-7c00-7087-8940-40e512bd361e",
    namespace="default",
    source_url="https://dataapi.example/v2.0",
    parent=("airflow", "dag.task", "01941f29-7c00-7087-8940-40e512bd361f"),
    outputs=(
        Dataset(
            namespace="postgres://db:5432",
            name="calls.public.campaigns",
            declared=CAMPAIGNS,
            closed=False,
            columns=(DatasetColumn(name="campaign_id", type="bigint", sentence="Id of the campaign."),),
        ),
    ),
)


@pytest.mark.parametrize(
    ("code", "kind"), [(0, "COMPLETE"), (3, "FAIL"), (1, "FAIL"), (78, "FAIL"), (130, "ABORT"), (143, "ABORT")]
)
def test_the_exit_code_decides_the_kind(code: int, kind: str) -> None:
    """A stop by a signal is no failure of the job."""
    event = end(RUN, NOON, code, "a cause" if code else None, None)
    read(event)
    assert (event["eventType"], event["eventTime"]) == (kind, "2026-01-05T12:00:00Z")
    assert ("errorMessage" in event["run"]["facets"]) == bool(code)


def _bad_id(event: dict[str, Any]) -> None:
    event["run"]["runId"] = "1"


def _bad_time(event: dict[str, Any]) -> None:
    event["eventTime"] = "noon"


def _bad_kind(event: dict[str, Any]) -> None:
    event["eventType"] = "BEGIN"


def _unknown_member(event: dict[str, Any]) -> None:
    event["outputs"][0]["facets"]["schema"]["columns"] = []


def _other_version(event: dict[str, Any]) -> None:
    facet = event["outputs"][0]["facets"]["columnLineage"]
    facet["_schemaURL"] = facet["_schemaURL"].replace("1-2-0", "1-0-0")


@pytest.mark.parametrize("spoil", [_bad_id, _bad_time, _bad_kind, _unknown_member, _other_version])
def test_a_spoiled_event_is_refused(spoil: Callable[[dict[str, Any]], None]) -> None:
    """So the tests that read events can fail."""
    event = start(RUN, NOON)
    read(copy.deepcopy(event))
    spoil(event)
    with pytest.raises((ValueError, TypeError, AssertionError)):
        read(event)
