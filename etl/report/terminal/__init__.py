"""Terminal output: tables, progress, paragraphs and log lines."""
