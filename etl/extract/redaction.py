"""Redaction of texts from the source that messages quote: without secrets, and short."""

from __future__ import annotations

from msgspec import Struct

from etl.domain.spellings import Part, Word, holds, parts_of

MASK = "****"
LONGEST_QUOTE = 300
CERTAIN = 16
"""Fewest characters of a secret that an answer cannot contain by chance: the source must have sent it back."""
NO_RECORDS = Part(0, 0)
"""Place of the records in an answer without records."""


class _Secret(Struct, frozen=True):
    """A secret. `length`: in characters; `certain`: if a record contains it, the source has sent it back."""

    word: Word
    length: int
    certain: bool


class Redaction:
    """The secrets in use. A quoted text is masked before it is cut, because half a key is a secret too.

    Secrets are found in any escaping and any letter case, and in parts (`domain.spellings`).
    """

    def __init__(self) -> None:
        self._secrets: tuple[_Secret, ...] = ()

    def add(self, secret: str, *, chosen: bool = False) -> None:
        """Mask this word from now on. `chosen`: a person chose it, such as a login, so records may contain it too."""
        word = Word.of(secret)
        if word.folded:
            added = _Secret(word, len(secret), certain=len(secret) >= CERTAIN and not chosen)
            self._secrets = (*self._secrets, added)  # a new tuple: other threads may be reading the old one

    def hidden(self, text: str, *, shortest: int = 1) -> str:
        """The text with every secret of `shortest` characters or more masked."""
        words = [secret.word for secret in self._secrets if secret.length >= shortest]
        if not words:
            return text
        sent = text.encode("utf-8", "surrogatepass")
        masked = _masked(sent, words)
        return text if masked is sent else masked.decode("utf-8", "surrogatepass")

    def quote(self, quoted: object, most: int = LONGEST_QUOTE) -> str:
        """A text of the source, masked, then cut to `most` characters."""
        text = self.hidden(str(quoted))
        return text if len(text) <= most else text[: most - 1] + "…"

    def is_in(self, body: bytes) -> bool:
        """Whether an answer contains a secret, even by chance."""
        return holds(body, [secret.word for secret in self._secrets])

    def hidden_in(self, body: bytes, records: Part = NO_RECORDS) -> bytes:
        """An answer's bytes with every secret masked; the very same object if it contains none (the usual case).

        Its `records` may contain a short word or a login by chance: only secrets that are certain are masked there.
        """
        certain = [secret.word for secret in self._secrets if secret.certain]
        every = [secret.word for secret in self._secrets]
        begin, end = records
        pieces = [(body[:begin], every), (body[begin:end], certain), (body[end:], every)]
        masked = [_masked(piece, words) for piece, words in pieces]
        return body if all(a is b for a, (b, _) in zip(masked, pieces, strict=True)) else b"".join(masked)

    def scrub(self, exc: BaseException) -> list[BaseException]:
        """Mask the secrets in a library's exception and in its causes: a traceback would show them.

        Returns the exception and its causes.
        """
        seen: list[BaseException] = []
        one: BaseException | None = exc
        while one is not None and one not in seen:
            seen.append(one)
            one.args = tuple(self.hidden(a) if isinstance(a, str) else a for a in one.args)
            one = one.__cause__ or one.__context__
        return seen


def _masked(text: bytes, words: list[Word]) -> bytes:
    """The text with the words masked; the same object if it has none; all masked if a word cannot be located."""
    if not words or not holds(text, words):
        return text
    pieces: list[bytes] = []
    last = 0
    for begin, end in parts_of(text, words):
        pieces += [text[last:begin], MASK.encode()]
        last = end
    masked = b"".join([*pieces, text[last:]])
    return MASK.encode() if holds(masked, words) else masked


NOTHING_SECRET = Redaction()
"""Redaction for answers that are read without any secret in use."""
