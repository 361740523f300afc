"""Run the migrations on the connection that `irkit.store.database` hands over, inside its transaction."""

from __future__ import annotations

from alembic import context

from irkit.store.database import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
with context.begin_transaction():
    context.run_migrations()
