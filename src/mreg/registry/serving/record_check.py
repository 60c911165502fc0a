"""What a version may not become: its record is compared with its tag once, and from then on with what it was."""

from __future__ import annotations

from msgspec.structs import replace

from mreg.core.history.record import Record
from mreg.core.history.state import RegistryState
from mreg.core.history.tags import version_tag
from mreg.errors import DataError, IncompleteHistoryError
from mreg.registry.serving.glance import Glance
from mreg.registry.serving.tip import clone_command
from mreg.stores.serving.cache import Memory, Pin

__all__ = ["check_record"]


def check_record(
    glance: Glance, state: RegistryState, record: Record, memory: Memory, *, allow_older: bool
) -> tuple[tuple[str, ...], Memory]:
    """Returns notices, and the memory with what the version is, once it is sure that it was always that.

    Raises:
        DataError: It names other bytes than when this machine first saw it.
        IncompleteHistoryError: It is not what its tag seals.
    """
    name, label = version_tag(record.model, record.version), glance.repo.remote.label
    path = state.policy.layout.record(record.model, record.version)
    oid = state.models[record.model].records[record.version]
    pin, now = memory.pins.get(name), Pin(oid, record.artifact.md5, record.artifact.sha256)
    if pin == now:
        return (), memory
    if pin and (pin.md5, pin.sha256) == (now.md5, now.sha256):
        return (f"{path} was changed since it was first pulled here; its bytes are the same",), memory
    if pin and not allow_older:
        raise DataError(
            f"{path} in {label} names other bytes than when {name} was first pulled on this machine",
            hint=f"{clone_command(label, 'verify')}   # shows who changed it",
            details={"file": path, "first": pin.sha256 or pin.md5, "now": now.sha256 or now.md5},
        )
    sealed = glance.sealed(record.version, path)
    if sealed not in {None, oid}:
        raise IncompleteHistoryError(
            f"{path} in {label} is not what the tag {name} seals: one of them was changed",
            hint=f"{clone_command(label, 'verify')}   # shows which",
            details={"file": path, "tag": name},
        )
    missing = f"no tag {name} in {label} shows that {path} is what was registered: mreg sync --push makes it"
    if record.adopted:  # the tag is GTO's, and older than the record
        missing = f"{name} in {label} was adopted from GTO: its tag does not show that {path} is what was registered"
    return (() if sealed else (missing,)), replace(memory, pins={**memory.pins, name: now})
