"""Everything that mreg has to do with DVC as a program: its settings, its remotes, its Python packages.

``config`` and ``setup`` read and write settings without importing DVC.  ``remotes`` opens a remote: a ``folder``,
``s3``, or any other ``cloud``, by DVC's file systems.  ``traffic`` moves objects to and from it, and ``holdings`` tells
what it has.  ``store`` is what the rest of mreg uses, and ``served_store`` the same for a registry without a clone.
"""

from mreg.stores.dvc.served_store import ServedStore
from mreg.stores.dvc.setup import dvc_files, read_options
from mreg.stores.dvc.store import STALL_S, DvcStore, Uploaded

__all__ = ["STALL_S", "DvcStore", "ServedStore", "Uploaded", "dvc_files", "read_options"]
