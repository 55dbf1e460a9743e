"""Races: 2 to 8 runs start at once, over the same accounts and over different ones, repeatedly.

Usage: python -m tests.stress.races --database sqlite|postgresql [--rounds 200] [--seed 1]

Over the same accounts one run succeeds (0), others sync what it left (3) or must be tried again later (75). Over
different accounts all succeed. After each round the warehouse equals the source, and no lock, claim or running run is
left.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.stress.clusters import cluster
from tests.stress.stage import Breach, Stage, leftovers, no_lock_files, reading, stage


def campaign(play: Stage, rounds: int, rng: random.Random) -> Counter[int]:
    """Run `rounds` races. Returns how often each exit code came."""
    codes: Counter[int] = Counter()
    play.converge()
    for turn in range(rounds):
        play.pass_day()
        if turn % 4 == 3:
            words = [play.words("--account", str(account)) for account in play.world.customer_ids]
        else:
            words = [play.words()] * rng.randint(2, 8)
        done = play.runner.race(words, play.environment())
        found = [each.code for each in done]
        if not set(found) <= {0, 3, 75} or 0 not in found or (turn % 4 == 3 and any(found)):
            raise Breach(f"a race ended with {found}: {[each.err for each in done]}")
        codes.update(found)
        play.equals(play.truth())
        with reading(play.url) as engine:
            leftovers(engine)
        no_lock_files(play.url)
    return codes


def run(database: str, rounds: int, seed: int) -> Counter[int]:
    """Run the whole stress run on one database, in its own folder."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        if database == "sqlite":
            with stage(f"sqlite:///{folder}/w.db", folder, seed=seed, customers=4) as play:
                return campaign(play, rounds, random.Random(seed))
        with cluster(folder / "pg") as server, stage(server.new(), folder, seed=seed, customers=4) as play:
            return campaign(play, rounds, random.Random(seed))


def main() -> None:
    """Parse the arguments, run, and print the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], required=True)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    start = time.monotonic()
    codes = run(asked.database, asked.rounds, asked.seed)
    told = ", ".join(f"{n} x exit {code}" for code, n in sorted(codes.items()))
    seconds = time.monotonic() - start
    sys.stdout.write(f"{asked.database}: {asked.rounds} races, {told}; no breach, in {seconds:.0f} s\n")


if __name__ == "__main__":
    main()
