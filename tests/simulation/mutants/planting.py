"""Planting of a mutant: an attribute of the program is replaced by a wrong version during a block."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from etl.load import table_diff


@dataclass(frozen=True)
class Mutant:
    """A mutant: the bug that it stands for, and the function that plants it.

    `under`: rare faults without which the bug has no effect; the hunt turns them on in every seed.
    `test`: the pytest id of the test that finds it, if a hundred seeds are too few to find it.
    """

    name: str
    stands_for: str
    plant: Callable[[], contextlib.AbstractContextManager[None]]
    under: tuple[str, ...] = ()
    test: str | None = None


MUTANTS: dict[str, Mutant] = {}

Wrong = Callable[[Any], Callable[..., Any]]


def mutant(
    target: Any, attribute: str, stands_for: str, *, under: tuple[str, ...] = (), test: str | None = None
) -> Callable[[Wrong], Wrong]:
    """Register a mutant: the decorated function makes the wrong version of an attribute from the right one."""

    def register(wrong: Wrong) -> Wrong:
        name = wrong.__name__

        @contextlib.contextmanager
        def plant() -> Iterator[None]:
            right = vars(target)[attribute]
            setattr(target, attribute, wrong(right))
            table_diff.statements.cache_clear()  # they are made once, so those of before are right
            try:
                yield
            finally:
                setattr(target, attribute, right)
                table_diff.statements.cache_clear()

        MUTANTS[name] = Mutant(name, stands_for, plant, under, test)
        return wrong

    return register
