"""Installations of the Data API: the brands run the same product, each with its own accounts and keys."""

from __future__ import annotations

import re

_URL = re.compile(r"(https?)://(\[[0-9a-f:.]+\]|[^\s\[\]/:?#@]+)(?::(\d*))?(?:[/?#].*)?", re.IGNORECASE | re.DOTALL)
_PORTS = {"http": 80, "https": 443}


def origin_of(url: str) -> str:
    """Origin of an API URL: scheme, host and port in lower case, without the scheme's default port.

    The path is not part of it: another version of the API has the same accounts. Raises `ValueError` for other text.
    """
    found = _URL.fullmatch(url.strip())
    if found is None:
        raise ValueError("it is not an http or https URL")
    scheme, host = found[1].lower(), found[2].lower()
    port = int(found[3] or _PORTS[scheme])
    return f"{scheme}://{host}" if port == _PORTS[scheme] else f"{scheme}://{host}:{port}"
