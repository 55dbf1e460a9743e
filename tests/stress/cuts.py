"""Cuts of the connection to PostgreSQL around COMMIT, with a check that the run reports the true outcome.

Usage: python -m tests.stress.cuts [--cuts 20] [--seed 1]

`--cuts` of them are between the commit of an account's publication and its acknowledgement. The same number is spread
over the commits of run rows and claims, and over the moments before and during a commit.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import make_url, text

from tests.stress.clusters import cluster
from tests.stress.link import MODES, Link, link
from tests.stress.stage import Breach, Ended, Stage, reading, stage


@dataclass
class Counts:
    """Counts of a stress run."""

    cuts: Counter[str] = field(default_factory=Counter)
    codes: Counter[int] = field(default_factory=Counter)

    def __str__(self) -> str:
        kinds = ", ".join(f"{n} {kind}" for kind, n in sorted(self.cuts.items()))
        codes = ", ".join(f"{n} x exit {code}" for code, n in sorted(self.codes.items()))
        return f"{self.cuts.total()} cuts ({kinds}); {codes}"


LOST_ACK = "after a publication's commit"


def campaign(play: Stage, wire: Link, through: str, cuts: int) -> Counts:
    """Cut `cuts` acknowledgements of publications, and other commits between them."""
    counts, number = Counts(), {True: 0, False: 0}
    play.converge()
    turn = 0
    while counts.cuts[LOST_ACK] < cuts:
        publishing, mode = _aims(turn)
        turn += 1
        number[publishing] += 1
        before, known = play.truth(), set(_run_rows(play))
        play.pass_day()
        wire.aim(mode, publishing=publishing, number=number[publishing])
        ended = play.run(url=through)
        if wire.cut:
            whose = "a publication's" if publishing else "another"
            counts.cuts[f"{mode} {whose} commit"] += 1
            counts.codes[ended.code] += 1
            published = play.between(before, play.truth())
            _judge(play, ended, published, acknowledged=mode == "after" and publishing)
            _rows_agree(play, ended, known)
        else:
            number[publishing] = 0  # the sweep has ended
        wire.mode = "none"
        play.converge()
    return counts


def _aims(turn: int) -> tuple[bool, str]:
    """Mode and kind of a cut: every other cut is between a publication's commit and its acknowledgement."""
    if turn % 2 == 0:
        return True, "after"
    others = [(False, mode) for mode in MODES] + [(True, "before"), (True, "in flight")]
    return others[turn // 2 % len(others)]


def _judge(play: Stage, ended: Ended, published: set[int], *, acknowledged: bool) -> None:
    if ended.code not in (0, 3, 69):
        raise Breach(f"a cut link made the run end with {ended.code}: {ended.err}")
    if acknowledged and (ended.code or published != set(play.world.customer_ids)):
        raise Breach(f"all was committed, but the run ended with {ended.code}: {ended.err}")
    if (ended.code == 0) != (published == set(play.world.customer_ids)) and ended.code != 69:
        raise Breach(f"exit {ended.code}, though published are {published}")


def _rows_agree(play: Stage, ended: Ended, known: set[int]) -> None:
    """The run's row, if it could be written, agrees with the process's output."""
    told = {code for run_id, (status, code) in _run_rows(play).items() if run_id not in known and status != "running"}
    if told - {ended.code}:
        raise Breach(f"the run's row says {told}, the process {ended.code}: {ended.err}")


def _run_rows(play: Stage) -> dict[int, tuple[str, int | None]]:
    with reading(play.url) as engine, engine.connect() as connection:
        rows = connection.execute(text("select run_id, status, exit_code from sync_runs"))
        return {row.run_id: (row.status, row.exit_code) for row in rows}


def run(cuts: int, seed: int) -> Counts:
    """Run the whole stress run on its own cluster."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        with cluster(folder / "pg") as server, link(server.socket) as (wire, port):
            url = server.new()
            with stage(url, folder, seed=seed) as play:
                return campaign(play, wire, over_tcp(url, port), cuts)


def over_tcp(url: str, port: int) -> str:
    """The URL of the same database through a loopback port."""
    return make_url(url).set(host="127.0.0.1", port=port, query={}).render_as_string(hide_password=False)


def main() -> None:
    """Parse the arguments, run, and print the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cuts", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    start = time.monotonic()
    counts = run(asked.cuts, asked.seed)
    sys.stdout.write(f"postgresql: {counts}; no breach, in {time.monotonic() - start:.0f} s\n")


if __name__ == "__main__":
    main()
