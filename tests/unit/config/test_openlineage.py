"""OpenLineage's variables: what they mean, and that none of them can stop a sync."""

from __future__ import annotations

from pathlib import Path

import pytest

from etl.config.openlineage import Parent, lineage_target

RUN = "01941f29-7c00-7087-8940-40e512bd361e"
URL = {"OPENLINEAGE_URL": "http://marquez.example:5000"}


def test_nothing_is_sent_unless_it_is_asked_for() -> None:
    """Neither URL nor file, or events turned off for all programs."""
    assert lineage_target(None, {"OPENLINEAGE_NAMESPACE": "n"}) is None
    assert lineage_target(Path("f"), {**URL, "OPENLINEAGE_DISABLED": "True"}) is None
    assert lineage_target(None, {"OPENLINEAGE_URL": ""}) is None


@pytest.mark.parametrize(
    ("server", "endpoint", "address"),
    [
        ("http://m:5000", None, "http://m:5000/api/v1/lineage"),
        ("https://m/base/", "/events", "https://m/base/events"),
        ("http://[::1]:5000/", "api/v1/lineage", "http://[::1]:5000/api/v1/lineage"),
    ],
)
def test_url_and_endpoint(server: str, endpoint: str | None, address: str) -> None:
    """The endpoint has a default, and one slash before it."""
    more = {} if endpoint is None else {"OPENLINEAGE_ENDPOINT": endpoint}
    target = lineage_target(None, {"OPENLINEAGE_URL": server, **more})
    assert target is not None
    assert (target.url, target.namespace, target.api_key, target.problems) == (address, "default", None, ())


@pytest.mark.parametrize("server", ["marquez:5000", "ftp://m/", "http://", "http://[::1", "http://m:x/", "kafka"])
def test_an_unusable_url_is_a_problem(server: str) -> None:
    """Not an error; the file is still written."""
    target = lineage_target(Path("f"), {"OPENLINEAGE_URL": server})
    assert target is not None
    assert (target.url, target.file) == (None, Path("f"))
    assert target.problems == ("OPENLINEAGE_URL is not used: it is no http or https URL",)


@pytest.mark.parametrize(
    ("written", "parent"),
    [
        (f"airflow/dag.task/{RUN}", Parent(namespace="airflow", name="dag.task", run_id=RUN)),
        (f"s3://a/b/dag.task/{RUN.upper()}", Parent(namespace="s3://a/b", name="dag.task", run_id=RUN)),
        ("airflow/dag.task/manual__2026", None),
        (f"dag.task/{RUN}", None),
        (f"//{RUN}", None),
        (RUN, None),
    ],
)
def test_parent(written: str, parent: Parent | None) -> None:
    """`namespace/name/run-id`; anything else is a problem and no parent."""
    target = lineage_target(None, {**URL, "OPENLINEAGE_PARENT_ID": written})
    assert target is not None
    assert target.parent == parent
    assert [p.split()[0] for p in target.problems] == ([] if parent else ["OPENLINEAGE_PARENT_ID"])
