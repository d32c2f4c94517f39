"""Report pages: what an atlas holds, for readers; needs no model."""

from atlas.reports.site import Written, write
from atlas.reports.snapshot import Selection

__all__ = ["Selection", "Written", "write"]
