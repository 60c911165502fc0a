"""What a watch says, a line each: for a person who reads a log, or as JSON for a supervisor.

Rules:
    * One line is one thing: what ends with a newline is whole.
    * A version is what ``mreg pull --format json`` says of it; news has ``event``.
"""

from __future__ import annotations

import json

from mreg.core.following import News, describe
from mreg.core.results import Pulled
from mreg.render.formats.json import SCHEMA, render_json
from mreg.render.text import clean, format_moment

__all__ = ["render_change", "render_news"]


def render_change(pulled: Pulled, *, as_json: bool) -> str:
    """Returns the line of a version that is now in place."""
    if as_json:
        return json.dumps(json.loads(render_json(pulled)))
    return clean(describe(pulled))


def render_news(news: News, *, as_json: bool) -> str:
    """Returns what is to be said besides; a hint is a line of its own, but in JSON."""
    pulled = news.pulled
    if as_json:
        document = {
            "schema": SCHEMA,
            "event": news.kind.value,
            "code": news.code or None,
            "message": news.message,
            "hint": news.hint or None,
            "version": str(pulled.version) if pulled else None,
            "commit": pulled.commit if pulled else None,
            "committed_at": format_moment(pulled.committed_at) if pulled and pulled.committed_at else None,
            "path": str(pulled.path) if pulled else None,
        }
        return json.dumps(document)
    if news.is_good:
        return f"note: {clean(news.message)}"
    hint = f"\nhint: {clean(news.hint)}" if news.hint else ""
    return f"warning: {clean(news.message)}{hint}"
