"""The database edge: engine, schema, migrations, runs and locks."""
