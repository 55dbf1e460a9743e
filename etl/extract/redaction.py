"""What is quoted from outside, in messages that are shown and kept: without secrets, and short."""

from __future__ import annotations

from dataclasses import dataclass

from etl.domain.spellings import Part, Word, holds, parts_of

MASK = "****"
LONGEST_QUOTE = 300
CERTAIN = 16
"""A word of so many characters is in an answer because the source sent it back, not by chance."""
NO_RECORDS = Part(0, 0)
"""The place of the records in an answer that has none."""


@dataclass(frozen=True)
class _Secret:
    """A secret. `length`: its characters; `certain`: where it is in a record, it was sent back."""

    word: Word
    length: int
    certain: bool


class Redaction:
    """Knows the secrets in use. Text that quotes the other side goes through it before it is cut: half a key is one.

    Secrets are found however they are escaped and cased, and in parts (`domain.spellings`).
    """

    def __init__(self) -> None:
        self._secrets: tuple[_Secret, ...] = ()

    def add(self, secret: str, *, chosen: bool = False) -> None:
        """Hide this word from now on. `chosen`: people choose it, as a login, so that records may hold it by chance."""
        word = Word.of(secret)
        if word.folded:
            added = _Secret(word, len(secret), certain=len(secret) >= CERTAIN and not chosen)
            self._secrets = (*self._secrets, added)  # a new tuple: other threads may be reading the old one

    def hidden(self, text: str, *, shortest: int = 1) -> str:
        """The text with every secret masked that has `shortest` characters or more."""
        words = [secret.word for secret in self._secrets if secret.length >= shortest]
        if not words:
            return text
        sent = text.encode("utf-8", "surrogatepass")
        made = _masked(sent, words)
        return text if made is sent else made.decode("utf-8", "surrogatepass")

    def quote(self, said: object, most: int = LONGEST_QUOTE) -> str:
        """What the other side said, masked, then cut to `most` characters."""
        text = self.hidden(str(said))
        return text if len(text) <= most else text[: most - 1] + "…"

    def is_in(self, body: bytes) -> bool:
        """Whether a secret is anywhere in an answer, be it by chance."""
        return holds(body, [secret.word for secret in self._secrets])

    def hidden_in(self, body: bytes, records: Part = NO_RECORDS) -> bytes:
        """An answer's bytes with every secret masked; the very same object where none is in it (the usual case).

        Its `records` may hold a short word, or a login, by chance: there only what is certain is masked.
        """
        certain = [secret.word for secret in self._secrets if secret.certain]
        every = [secret.word for secret in self._secrets]
        begin, end = records
        pieces = [(body[:begin], every), (body[begin:end], certain), (body[end:], every)]
        made = [_masked(piece, words) for piece, words in pieces]
        return body if all(a is b for a, (b, _) in zip(made, pieces, strict=True)) else b"".join(made)

    def scrub(self, exc: BaseException) -> None:
        """Mask the secrets in what a library raised, and in what that came from: a traceback would show them."""
        seen: list[BaseException] = []
        one: BaseException | None = exc
        while one is not None and one not in seen:
            seen.append(one)
            one.args = tuple(self.hidden(a) if isinstance(a, str) else a for a in one.args)
            one = one.__cause__ or one.__context__


def _masked(text: bytes, words: list[Word]) -> bytes:
    """The text with the words masked, the same object where none is in it; what cannot be located is masked whole."""
    if not words or not holds(text, words):
        return text
    pieces: list[bytes] = []
    last = 0
    for begin, end in parts_of(text, words):
        pieces += [text[last:begin], MASK.encode()]
        last = end
    made = b"".join([*pieces, text[last:]])
    return MASK.encode() if holds(made, words) else made


NOTHING_SECRET = Redaction()
"""For answers that are read where no secret is in use."""
