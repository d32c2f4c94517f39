"""One module for each kind of page: its queries, and from their rows to its values."""
