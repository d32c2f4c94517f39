"""What the quick suite (`-m "not slow"`) takes of tests with many parameters."""

import pytest


def first_quick(first, *others, several=False):
    """Return the parameters as given, all but the first marked slow; each is one value, or a tuple of `several`."""
    return [first, *(pytest.param(*(each if several else (each,)), marks=pytest.mark.slow) for each in others)]
