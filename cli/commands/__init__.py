"""One module per command: it parses, calls the library and prints; no logic, and nothing heavy at import."""
