"""HTML report: pure functions from an `Overview` to the text of one page."""
