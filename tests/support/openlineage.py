"""Run events read by OpenLineage's own Python client: its classes refuse unknown members, bad ids and bad times."""

from __future__ import annotations

from typing import Any

from openlineage.client import event_v2, facet_v2
from openlineage.client.serde import Serde

FACETS = {
    "schema": facet_v2.schema_dataset.SchemaDatasetFacet,
    "columnLineage": facet_v2.column_lineage_dataset.ColumnLineageDatasetFacet,
    "outputStatistics": facet_v2.output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet,
    "processing_engine": facet_v2.processing_engine_run.ProcessingEngineRunFacet,
    "parent": facet_v2.parent_run.ParentRunFacet,
    "errorMessage": facet_v2.error_message_run.ErrorMessageRunFacet,
    "jobType": facet_v2.job_type_job.JobTypeJobFacet,
}
OWN = "vnsync_run"


def read(event: dict[str, Any]) -> event_v2.RunEvent:
    """The event as an object of the client; serialized again, it equals the event."""
    run, job = event["run"], event["job"]
    read_back = event_v2.RunEvent(
        eventTime=event["eventTime"],
        eventType=event_v2.RunState(event["eventType"]),
        producer=event["producer"],
        run=event_v2.Run(run["runId"], _facets(run["facets"])),
        job=event_v2.Job(job["namespace"], job["name"], _facets(job["facets"])),
        inputs=[_dataset(event_v2.InputDataset, one) for one in event["inputs"]],
        outputs=[_dataset(event_v2.OutputDataset, one) for one in event["outputs"]],
    )
    own = event["run"]["facets"].pop(OWN, None)
    sent = _without_empty(Serde.to_dict(read_back))
    assert sent == _without_empty(event)
    if own is not None:
        assert own.keys() >= {"_producer", "_schemaURL"}
        event["run"]["facets"][OWN] = own
    return read_back


def _dataset(kind: type[Any], told: dict[str, Any]) -> Any:
    more = {"outputFacets": _facets(told["outputFacets"])} if "outputFacets" in told else {}
    assert told.keys() <= {"namespace", "name", "facets", "outputFacets"}
    return kind(told["namespace"], told["name"], facets=_facets(told["facets"]), **more)


def _facets(told: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The facets as the client's objects; their schema URL is the client's, including the version."""
    made = {}
    for name, facet in told.items():
        if name == OWN:
            continue
        members = {k: v for k, v in facet.items() if not k.startswith("_")}
        made[name] = FACETS[name](**members, producer=facet["_producer"])
        assert facet["_schemaURL"] == made[name]._get_schema()
    return made


def _without_empty(value: Any) -> Any:
    """The value without empty members, because the client adds some."""
    if isinstance(value, dict):
        return {k: _without_empty(v) for k, v in value.items() if v not in ({}, [], None)}
    return [_without_empty(v) for v in value] if isinstance(value, list) else value
