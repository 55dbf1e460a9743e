"""Transform, pure: from a record's bytes to rows of tables. Unknown fields are kept, unusable records are refused."""
