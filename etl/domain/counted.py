"""Counted sentences, so that many failures with one cause become one line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


class Counted:
    """Sentences, and how often each was added. Several threads may add sentences."""

    def __init__(self) -> None:
        self._sentences: list[str] = []

    def add(self, sentence: str) -> None:
        """Add a sentence. Appending to a list is one step, so threads do not disturb each other."""
        self._sentences.append(sentence)

    def most_common(self) -> Sequence[tuple[str, int]]:
        """Each sentence with its count, the most frequent first."""
        return Counter(self._sentences).most_common()
