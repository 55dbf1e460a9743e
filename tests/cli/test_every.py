"""`sync --every`: a process that stays, heeds the day's points, and ends cleanly."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from etl.sandbox.faults import error
from etl.sandbox.limits import Limits
from tests.support.running import Run, Source, command, environment


@contextmanager
def _staying(agency: Source, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A resident sync with a beat of a second; it is killed if the test does not end it."""
    arguments = command("sync", "--every", "1s", *words, *agency.options)
    with subprocess.Popen(
        arguments, env=environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as staying:
        try:
            yield staying
        finally:
            staying.kill()


def _lines(staying: subprocess.Popen[str], count: int) -> list[str]:
    assert staying.stdout is not None
    return [staying.stdout.readline() for _ in range(count)]


def test_it_syncs_on_each_beat_until_it_is_stopped(agency: Source, vnsync: Run) -> None:
    """One line for each run, with runs of their own; SIGTERM ends it with 143 and nothing half-published."""
    with _staying(agency) as staying:
        first, second, third = _lines(staying, 3)
        staying.send_signal(signal.SIGTERM)
        _, said = staying.communicate(timeout=60)
    assert staying.returncode == 143
    assert "stopped by SIGTERM" in said
    assert "rows added" in first
    assert "nothing changed" in second
    assert len({line.split()[1] for line in (first, second, third)}) == 3
    assert vnsync("verify").code == 0


def test_json_is_one_object_a_run(agency: Source) -> None:
    """Each on a line of its own, brief if asked for."""
    with _staying(agency, "--output", "json", "--brief") as staying:
        runs = [json.loads(line) for line in _lines(staying, 2)]
    assert [run["sums"]["accounts"] for run in runs] == [{"total": 2, "succeeded": 2}] * 2
    assert runs[0]["run_id"] < runs[1]["run_id"]


def test_it_waits_for_the_days_points(agency: Source) -> None:
    """Points for the first run and a part of the second: the second does not begin, and a line says why."""
    agency.api.limits = Limits(lambda: 0.0, None, 8)
    with _staying(agency) as staying:
        _lines(staying, 1)
        assert staying.stderr is not None
        said = next(line for line in staying.stderr if "left today" in line)
        requests = len(agency.api.requests)
        staying.send_signal(signal.SIGINT)
        out, _ = staying.communicate(timeout=60)
    assert re.search(r"[0-9]+ API points? left today, and a sync takes [0-9]+: no sync until", said)
    assert (staying.returncode, out) == (130, "")
    assert len(agency.api.requests) == requests <= 8


def test_a_failure_that_may_pass_is_tried_again(agency: Source) -> None:
    """The roster cannot be read once: one line reports it, and the next beat publishes."""
    agency.api.faults.add(error("brand_new_error"), times=1, method="get.customer_users")
    with _staying(agency) as staying:
        (line,) = _lines(staying, 1)
        staying.send_signal(signal.SIGTERM)
        _, said = staying.communicate(timeout=60)
    assert "2 of 2 accounts published" in line
    assert "(exit 65); the next beat tries again" in said


def test_a_key_that_is_refused_ends_it(agency: Source) -> None:
    """77 is for a person: the process does not go on asking."""
    Path(agency.options[-1]).write_text("another-key-than-this-sandbox-has")
    with _staying(agency) as staying:
        out, said = staying.communicate(timeout=60)
    assert (staying.returncode, out) == (77, "")
    assert "exit 77" in said


def test_plan_says_what_a_beat_costs(agency: Source, vnsync: Run) -> None:
    """Points a sync and a day, and whether the day's points suffice."""
    agency.api.limits = Limits(lambda: 0.0, None, 1000)
    told = vnsync("plan", "--every", "5m", *agency.options).out.splitlines()[-1]
    found = re.fullmatch(r"(\d+) points a sync: every 5 minutes takes ([\d ]+) of 1 000 points a day(.*)\.", told)
    assert found is not None
    points, a_day = int(found[1]), int(found[2].replace(" ", ""))
    assert a_day == points * 288
    assert ("more than there are" in found[3]) == (a_day > 1000)
    beat = vnsync("plan", "--every", "6h", "--output", "json", *agency.options).json["beat"]
    assert beat == {"every_seconds": 21600, "points_a_sync": points, "points_a_day": 4 * points, "day_limit": 1000}
