"""Exit codes: the one place where an error becomes a number.

===  =====================================================
0    done, or already so
1    the answer is no
2    usage
3    stored data cannot be read
4    the named thing does not exist
5    someone else moved first, or the clone lacks history
6    git, DVC, the network, the disk or the identity failed
70   a bug in mreg's
129  the terminal was closed (SIGHUP)
130  interrupted (Ctrl-C)
141  closed pipe
143  cancelled (SIGTERM)
===  =====================================================
"""

from __future__ import annotations

from enum import IntEnum

from mreg import errors

__all__ = ["ExitCode", "exit_code", "signal_code"]


class ExitCode(IntEnum):
    """The status of the process."""

    DONE = 0
    NO = 1
    USAGE = 2
    BAD_DATA = 3
    NOT_FOUND = 4
    CONFLICT = 5
    OUTSIDE = 6
    BUG = 70
    HUNG_UP = 129
    INTERRUPTED = 130
    CLOSED_PIPE = 141
    TERMINATED = 143


_BY_SIGNAL = 128

_CODES: dict[type[errors.MregError], ExitCode] = {
    errors.RefusedError: ExitCode.NO,
    errors.UsageError: ExitCode.USAGE,
    errors.DataError: ExitCode.BAD_DATA,
    errors.NotFoundError: ExitCode.NOT_FOUND,
    errors.ConflictError: ExitCode.CONFLICT,
    errors.OutsideError: ExitCode.OUTSIDE,
}


def exit_code(error: errors.MregError) -> ExitCode:
    """Returns the status that an error ends the process with: that of its nearest ancestor in the table."""
    return next((_CODES[kind] for kind in type(error).__mro__ if kind in _CODES), ExitCode.BUG)


def signal_code(number: int) -> ExitCode:
    """Returns the status of a process that a signal ended, as shells write it."""
    return ExitCode(_BY_SIGNAL + number)
