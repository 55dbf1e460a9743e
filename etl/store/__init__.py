"""Store, the only access to the database: engine, schema, migrations, runs and locks."""
