"""Jinja pages and the stylesheet of the reports."""
