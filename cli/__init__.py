"""The `atlas` command: commands/ parses and calls the library, output/ writes what comes back."""
