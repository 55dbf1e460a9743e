"""The network edge: what the vendor's Data API is asked, and how far its answers are believed."""

import sys

# httpx would load its own command line, with a highlighter and rich: more than all the rest of it. It copes without.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
