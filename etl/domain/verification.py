"""Result of a verification: problems with their places, and the verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct, field

MOST_KEPT = 1000
"""Most problems that are reported one by one; further ones are only counted."""


class Problem(Struct, frozen=True, kw_only=True):
    """One problem: what is wrong, and in which table, at which key, by which run of which account."""

    what: str
    table: str | None = None
    key: str | None = None
    account_id: int | str | None = None
    run_id: int | str | None = None


class Problems:
    """Collection of problems: it keeps the first ones and counts all."""

    def __init__(self) -> None:
        self.kept: list[Problem] = []
        self.count = 0

    def add(self, problem: Problem) -> None:
        """Add a problem."""
        self.count += 1
        if len(self.kept) < MOST_KEPT:
            self.kept.append(problem)


class Head(Struct, frozen=True, kw_only=True):
    """Digest that was kept elsewhere: the account whose chain has it, and how many syncs followed (0: it is last)."""

    digest: str
    account_id: int | None
    syncs_since: int | None


class AccountChain(Struct, frozen=True, kw_only=True):
    """Chain of an account: how many links it has, the last one, and how many versions were erased."""

    account_id: int
    syncs: int
    observed_at: str | None
    chain_digest: str | None
    versions: int = 0
    erased: int = 0
    last_erased_at: str | None = None


class Verdict(Struct, frozen=True, kw_only=True):
    """Outcome of a verification. `problem_count` may exceed the number of `problems`."""

    ok: bool
    problems: tuple[Problem, ...] = ()
    problem_count: int = 0
    accounts: tuple[AccountChain, ...] = ()
    heads: tuple[Head, ...] = field(default=())
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        problems: Problems,
        *,
        accounts: Sequence[AccountChain] = (),
        heads: Sequence[Head] = (),
        notes: Sequence[str] = (),
    ) -> Verdict:
        """The verdict that follows from the problems. `notes`: facts worth knowing that are no problems."""
        return cls(
            ok=not problems.count,
            problems=tuple(problems.kept),
            problem_count=problems.count,
            accounts=tuple(accounts),
            heads=tuple(heads),
            notes=tuple(notes),
        )


Progress = Callable[[str], None]
"""Receives the name of the thing that is being checked."""
