"""Counted sentences, so that many failures of one cause are one line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


class Counted:
    """Sentences in the order in which they were said, and how often; several threads may add to them."""

    def __init__(self) -> None:
        self._said: list[str] = []

    def add(self, sentence: str) -> None:
        """One more: a list takes it in one step, whichever thread adds it."""
        self._said.append(sentence)

    def most_common(self) -> Sequence[tuple[str, int]]:
        """Each sentence with its count, the most frequent first."""
        return Counter(self._said).most_common()
