"""How a bug is planted: an attribute of the program is replaced by a wrong version of it, for the length of a block."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Mutant:
    """A bug to plant: what it stands for, and how it is planted.

    `under`: the rarer faults without which it cannot show; the hunt has them on in every seed.
    `test`: the test that finds it, by its pytest id, where the bug needs more chances than a hundred worlds give.
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
    """Register a bug: the decorated function makes the wrong version of an attribute from the right one."""

    def register(wrong: Wrong) -> Wrong:
        name = wrong.__name__

        @contextlib.contextmanager
        def plant() -> Iterator[None]:
            right = vars(target)[attribute]
            setattr(target, attribute, wrong(right))
            try:
                yield
            finally:
                setattr(target, attribute, right)

        MUTANTS[name] = Mutant(name, stands_for, plant, under, test)
        return wrong

    return register
