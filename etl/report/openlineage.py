"""Run events of a sync in the form of OpenLineage: what it read, which tables it wrote, and from which fields."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

import etl
from etl.domain.installations import origin_of
from etl.domain.runs import RunResult, TableChange
from etl.domain.tables import METHOD, REST, source_paths
from etl.report.values import iso
from etl.store.datasets import Dataset

JOB = "vnsync.sync"
PRODUCER = f"urn:vnsync:{etl.__version__}"
STOPPED = 128
"""Exit codes above it mean that a signal stopped the run."""
_SPEC = "https://openlineage.io/spec"
_CORE = f"{_SPEC}/2-0-2/OpenLineage.json#/$defs"
_IDENTITY = {"type": "DIRECT", "subtype": "IDENTITY"}
_COLLECTED = {"type": "DIRECT", "subtype": "TRANSFORMATION", "description": "fields that the declared record lacks"}

Json = dict[str, Any]


class LineageRun(Struct, frozen=True, kw_only=True):
    """One run. `run_uuid`: its id in OpenLineage; `namespace`: of the job; `parent`: namespace, job name and run id."""

    run_uuid: str
    namespace: str
    source_url: str
    parent: tuple[str, str, str] | None = None
    outputs: Sequence[Dataset] = ()


def start(run: LineageRun, at: datetime) -> Json:
    """The event of a run that begins."""
    return _event("START", run, at, {}, None)


def end(run: LineageRun, at: datetime, exit_code: int, error: str | None, result: RunResult | None) -> Json:
    """The event of a run that has ended: COMPLETE for exit code 0, ABORT for a stop by a signal, FAIL for the rest.

    `result`: None if it ended before it had one; `error`: the line that explains the exit code.
    """
    kind = "COMPLETE" if exit_code == 0 else "ABORT" if exit_code > STOPPED else "FAIL"
    facets = {"vnsync_run": _own_facet(exit_code, result)}
    if error is not None:
        facets["errorMessage"] = _facet("1-0-1", "ErrorMessageRunFacet", message=error, programmingLanguage="PYTHON")
    return _event(kind, run, at, facets, result)


def _event(kind: str, run: LineageRun, at: datetime, facets: Json, result: RunResult | None) -> Json:
    return {
        "eventType": kind,
        "eventTime": iso(at),
        "producer": PRODUCER,
        "schemaURL": f"{_CORE}/RunEvent",
        "run": {"runId": run.run_uuid, "facets": {**_run_facets(run), **facets}},
        "job": {"namespace": run.namespace, "name": JOB, "facets": {"jobType": _job_type()}},
        "inputs": [{**_source(run), "facets": {"schema": _source_schema()}}],
        "outputs": [_output(run, table, result) for table in run.outputs],
    }


# -- the run and the job


def _run_facets(run: LineageRun) -> Json:
    engine = _facet("1-1-1", "ProcessingEngineRunFacet", version=etl.__version__, name="vnsync")
    if run.parent is None:
        return {"processing_engine": engine}
    namespace, name, run_id = run.parent
    parent = _facet("1-2-0", "ParentRunFacet", run={"runId": run_id}, job={"namespace": namespace, "name": name})
    return {"processing_engine": engine, "parent": parent}


def _own_facet(exit_code: int, result: RunResult | None) -> Json:
    """Facet by which an event is found again in `sync_runs`."""
    facts: Json = {"_producer": PRODUCER, "_schemaURL": f"{_CORE}/RunFacet", "exitCode": exit_code}
    if result is not None:
        accounts = {"accounts": len(result.accounts), "published": result.published}
        facts.update({"runId": result.run_id, "status": result.status.value, **accounts})
    return facts


def _job_type() -> Json:
    return _facet("2-0-4", "JobTypeJobFacet", processingType="BATCH", integration="VNSYNC", jobType="COMMAND")


# -- datasets


def _source(run: LineageRun) -> Json:
    """The listing of the API as a dataset: the installation, and the method."""
    return {"namespace": origin_of(run.source_url), "name": METHOD}


def _source_schema() -> Json:
    fields = [{"name": _field(path)} for path in source_paths() if not path.endswith(REST)]
    return _facet("1-2-0", "SchemaDatasetFacet", fields=fields)


def _output(run: LineageRun, table: Dataset, result: RunResult | None) -> Json:
    fields = [{"name": c.name, "type": c.type, "description": c.sentence} for c in table.columns]
    facets = {
        "schema": _facet("1-2-0", "SchemaDatasetFacet", fields=fields),
        "columnLineage": _facet("1-2-0", "ColumnLineageDatasetFacet", fields=_lineage(run, table)),
    }
    dataset: Json = {"namespace": table.namespace, "name": table.name, "facets": facets}
    if result is None:
        return dataset
    written = _facet("1-0-2", "OutputStatisticsOutputDatasetFacet", rowCount=_written(table, result))
    return {**dataset, "outputFacets": {"outputStatistics": written}}


def _lineage(run: LineageRun, table: Dataset) -> Json:
    """The fields of the source by the column that is made from them; account, times and runs are vnsync's own."""
    lineage: Json = {}
    for column in table.declared.columns:
        path = table.declared.source_of(column)
        how = _COLLECTED if path.endswith(REST) else _IDENTITY
        field = {**_source(run), "field": _field(path), "transformations": [how]}
        lineage[column.name] = {"inputFields": [field]}
    return lineage


def _written(table: Dataset, result: RunResult) -> int:
    """Rows that the run wrote: versions it opened, or closed."""
    changes = [account.changes.get(table.declared.name, TableChange()) for account in result.accounts]
    return sum(change.closed if table.closed else change.opened for change in changes)


def _field(path: str) -> str:
    return path.removeprefix("$.")


def _facet(version: str, name: str, /, **members: Any) -> Json:
    return {"_producer": PRODUCER, "_schemaURL": f"{_SPEC}/facets/{version}/{name}.json#/$defs/{name}", **members}
