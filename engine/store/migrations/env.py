"""Alembic's entry: runs the migrations on the connection that `migrate` opened."""

from alembic import context

from engine.store.schema import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA, render_as_batch=False)
context.run_migrations()
