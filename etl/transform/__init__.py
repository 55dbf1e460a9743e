"""Pure: from the bytes of a record to rows of tables, keeping what is unknown and refusing what cannot be used."""
