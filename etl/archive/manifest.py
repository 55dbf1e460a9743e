"""Manifests as they are read back: whole or interrupted, and which of their publications came to be."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from etl.archive.layout import FORMAT, Layout, local_trouble
from etl.archive.lines import Account, End, Line, Plan, Publishes, Response, Roster, Run, Seal, decoded
from etl.errors import IntegrityBroken

_REMEDY = "Restore the archive from a copy"


@dataclass(frozen=True)
class Manifest:
    """One run's manifest. Unsealed it belongs to a run that is still on, or that was interrupted."""

    run: Run
    lines: tuple[Line, ...]
    sealed: bool

    @property
    def responses(self) -> Iterator[Response]:
        """The requests in order, with what came."""
        return (line for line in self.lines if isinstance(line, Response))

    @property
    def digests(self) -> set[str]:
        """The objects that it needs."""
        return {line.sha256 for line in self.responses if line.sha256 is not None}

    @property
    def outcomes(self) -> dict[int, Account]:
        """How the accounts ended, as far as that was still written."""
        return {line.account_id: line for line in self.lines if isinstance(line, Account)}

    @property
    def attempts(self) -> dict[int, Publishes]:
        """What was about to be committed, by account."""
        return {line.account_id: line for line in self.lines if isinstance(line, Publishes)}

    @property
    def roster(self) -> dict[int, list[int]]:
        """The accounts that the token reached, with their users; empty when the run did not get so far."""
        rosters = [line for line in self.lines if isinstance(line, Roster)]
        return dict(rosters[-1].accounts) if rosters else {}

    @property
    def bounds(self) -> dict[int, list[int]]:
        """Where the listings were cut, by account."""
        return {line.account_id: line.bounds for line in self.lines if isinstance(line, Plan)}

    @property
    def status(self) -> str:
        """How the run ended."""
        ends = [line.status for line in self.lines if isinstance(line, End)]
        return ends[-1] if ends else "interrupted"


def read_manifest(layout: Layout, run_id: int) -> Manifest:
    """A run's manifest. Raises `IntegrityBroken` when it is not whole, or not what its seal says."""
    return parse(read_bytes(layout, run_id), run_id)


def read_bytes(layout: Layout, run_id: int) -> bytes:
    """A manifest's bytes."""
    path = layout.manifest(run_id)
    if not path.is_file():
        raise IntegrityBroken(f"the archive holds no run {run_id}", remedy=_REMEDY)
    with local_trouble(path):
        return path.read_bytes()


def parse(text: bytes, run_id: int) -> Manifest:
    """The manifest in these bytes. What a crash left after the last whole line is passed over."""
    whole, _, torn = text.rpartition(b"\n")
    found: list[Line] = []
    for number, one in enumerate(whole.split(b"\n") if whole else [], 1):
        try:
            found.append(decoded(one))
        except ValueError as exc:
            raise _damaged(run_id, f"line {number} cannot be read: {exc}") from None
    if not found or not isinstance(found[0], Run):
        raise _damaged(run_id, "it does not begin with its run")
    if found[0].format != FORMAT or found[0].run_id != run_id:
        raise _damaged(run_id, f"it says run {found[0].run_id}, format {found[0].format}")
    sealed = _is_sealed(found, whole, run_id)
    if sealed and torn:
        raise _damaged(run_id, "something follows its seal")
    return Manifest(found[0], tuple(found), sealed)


def _is_sealed(found: list[Line], whole: bytes, run_id: int) -> bool:
    if any(isinstance(line, Run | Seal) for line in found[1:-1]):
        raise _damaged(run_id, "a first or last line stands within it")
    seal = found[-1]
    if not isinstance(seal, Seal):
        return False
    sealed = whole[: whole.rfind(b"\n") + 1]
    if seal.lines != len(found) - 1 or seal.sha256 != hashlib.sha256(sealed).hexdigest():
        raise _damaged(run_id, "it is not what its seal says")
    return True


def _damaged(run_id: int, what: str) -> IntegrityBroken:
    return IntegrityBroken(f"the archive's manifest of run {run_id} is damaged: {what}", remedy=_REMEDY)


def confirmed(manifests: list[Manifest]) -> list[dict[int, Publishes]]:
    """What each of the runs published, by account; the runs in order.

    A run that was killed around a commit cannot say whether it was made. The next publication of that account can: it
    names the observation that it follows.
    """
    followed = {(p.account_id, p.previous) for m in manifests for p in m.attempts.values()}
    return [_confirmed(manifest, followed) for manifest in manifests]


def _confirmed(manifest: Manifest, followed: set[tuple[int, datetime | None]]) -> dict[int, Publishes]:
    outcomes = manifest.outcomes

    def came_to_be(attempt: Publishes) -> bool:
        outcome = outcomes.get(attempt.account_id)
        if outcome is not None:
            return outcome.status == "succeeded"
        return (attempt.account_id, attempt.observed_at) in followed

    return {account_id: attempt for account_id, attempt in manifest.attempts.items() if came_to_be(attempt)}
