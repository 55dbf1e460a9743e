"""Layers of settings: options, environment, config file. Of several values of one setting the first layer's wins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from etl.errors import Misconfigured

PREFIX = "VNSYNC_"
OPTIONS = {"users": "--user"}
"""Options that are not named after their setting: this one is repeated for each customer."""

KEY = ("api_token", "api_token_file")
SESSION = ("api_login", "api_password", "api_password_file")
RIVALS = (KEY, ("api_password", "api_password_file"))
"""Settings of which one layer may have one."""


@dataclass(frozen=True)
class Origin:
    """Origin of a value: an option, an argument of a call from Python, the environment, a file, or the default."""

    kind: Literal["option", "argument", "environment", "file", "default"]
    file: Path | None = None

    def label(self, name: str) -> str:
        """The name that the user wrote there for the setting `name`."""
        if self.kind == "option":
            return option_name(name)
        if self.kind == "argument":
            return f"argument {name}"
        if self.kind == "environment":
            return variable_name(name)
        return f"{name} in {self.file}" if self.file else name

    def in_words(self, name: str) -> str:
        """The origin in words, for the listing of all settings."""
        if self.kind == "file":
            return f"file {self.file}"
        if self.kind == "default":
            return self.kind
        return self.label(name) if self.kind == "argument" else f"{self.kind} {self.label(name)}"


@dataclass(frozen=True)
class Layer:
    """Values from one origin, by setting."""

    origin: Origin
    values: dict[str, Any] = field(repr=False)


def merged(layers: Sequence[Layer]) -> tuple[dict[str, Any], dict[str, Origin]]:
    """Values of all layers; the first one wins. It also decides the kind of login, and between two rival settings."""
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    dropped: set[str] = set()
    for layer in layers:
        _refuse_rivals(layer)
        for name, value in layer.values.items():
            if name not in values and name not in dropped:
                values[name], origins[name] = value, layer.origin
        dropped |= _excluded(layer.values)
    return values, origins


def _excluded(names: Mapping[str, Any]) -> set[str]:
    """The settings that lower layers can no longer give, because these names exclude them."""
    out: set[str] = set()
    if any(n in names for n in KEY):
        out |= {*KEY, *SESSION}
    if any(n in names for n in SESSION):
        out |= {*KEY}
    if any(n in names for n in RIVALS[1]):
        out |= {*RIVALS[1]}
    return out


def _refuse_rivals(layer: Layer) -> None:
    pairs = [(first, second) for first, second in RIVALS] + [(k, s) for k in KEY for s in SESSION]
    for first, second in pairs:
        if first in layer.values and second in layer.values:
            raise Misconfigured(
                f"{layer.origin.label(first)} and {layer.origin.label(second)} are both set", remedy="Keep one of them."
            )


# -- names


def variable_name(name: str) -> str:
    """The environment variable of the setting `name`."""
    return PREFIX + name.upper()


def option_name(name: str) -> str:
    """The command-line option of the setting `name`."""
    return OPTIONS.get(name) or "--" + name.replace("_", "-")
