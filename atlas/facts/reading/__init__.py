"""What the importers share: bounded reading of untrusted files, checks of words, uniting facts across languages."""
