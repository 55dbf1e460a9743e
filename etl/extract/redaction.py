"""What is quoted from outside, in messages that are shown and kept: without secrets, and short."""

from __future__ import annotations

import json

MASK = "****"
LONGEST_QUOTE = 300
CERTAIN = 16
"""A word of so many characters is in an answer because the source sent it back, not by chance."""


class Redaction:
    """Knows the secrets in use. Text that quotes the other side goes through it before it is cut: half a key is one."""

    def __init__(self) -> None:
        self._words: list[str] = []

    def add(self, secret: str) -> None:
        """Hide this word from now on, also as it is written within JSON."""
        words = {secret, json.dumps(secret)[1:-1], *self._words} - {""}
        self._words = sorted(words, key=len, reverse=True)  # a new list: other threads may be reading the old one

    def hidden(self, text: str) -> str:
        """The text with every secret masked, longest first."""
        for word in self._words:
            text = text.replace(word, MASK)
        return text

    def quote(self, said: object, most: int = LONGEST_QUOTE) -> str:
        """What the other side said, masked, then cut to `most` characters."""
        text = self.hidden(str(said))
        return text if len(text) <= most else text[: most - 1] + "…"

    def hidden_in(self, body: bytes) -> bytes:
        """An answer's bytes with every secret masked; the very same object where none is in it (the usual case).

        Data may hold a short word by chance: those below `CERTAIN` characters are looked for in errors only.
        """
        shortest = CERTAIN if b'"result"' in body else 1
        for word in self._words:
            if len(word) >= shortest and word.encode() in body:
                body = body.replace(word.encode(), MASK.encode())
        return body

    def scrub(self, exc: BaseException) -> None:
        """Mask the secrets in what a library raised, and in what that came from: a traceback would show them."""
        seen: list[BaseException] = []
        one: BaseException | None = exc
        while one is not None and one not in seen:
            seen.append(one)
            one.args = tuple(self.hidden(a) if isinstance(a, str) else a for a in one.args)
            one = one.__cause__ or one.__context__


NOTHING_SECRET = Redaction()
"""For answers that are read where no secret is in use."""
