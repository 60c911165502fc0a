"""What makes Git show another history than the one that is stored; mreg's own Git calls switch it off."""

from __future__ import annotations

from mreg.stores.git.repository import GitRepository

__all__ = ["find_grafts", "find_replacements"]

_REPLACE = "refs/replace/"


def find_replacements(repo: GitRepository) -> list[tuple[str, str]]:
    """Returns the refs by which Git shows one object in the place of another, each with the id of that one."""
    out = repo.runner.text("for-each-ref", "--format=%(refname)", _REPLACE)
    return [(ref, ref.removeprefix(_REPLACE)) for ref in out.split("\n") if ref]


def find_grafts(repo: GitRepository) -> list[str]:
    """Returns the commits of which ``info/grafts`` says that they have other parents than they have."""
    try:
        lines = (repo.common_dir / "info" / "grafts").read_bytes().split(b"\n")
    except OSError:
        return []
    return [line.split()[0].decode("ascii", "replace") for line in lines if line.strip() and not line.startswith(b"#")]
