"""``mreg pull --watch``: a line for each version that is in place, until somebody asks it to end."""

from __future__ import annotations

import shlex
import signal
import sys
from contextlib import suppress
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from mreg.cli.exit_codes import ExitCode, signal_code
from mreg.cli.options import OutputFormat
from mreg.cli.output import show_notes
from mreg.cli.signals import Ended
from mreg.core.following import News, describe
from mreg.core.results import LinkMode, Pulled
from mreg.errors import UsageError
from mreg.registry.serving.watching import find_repo, watch
from mreg.render.commands import place_commands
from mreg.render.formats.watch import render_change, render_news
from mreg.render.text import clean

__all__ = ["Request", "follow"]


class Request(Struct, frozen=True):
    """What the command line asks a watch to do."""

    selector: str
    directory: Path
    """Of the clone, where no repository is named."""
    repo: str | None
    target: Path | None
    branch: str | None
    allow_older: bool
    every_s: float
    command: str | None
    """What is told of each version."""
    command_timeout_s: float
    link: LinkMode
    force: bool


def follow(request: Request, output: OutputFormat, directory: str = "") -> int:
    """Follows until a signal ends it, and returns the exit status.

    Args:
        request: What is followed.
        output: How it is told.
        directory: Where commands are to run; empty for the current one.

    Raises:
        UsageError: The output or its format is missing, or makes no sense here.
        MregError: At the start alone: there is nothing in place to stay with, and waiting does not mend it.
    """
    if request.target is None:
        hint = f"mreg pull {shlex.quote(request.selector)} --output model --watch"
        raise UsageError("--watch needs --output: the path where the newest version is to be", hint=hint)
    if output not in {OutputFormat.TABLE, OutputFormat.JSON}:
        raise UsageError(f"--watch writes one line per version, not {output.value}", hint="--format json")
    listener = _Listener(output is OutputFormat.JSON, directory)
    versions = watch(
        request.selector,
        repo=find_repo(request.directory) if request.repo is None else request.repo,
        output=request.target,
        branch=request.branch,
        allow_older=request.allow_older,
        every=request.every_s,
        link=request.link,
        force=request.force,
        command=() if request.command is None else request.command,
        command_timeout=request.command_timeout_s,
        on_news=listener.hear,
    )
    try:
        listener.begin(request)
        for pulled in versions:
            listener.see(pulled)
    except KeyboardInterrupt as end:
        number = signal.Signals(end.number) if isinstance(end, Ended) else signal.SIGINT
        listener.end(number)
        return signal_code(number)
    return ExitCode.DONE


class _Listener:
    """Writes what a watch sees and says."""

    def __init__(self, as_json: bool, directory: str) -> None:
        self._as_json = as_json
        self._directory = directory
        self._last: Pulled | None = None

    def begin(self, request: Request) -> None:
        """Says what is followed, since the first version may take a while."""
        if not self._as_json:
            sys.stderr.write(f"note: following {clean(request.selector)}, about every {request.every_s:g} s\n")
            sys.stderr.flush()

    def see(self, pulled: Pulled) -> None:
        """Writes the line of a version."""
        self._last = pulled
        sys.stdout.write(render_change(pulled, as_json=self._as_json) + "\n")
        sys.stdout.flush()
        if not self._as_json:
            show_notes(pulled.notices)

    def hear(self, news: News) -> None:
        """Writes news to stderr."""
        news = replace(news, hint=place_commands(news.hint, self._directory))
        sys.stderr.write(render_news(news, as_json=self._as_json) + "\n")
        sys.stderr.flush()

    def end(self, number: signal.Signals) -> None:
        """Says what stays."""
        if not self._as_json:
            what = f"{describe(self._last)} stays" if self._last else "nothing was put in place"
            with suppress(OSError):  # the terminal may be gone
                sys.stderr.write(f"note: ended by {number.name}; {clean(what)}\n")
