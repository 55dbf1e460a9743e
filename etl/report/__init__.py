"""Output for people and programs: tables, sentences, progress, log lines, JSON values and the HTML report."""
