"""Extractor: requests to the vendor's Data API, and the checks that decide which of its answers to trust."""

import sys

# httpx would import its own command line, with pygments and rich: more than the rest of httpx. It works without them.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
