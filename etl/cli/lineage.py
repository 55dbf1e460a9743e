"""Lineage events of a sync: made at the beginning and the end of each run, and put into the outbox."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from etl.cli.outbox import Outbox, Undelivered, post
from etl.config.openlineage import LineageTarget
from etl.files import append
from etl.report import openlineage
from etl.report.openlineage import LineageRun

if TYPE_CHECKING:
    from etl.domain.runs import RunResult
    from etl.store.datasets import Dataset

SERVER, FILE = "an event to OPENLINEAGE_URL", "an event to VNSYNC_OPENLINEAGE_FILE"


class Lineage:
    """Events of one run after another. The first one is sent once the tables are known, or else at the run's end."""

    def __init__(self, target: LineageTarget, source_url: str, outbox: Outbox, now: Callable[[], datetime]) -> None:
        self._target, self._source_url, self._outbox, self._now = target, source_url, outbox, now
        self._outputs: Sequence[Dataset] | None = None
        self._uuid, self._begun = "", now()
        self._is_started = False

    def begin(self) -> None:
        """Note that a run begins, and send its START if the tables are known from an earlier run."""
        self._uuid, self._begun, self._is_started = str(uuid.uuid4()), self._now(), False
        if self._outputs is not None:
            self._start()

    def opened(self, outputs: Sequence[Dataset]) -> None:
        """Send START: the warehouse is open, and the run will write these tables."""
        self._outputs = outputs
        self._start()

    def end(self, exit_code: int, error: str | None, result: RunResult | None) -> None:
        """Send the event that says how the run ended."""
        self._start()
        self._send(openlineage.end(self._run(), self._now(), exit_code, error, result))

    def _start(self) -> None:
        if not self._is_started:
            self._is_started = True
            self._send(openlineage.start(self._run(), self._begun))

    def _run(self) -> LineageRun:
        parent = self._target.parent
        return LineageRun(
            run_uuid=self._uuid,
            namespace=self._target.namespace,
            source_url=self._source_url,
            parent=None if parent is None else (parent.namespace, parent.name, parent.run_id),
            outputs=self._outputs or (),
        )

    def _send(self, event: dict[str, Any]) -> None:
        content = json.dumps(event).encode()
        if self._target.url is not None:
            key = self._target.api_key
            headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}
            self._outbox.put(SERVER, partial(post, self._target.url, content, headers))
        if self._target.file is not None:
            self._outbox.put(FILE, partial(_append, self._target, content))


def _append(target: LineageTarget, content: bytes) -> None:
    assert target.file is not None
    try:
        append(target.file, content + b"\n")
    except OSError as error:
        raise Undelivered(error.strerror or type(error).__name__) from None
