"""What hands out the bytes of versions; nothing here changes the registry."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING

from msgspec.structs import replace

from mreg.core.names import parse_selector
from mreg.core.results import LinkMode, Pulled
from mreg.registry.api.queries import Queries
from mreg.registry.arguments import as_choice, as_path

if TYPE_CHECKING:
    from mreg.stores.artifacts.hashing import Progress

__all__ = ["Deliveries"]


class Deliveries(Queries):
    """Puts versions in place."""

    def pull(
        self,
        selector: str,
        output: str | PathLike[str] | None = None,
        *,
        into: str | PathLike[str] = ".",
        link: LinkMode | str = LinkMode.AUTO,
        force: bool = False,
        progress: Progress | None = None,
    ) -> Pulled:
        """Puts a version's verified bytes in place; does nothing where they are there already.

        Args:
            selector: Which version.
            output: Where; by default the artifact's own name in ``into``.
            into: A directory.
            link: Copy the bytes out of the cache, or link to them.
            force: Replace what is there, be it not a version of this model.
            progress: Called with bytes done and bytes in all.

        Raises:
            NotFoundError: The selector names nothing, or no remote has the bytes.
            CorruptArtifactError: The bytes found are not those of the record; the destination is as it was.
            RefusedError: The destination is not a version of this model.
            StorageError: The remote or the disk failed.
        """
        from mreg.registry.serving.pulling import Pulling, Source  # noqa: PLC0415 - readers do without DVC
        from mreg.registry.serving.wanted import find_wanted  # noqa: PLC0415 - readers do without tags

        chosen, how = parse_selector(selector), as_choice(link, LinkMode, "link")
        target = as_path(output, "output") if output else None
        reader, state, settings = self._state([chosen.model])
        wanted = find_wanted(reader, state, chosen)
        pulled = Pulling(chosen, wanted, Source.of(self._repo), how, force, progress).run(target, as_path(into, "into"))
        stages = state.models[chosen.model].stages_of(pulled.version)
        return replace(pulled, commit=str(state.commit), branch=settings.branch, stages=stages)
