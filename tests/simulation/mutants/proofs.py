"""Bugs in proving that a number is gone."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from etl.domain import guard
from etl.domain.guard import Guard
from etl.domain.listing_stats import ListingStats
from etl.extract.listing import Listing
from etl.extract.proof import AbsenceProof, Proof
from etl.sync import account
from tests.simulation.mutants.planting import mutant


@mutant(Listing, "prove", "what was not listed is closed")
def close_without_proof(right: Any) -> Any:
    return lambda self, missing, **more: Proof(gone=list(missing))


@mutant(Listing, "prove", "what was not listed is closed when the counts agree")
def trust_total_items(right: Any) -> Any:
    def prove(self: Listing, missing: Any, **more: Any) -> Proof:
        return right(self, missing, **more) if self.stats.unaccounted else Proof(gone=list(missing))

    return prove


@mutant(
    AbsenceProof,
    "_question",
    "an empty answer proves absence: no control id is needed",
    test="tests/integration/test_listing_proof.py::test_an_answer_that_proves_nothing_leaves_suspects",
)
def no_control_id(right: Any) -> Any:
    def question(self: AbsenceProof, part: Any, proof: Proof, emptied: bool) -> Any:
        self._trace.candidates, self._trace.gave_rows = [], False
        return right(self, part, proof, True)

    return question


@mutant(
    AbsenceProof,
    "_with_other_controls",
    "an answer without its control ids proves absence",
    test="tests/integration/test_listing_proof.py::test_an_answer_that_proves_nothing_leaves_suspects",
)
def any_control_id_will_do(right: Any) -> Any:
    def other_controls(self: AbsenceProof, rest: Any, missed: Any, proof: Proof) -> Any:
        proof.gone.extend(rest)
        return []

    return other_controls


@mutant(
    AbsenceProof,
    "_parts_of_cut",
    "an answer that may have been cut proves absence",
    under=("cut",),
)
def cut_answers_prove(right: Any) -> Any:
    def parts(self: AbsenceProof, rest: Any, rows: int, proof: Proof) -> Any:
        proof.gone.extend(rest)
        return []

    return parts


@mutant(
    ListingStats,
    "doubtful",
    "a listing that owes numbers proves that others are gone",
    under=("bad_id",),
)
def contradiction_is_proof(right: Any) -> Any:
    return lambda self, gone: set()


@mutant(
    AbsenceProof,
    "_leave_open",
    "a proof that fails counts as proof",
    test="tests/faults/protocol/test_absence.py::test_proof_that_is_none",
)
def close_on_failure(right: Any) -> Any:
    return lambda self, rest, proof, exc: proof.gone.extend(rest)


@mutant(Listing, "prove", "numbers that answer to the proof are not taken in")
def living_are_forgotten(right: Any) -> Any:
    return lambda self, missing, **more: replace(right(self, missing, **more), alive={})


@mutant(Listing, "prove", "what could not be proven is not reported")
def suspects_are_silent(right: Any) -> Any:
    return lambda self, missing, **more: replace(right(self, missing, **more), suspects=[])


@mutant(account.AccountSync, "_objection", "nothing stops a mass close")
def no_guard(right: Any) -> Any:
    return lambda self, load, proof: None


@mutant(Guard, "objection_to_links", "nothing stops a mass close of links", under=("unlinked",))
def no_guard_of_links(right: Any) -> Any:
    return lambda self, links: None


@mutant(guard, "MOST_EXCHANGED", "nothing stops the exchange of a small account's numbers", under=("exchanged",))
def no_guard_of_exchanges(right: Any) -> Any:
    return 2.0


@mutant(account.AccountSync, "_prove", "a number whose record cannot be used is closed", under=("bad_record",))
def quarantine_closes(right: Any) -> Any:
    def prove(self: Any, load: Any, *more: Any) -> Proof:
        proof: Proof = right(self, load, *more)
        bad = {r.virtual_number_id for r in self._pages.rejected} & set(load.open_ids)
        return replace(proof, gone=[*proof.gone, *(n for n in sorted(bad) if n not in proof.alive)])

    return prove
