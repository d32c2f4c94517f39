"""Alembic environment and versions of the atlas schema."""
