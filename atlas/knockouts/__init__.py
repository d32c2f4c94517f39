"""Knock-outs: sets of neurons cut, alone and together."""
