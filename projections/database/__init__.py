"""Engine, schema, migrations and writes of the tables."""
