"""The report as one HTML page: pure, from what was read to text."""
