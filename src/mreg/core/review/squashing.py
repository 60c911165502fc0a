"""What a squash merge does to unsigned approvals.

Rules:
    * Whose an unsigned approval is, only the commit that adds it says: its author, or who is its ``Co-authored-by``.
    * A squash has one author, so its message must name the approvers; nothing else of their commits is left.
    * A signed approval needs none of this.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from mreg.core.history.timeline import Commit
from mreg.core.review.difference import Difference
from mreg.core.review.reviewed import GivenApproval
from mreg.core.settings.people import Actor

__all__ = ["CO_AUTHOR", "addresses_of", "advise_forged", "find_co_authors"]

CO_AUTHOR = "Co-authored-by"
_BY_COMMIT = {"", "approval-self", "approval-unlisted"}
"""Approvals that are by whom they name, whether they count or not; a squash would make them forged."""


def addresses_of(actor: Actor) -> set[str]:
    """Returns the e-mail addresses of who approves, in lower case."""
    return {actor.email.casefold(), *(actor.person.emails if actor.person else ())}


def find_co_authors(given: Iterable[GivenApproval], difference: Difference) -> tuple[str, ...]:
    """Returns whom a squash must name, as ``Bo <bo@example.com>``, for unsigned approvals to stay theirs."""
    found: dict[str, str] = {}
    for each in given:
        commits = difference.sources.get(each.path, ())
        if each.actor and commits and not each.actor.is_proven and each.code in _BY_COMMIT:
            found.setdefault(each.actor.name, _sign(each.actor, commits))
    return tuple(found[name] for name in sorted(found))


def advise_forged(given: GivenApproval, difference: Difference) -> str:
    """Returns what mends an approval that another person committed, if that was a squash; empty where it was none."""
    commits, actor = difference.sources.get(given.path, ()), given.actor
    is_newest = difference.is_checked_out and bool(commits) and commits[0].oid == difference.landing.oid
    if given.code != "approval-forged" or actor is None or actor.fault or not is_newest:
        return ""
    trailer = shlex.quote(f"{CO_AUTHOR}: {_sign(actor, ())}")
    return f"git commit --amend --no-edit --trailer {trailer}   # if this squashes a commit by {actor.email}"


def _sign(actor: Actor, commits: Iterable[Commit]) -> str:
    own = addresses_of(actor)
    for commit in commits:
        if commit.email.casefold() in own:
            return f"{commit.author} <{commit.email}>"
    name = actor.person.name if actor.person else actor.email.partition("@")[0]
    return f"{name} <{actor.email}>"
