"""Schema versions, numbered without gaps."""
