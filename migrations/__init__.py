"""Alembic's environment and the migrations of an atlas, numbered without gaps."""
