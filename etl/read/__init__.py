"""What people ask of the warehouse afterwards. Reads only."""
