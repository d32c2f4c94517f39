"""The `atlas` command: one module per subcommand; each parses, calls the library and prints."""
