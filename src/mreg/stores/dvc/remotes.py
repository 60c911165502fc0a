"""Opens a remote that is not a folder, by the client that is best for its kind."""

from __future__ import annotations

from mreg.stores.dvc.clients import resolve
from mreg.stores.dvc.cloud import CloudRemote
from mreg.stores.dvc.config import Sections
from mreg.stores.dvc.errors import Place, remote_errors
from mreg.stores.dvc.traffic import Remote

__all__ = ["open_remote"]


def open_remote(sections: Sections, place: Place, *, stall_s: float) -> Remote:
    """Prepares a connection; the first request makes it.

    Args:
        sections: DVC's settings.
        place: The remote in them.
        stall_s: Seconds that one answer may take.

    Raises:
        StorageError: The plugin is missing, or the settings are wrong.
    """
    with remote_errors("opened", place):
        file_system, options, root = resolve(sections, place, stall_s)
        if file_system.protocol == "s3":
            from mreg.stores.dvc.s3 import S3Remote  # noqa: PLC0415 - imports botocore
            from mreg.stores.dvc.s3_client import S3Client  # noqa: PLC0415

            return S3Remote(S3Client(options, root, stall_s=stall_s), place)
    return CloudRemote(sections, place, stall_s=stall_s)
