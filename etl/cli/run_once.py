"""One run of the pipeline, with the ports of this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from etl.cli.sharing import Sharing
    from etl.config.settings import Loaded
    from etl.domain.ports import Clock, Report
    from etl.domain.recorder import RunRecorder
    from etl.domain.runs import RunResult
    from etl.extract.jsonrpc import DataApi
    from etl.sync.run import SyncOptions
    from etl.workers.transformers import Transformers


def run_once(
    api: DataApi,
    engine: Engine,
    *,
    chosen: SyncOptions,
    clock: Clock,
    report: Report,
    recorder: RunRecorder,
    offered: Transformers,
    shared: Sharing,
) -> RunResult:
    """Run the pipeline through an open client.

    `recorder`: of this run alone; `offered`: the transform processes; `shared`: with other processes of the token.
    """
    from random import SystemRandom

    from etl.extract.accounts import discover
    from etl.extract.prefetch import threaded
    from etl.sync import run

    return run.sync(
        api,
        engine,
        options=chosen,
        clock=clock,
        random=SystemRandom(),
        report=report,
        recorder=recorder,
        fetcher=threaded,
        transformers=offered,
        find_roster=shared.find_roster or discover,
    )


def run_alone(loaded: Loaded, engine: Engine, *, chosen: SyncOptions, clock: Clock, outlet: Report) -> RunResult:
    """Run the pipeline once, with a client, a recorder and transform processes of its own, made from the settings.

    `outlet`: receives the run's events.
    """
    from etl.cli.connect import data_api, in_a_run, recording
    from etl.cli.sharing import sharing
    from etl.workers.pool import transformers

    with in_a_run(outlet) as report, sharing(loaded, engine, clock) as shared:
        recorder, tap = recording(loaded, report)
        with (
            data_api(loaded, clock=clock, report=report, tap=tap, pace=shared.pace) as api,
            transformers() as offered,
        ):
            return run_once(
                api,
                engine,
                chosen=chosen,
                clock=clock,
                report=report,
                recorder=recorder,
                offered=offered,
                shared=shared,
            )
