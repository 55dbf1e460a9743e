"""Meaning of a table, a view or a column: one sentence, from which comments, pages and metadata are made."""

from __future__ import annotations

from msgspec import Struct


class Meaning(Struct, frozen=True, kw_only=True):
    """Parts of one sentence about a table, a view or a column.

    `text`: what it is, with its unit and time zone. `null`: what null stands for; None if it is never null. `field`:
    the method of the API and the path in its answer from which the value comes; None if vnsync makes the value.
    `personal`: whether it may identify a person, so that an erasure empties it.
    """

    text: str
    null: str | None = None
    field: str | None = None
    personal: bool = False

    @property
    def sentence(self) -> str:
        """The whole sentence: text, null and field, with semicolons between them and a full stop."""
        null = [] if self.null is None else [f"null: {self.null}"]
        field = [] if self.field is None else [f"API: {self.field}"]
        return "; ".join([self.text, *null, *field]) + "."
