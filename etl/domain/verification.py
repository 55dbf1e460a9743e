"""What a verification found: problems that name their place, and the verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

MOST_KEPT = 1000
"""So many problems are told one by one; beyond that they are counted only."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something that is not as it must be: in which table, at which key, by which run of which account, and what."""

    what: str
    table: str | None = None
    key: str | None = None
    account_id: int | str | None = None
    run_id: int | str | None = None


class Problems:
    """Takes problems; keeps the first ones and counts all."""

    def __init__(self) -> None:
        self.kept: list[Problem] = []
        self.count = 0

    def add(self, problem: Problem) -> None:
        """Take one more."""
        self.count += 1
        if len(self.kept) < MOST_KEPT:
            self.kept.append(problem)


@dataclass(frozen=True, kw_only=True)
class Head:
    """A digest kept elsewhere: whose chain it is in, and how many syncs came after it (0: it is the last)."""

    digest: str
    account_id: int | None
    syncs_since: int | None


@dataclass(frozen=True, kw_only=True)
class AccountChain:
    """An account's chain: how many links it has, the last one, and how many versions were erased."""

    account_id: int
    syncs: int
    observed_at: str | None
    chain_digest: str | None
    versions: int = 0
    erased: int = 0
    last_erased_at: str | None = None


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The outcome of a verification. `problem_count` may exceed the problems that are told."""

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
        """The verdict that follows from the problems; `notes` are worth knowing and no problems."""
        return cls(
            ok=not problems.count,
            problems=tuple(problems.kept),
            problem_count=problems.count,
            accounts=tuple(accounts),
            heads=tuple(heads),
            notes=tuple(notes),
        )


Progress = Callable[[str], None]
"""Is told what is being looked at."""
