"""The one database schema, as Alembic revisions. `python -m migrations upgrade head` brings it up to date."""
