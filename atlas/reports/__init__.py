"""Report pages: what an atlas holds, for readers; needs no model."""

from atlas.reports.pages import write

__all__ = ["write"]
