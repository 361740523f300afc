"""The history of the store's schema, run by Alembic from `irkit.store.database`."""
