"""Opens a remote that is not a folder, by the client that is best for its kind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mreg.stores.dvc.clients import resolve
from mreg.stores.dvc.cloud import CloudRemote
from mreg.stores.dvc.config import Sections
from mreg.stores.dvc.errors import Place, remote_errors
from mreg.stores.dvc.traffic import Remote

__all__ = ["open_remote"]


@contextmanager
def open_remote(sections: Sections, place: Place, *, stall_s: float) -> Iterator[Remote]:
    """Prepares a connection, which the first request makes; gives up in the end what is still being moved.

    Args:
        sections: DVC's settings.
        place: The remote in them.
        stall_s: Seconds that one answer may take.

    Raises:
        StorageError: The plugin is missing, or the settings are wrong.
    """
    with remote_errors("opened", place):
        file_system, options, root = resolve(sections, place, stall_s)
        is_s3 = file_system.protocol == "s3"
        if is_s3:
            from mreg.stores.dvc.s3 import S3Remote  # noqa: PLC0415 - imports botocore

            remote = S3Remote(options, root, place, stall_s=stall_s)
    if is_s3:
        with remote:
            yield remote
    else:
        yield CloudRemote(sections, place, stall_s=stall_s)
