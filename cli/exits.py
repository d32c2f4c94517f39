"""The exit codes of every command."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the shell is told when a command ends."""

    DONE = 0
    FAILED = 1
    USAGE = 2
