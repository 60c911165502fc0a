"""Telling of transitions, once each, whoever syncs: the sinks, and the job that deploys.

``refs/mreg/notified`` names the commit up to which the sinks were told.  It moves before anything is sent, compared and
set, on the remote where there is a push: of two that sync at once, one tells.  So a sink is never told twice, and one
that was down then is told again by ``mreg sync --resend``.  ``refs/mreg/handed-on`` is the same for what a job of CI is
given to deploy; a sync at somebody's desk leaves it alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from msgspec import Struct

from mreg.core.history.tags import TagName, parse_tag_name
from mreg.core.history.timeline import Timeline, Transition
from mreg.core.names import ARCHIVED
from mreg.core.results import Notification
from mreg.core.review.cases import find_actor, find_record
from mreg.core.settings.sinks import Sink
from mreg.core.sharing.notices import Notice, is_told, write_notice
from mreg.errors import ConflictError, NotFoundError, OutsideError
from mreg.registry.reading.answers import name_approvers
from mreg.registry.reading.evidence import StoredEvidence
from mreg.registry.reading.reader import Reader, Settings
from mreg.stores.git.remotes.pushing import claim, fetch_object, is_ancestor, remote_ref
from mreg.stores.git.repository import GitRepository

__all__ = ["Notifying"]

_NOTIFIED = "refs/mreg/notified"
_HANDED_ON = "refs/mreg/handed-on"
_ATTEMPTS = 8


class Notifying(Struct, frozen=True):
    """Who is told by one sync."""

    repo: GitRepository
    environ: Mapping[str, str]
    """Holds the URLs of the sinks, and ``CI`` where this is a job of CI."""
    read: Callable[[], Timeline]
    """Gives the whole history; it is asked for where there is something to tell, and may be asked again."""
    remote: str = ""
    """Where the markers are; in this clone where empty."""

    def run(self, created: Sequence[Transition], again: Sequence[Transition] = ()) -> tuple[Notification, ...]:
        """Tells of what nobody was told of yet, and once more of some.

        Args:
            created: The transitions whose tags were made just now: all that is told where nothing ever was.
            again: The transitions that are told whether they were or not.
        """
        reader = Reader(self.repo)
        settings = reader.settings()
        if not settings.policy.notify:
            return ()
        moves = self._claim(_NOTIFIED, settings.tip, created)
        return self._tell(reader, settings, dict.fromkeys((*moves, *again)))

    def hand_on(self, created: Sequence[Transition]) -> tuple[Transition, ...]:
        """Returns what a deploy job is to act on.

        In a job of CI that pushes, that is what none was given before, be its tags made here or pushed by whoever
        promoted; elsewhere it is what was made here.

        Args:
            created: The transitions whose tags were made just now: all that is given where nothing ever was.
        """
        if not (self.remote and self.environ.get("CI")):
            return tuple(created)
        return tuple(self._claim(_HANDED_ON, Reader(self.repo).settings().tip, created))

    def find(self, what: str) -> tuple[Transition, ...]:
        """Returns the transitions of a commit, or the one that a tag seals.

        Raises:
            NotFoundError: The history has no such transition.
        """
        commit, says = self._locate(what)
        moves = tuple(
            each
            for each in self.read().transitions
            if each.commit == commit and (says is None or (each.model, each.stage) == (says.model, says.stage))
        )
        if not moves:
            raise NotFoundError(
                f"{what!r} is not a transition of the registry", hint="mreg history   # names the commit of each"
            )
        return moves

    def _claim(self, marker: str, tip: str, created: Sequence[Transition]) -> Sequence[Transition]:
        """Returns what is new since a marker, and moves it; nothing where someone else did.

        Raises:
            ConflictError: It kept moving.
            PushRefusedError: The server does not let it be kept there.
        """
        for _ in range(_ATTEMPTS):
            told = self._find_marker(marker)
            # It is ahead where someone who fetched later was faster: never back, or all after it were told again.
            if told is not None and is_ancestor(self.repo, tip, told):
                return ()
            moves = created if told is None else self._since(tip, told)
            if claim(self.repo, self.remote, marker, new=tip, old=told):
                return moves
        raise ConflictError(f"{marker} moved {_ATTEMPTS} times while mreg was writing", hint="try again")

    def _find_marker(self, marker: str) -> str | None:
        """Returns where a marker is; what it names is here then."""
        if not self.remote:
            return self.repo.resolve([marker])[0]
        told = remote_ref(self.repo, self.remote, marker)
        if told is not None and self.repo.resolve([told])[0] is None:
            fetch_object(self.repo, self.remote, marker)
        return told

    def _since(self, tip: str, told: str) -> list[Transition]:
        commits = set(self.repo.runner.text("rev-list", "--first-parent", tip, f"^{told}").split("\n"))
        return [each for each in self.read().transitions if each.commit in commits]

    def _locate(self, what: str) -> tuple[str, TagName | None]:
        """Returns the commit that a tag seals, and what the tag is about; else the one that a revision names."""
        (content,) = self.repo.read([f"refs/tags/{what}"])
        lines = (content or b"").decode("utf-8", "replace").split("\n")
        sealed = [line.removeprefix("Mreg-Commit: ") for line in lines if line.startswith("Mreg-Commit: ")]
        return (sealed[-1], parse_tag_name(what)) if sealed else (self.repo.commit_of(what), None)

    def _tell(self, reader: Reader, settings: Settings, moves: Collection[Transition]) -> tuple[Notification, ...]:
        if not moves:
            return ()
        timeline = self.read()
        evidence = StoredEvidence(reader, settings.policy.layout, settings.tip)
        found = []
        for move in name_approvers(reader, moves):
            if _is_collected(timeline, move):
                continue
            record = find_record(timeline, move.model, move.target, evidence)
            notice = write_notice(move, actor=find_actor(settings.policy, move, record, evidence))
            for sink in settings.policy.notify:
                if is_told(sink, move):
                    found.append(self._send(sink, notice))
        return tuple(found)

    def _send(self, sink: Sink, notice: Notice) -> Notification:
        from mreg.stores.notifications.sending import send  # noqa: PLC0415 - most registries tell nobody

        try:
            send(sink, notice, self.environ)
        except OutsideError as error:  # it is reported, and undoes nothing
            return Notification(sink.name, notice.transition, error.message, error.hint)
        return Notification(sink.name, notice.transition)


def _is_collected(timeline: Timeline, move: Transition) -> bool:
    """Returns whether a version was archived only because its bytes were given up: a collection brings hundreds."""
    mark = timeline.archived.get(move.model, {}).get(move.target) if move.target and move.stage == ARCHIVED else None
    return mark is not None and mark.deletion is not None and mark.deletion.at == mark.at
