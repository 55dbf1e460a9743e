"""OpenLineage's own environment variables, which every program that sends lineage events understands."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct

from etl.config.secrets import Secret

ENDPOINT = "api/v1/lineage"
NAMESPACE = "default"


class Parent(Struct, frozen=True, kw_only=True):
    """Run that started this one: a task of a scheduler."""

    namespace: str
    name: str
    run_id: str


class LineageTarget(Struct, frozen=True, kw_only=True):
    """Where events go: to a URL, to a file, or both. `problems`: variables that cannot be used, one line each."""

    url: str | None = None
    api_key: Secret | None = None
    file: Path | None = None
    namespace: str = NAMESPACE
    parent: Parent | None = None
    problems: tuple[str, ...] = ()


def lineage_target(file: Path | None, environment: Mapping[str, str]) -> LineageTarget | None:
    """Target by `OPENLINEAGE_...` of the environment and the setting for a file; None where no events are wanted.

    A variable that cannot be used is a problem and no error: lineage never decides whether a sync runs.
    """
    given = {name: value.strip() for name, value in environment.items() if name.startswith("OPENLINEAGE_")}
    server = given.get("OPENLINEAGE_URL")
    if given.get("OPENLINEAGE_DISABLED", "").lower() == "true" or not (server or file):
        return None
    problems = []
    url = _address(server, given.get("OPENLINEAGE_ENDPOINT") or ENDPOINT) if server else None
    if server and url is None:
        problems.append("OPENLINEAGE_URL is not used: it is no http or https URL")
    written = given.get("OPENLINEAGE_PARENT_ID")
    parent = _parent(written) if written else None
    if written and parent is None:
        problems.append("OPENLINEAGE_PARENT_ID is not used: it is not namespace/name/run-id, with a UUID as run-id")
    return LineageTarget(
        url=url,
        api_key=Secret(key) if (key := given.get("OPENLINEAGE_API_KEY")) else None,
        file=file,
        namespace=given.get("OPENLINEAGE_NAMESPACE") or NAMESPACE,
        parent=parent,
        problems=tuple(problems),
    )


def _address(server: str, endpoint: str) -> str | None:
    try:
        parts = urlsplit(server)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return None
    return f"{server.rstrip('/')}/{endpoint.lstrip('/')}" if usable and server.isprintable() else None


def _parent(written: str) -> Parent | None:
    """`namespace/name/run-id`; the namespace may have slashes, a run id is a UUID."""
    from uuid import UUID

    namespace, name, run_id = written.rsplit("/", 2) if written.count("/") > 1 else ("", "", "")
    if not (namespace and name):
        return None
    try:
        return Parent(namespace=namespace, name=name, run_id=str(UUID(run_id)))
    except ValueError:
        return None
