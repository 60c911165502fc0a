"""Everything that mreg has to do with DVC as a program: its settings, its remotes, its Python packages.

``config`` reads and writes settings without importing DVC, ``remotes`` stores objects (a folder without DVC, anything
else through DVC's file systems), ``store`` is what the rest of mreg uses.
"""

from mreg.stores.dvc.served import ServedStore
from mreg.stores.dvc.setup import dvc_files, read_options
from mreg.stores.dvc.store import STALL_S, DvcStore, Uploaded

__all__ = ["STALL_S", "DvcStore", "ServedStore", "Uploaded", "dvc_files", "read_options"]
