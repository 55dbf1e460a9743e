"""Long campaigns against vnsync: fuzzing, kills, and the table of all faults. Each has a small count in CI."""
