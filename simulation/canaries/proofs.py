"""Bugs in proving that a number is gone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from etl import account_sync
from etl.errors import FilterRefused, VnsyncError
from etl.extract.listing import Listing, Proof
from simulation.canaries.planting import canary


@canary(Listing, "prove", "what was not listed is closed")
def close_without_proof(right: Any) -> Any:
    return lambda self, missing, **more: Proof(gone=list(missing))


@canary(Listing, "prove", "what was not listed is closed when the counts agree")
def trust_total_items(right: Any) -> Any:
    def prove(self: Listing, missing: Any, **more: Any) -> Proof:
        return right(self, missing, **more) if self.tally.unaccounted else Proof(gone=list(missing))

    return prove


@canary(
    Listing,
    "_prove_chunk",
    "an empty answer proves absence: no witness is needed",
    test="tests/integration/test_listing_proof.py::test_an_answer_that_proves_nothing_leaves_suspects",
)
def no_witness(right: Any) -> Any:
    return lambda self, chunk, proof, emptied: right(self, chunk, proof, True)


@canary(
    Listing,
    "_failing_leaves_open",
    "a proof that fails counts as proof",
    test="tests/faults/test_p_absence.py::test_p_proof_that_is_none",
)
def close_on_failure(right: Any) -> Any:
    @contextlib.contextmanager
    def failing(self: Listing, chunk: Any, proof: Proof) -> Iterator[None]:
        try:
            yield
        except FilterRefused:
            raise
        except VnsyncError:
            proof.gone.extend(chunk)

    return failing


@canary(Listing, "prove", "numbers that answer to the proof are not taken in")
def living_are_forgotten(right: Any) -> Any:
    return lambda self, missing, **more: replace(right(self, missing, **more), alive={})


@canary(Listing, "prove", "what could not be proven is not reported")
def suspects_are_silent(right: Any) -> Any:
    return lambda self, missing, **more: replace(right(self, missing, **more), suspects=[])


@canary(account_sync.AccountSync, "_guard", "nothing stops a mass close")
def no_guard(right: Any) -> Any:
    return lambda self, load, proof: None


@canary(
    account_sync.AccountSync,
    "_sees_differently",
    "what another user cannot see is closed",
    test="tests/integration/test_agency.py::test_another_user_with_fewer_rights_closes_nothing",
)
def eyes_are_alike(right: Any) -> Any:
    return lambda self, user_id: False


@canary(account_sync.AccountSync, "_prove", "a number whose record cannot be used is closed")
def quarantine_closes(right: Any) -> Any:
    def prove(self: Any, load: Any, *more: Any) -> Proof:
        proof: Proof = right(self, load, *more)
        bad = {r.virtual_number_id for r in self._rejected} & set(load.open_ids)
        return replace(proof, gone=[*proof.gone, *(n for n in sorted(bad) if n not in proof.alive)])

    return prove
