"""What a person sees: tables, progress and log lines; on a terminal drawn, elsewhere plain."""
