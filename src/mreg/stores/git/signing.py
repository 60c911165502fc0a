"""Signed commits and tags, made by Git itself as it is configured to (OpenPGP, SSH or X.509).

Git gets a folder of its own for what is temporary: 2.39 leaves a file behind for each signature by a key that is named
as a literal (``key::ssh-ed25519 …``), also where all goes well.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from msgspec.structs import replace

from mreg.errors import GitError
from mreg.stores.git.objects import Identity, encode_message
from mreg.stores.git.repository import GitRepository
from mreg.stores.git.runner import Completed, GitRunner, failure

__all__ = ["is_signing", "sign_commit", "sign_tag"]

_TRUE = {"true", "yes", "on"}


def is_signing(settings: Mapping[str, str], kind: str) -> bool:
    """Returns whether Git signs all that it makes of a kind: ``commit`` or ``tag``."""
    value = settings.get(f"{kind}.gpgsign", "").lower()
    return value in _TRUE or (value.isdigit() and int(value) != 0)


def sign_commit(
    repo: GitRepository, *, tree: str, parents: tuple[str, ...], author: Identity, committer: Identity, message: str
) -> str:
    """Writes a signed commit whose tree and parents are stored already, and returns its id.

    Raises:
        GitError: The key is missing, or the signing program failed.
    """
    parent_args = [arg for parent in parents for arg in ("-p", parent)]
    args = ("commit-tree", tree, *parent_args, "-S", "-F", "-")
    with tempfile.TemporaryDirectory(prefix="mreg-sign-") as folder:
        env = {"TMPDIR": folder, **_env("AUTHOR", author), **_env("COMMITTER", committer)}
        done = repo.runner.complete(*args, stdin=encode_message(message), env=env)
    if done.status != 0:
        raise _unsigned(args, done)
    return done.stdout.decode().strip()


def sign_tag(
    repo: GitRepository, settings: Mapping[str, str], *, name: str, target: str, tagger: Identity, message: str
) -> str:
    """Writes a signed tag object on a stored commit, makes no ref, and returns its id.

    ``git tag`` cannot sign without making a ref, and no ref of the user's may exist before a remote took the tag: so it
    runs in an empty repository of its own, which shares the objects and is told the settings of the real one.

    Args:
        repo: Where the tag object goes.
        settings: All of Git's settings there.  They are handed over one by one: an ``includeIf`` would not apply.
        name: The tag's name.
        target: The commit.
        tagger: Who signs.
        message: The tag's message.

    Raises:
        GitError: The key is missing, or the signing program failed.
    """
    with tempfile.TemporaryDirectory(prefix="mreg-sign-") as folder:
        scratch = _make_scratch(Path(folder), repo.object_format)
        keys = [key for key in settings if key.startswith("gpg.") or key == "user.signingkey"]
        told = [word for key in keys for word in ("-c", f"{key}={settings[key]}")]
        objects = str(repo.common_dir / "objects")
        env = {"GIT_OBJECT_DIRECTORY": objects, "TMPDIR": folder, **_env("COMMITTER", tagger)}
        # Not in the scratch folder: a key may be given by a path relative to the worktree.
        runner = GitRunner(repo.runner.directory, options=[f"--git-dir={scratch}", *told], env=env)
        args = ("tag", "-s", "--cleanup=verbatim", "-F", "-", "--", name, target)
        done = runner.complete(*args, stdin=encode_message(message))
        if done.status != 0:
            raise _unsigned(args, done)
        oid = (scratch / "refs" / "tags" / name).read_text().strip()
    (content,) = repo.read([oid])
    body = (content or b"").partition(b"\n\n")[2]
    # Git 2.39 makes a tag without a signature, and says that all went well, where ssh-keygen fails.
    if not body.removeprefix(encode_message(message)).startswith(b"-----BEGIN "):
        raise _unsigned(args, done)
    return oid


def _make_scratch(folder: Path, object_format: str) -> Path:
    for part in ("refs", "objects"):
        (folder / part).mkdir()
    (folder / "HEAD").write_text("ref: refs/heads/none\n")
    (folder / "config").write_text(_CONFIG.format(format=object_format))
    return folder


def _unsigned(args: tuple[str, ...], done: Completed) -> GitError:
    error = failure(args, done if done.stderr.strip() else replace(done, stderr="error: it could not be signed"))
    return GitError(error.message, hint=error.hint or _HINT, details=error.details)


_HINT = "check the key that Git signs with: git config --show-origin --get-regexp '^(gpg|user)[.]'"
_CONFIG = "[core]\n\trepositoryformatversion = 1\n\tbare = true\n[extensions]\n\tobjectFormat = {format}\n"


def _env(role: str, identity: Identity) -> dict[str, str]:
    return {
        f"GIT_{role}_NAME": identity.name,
        f"GIT_{role}_EMAIL": identity.email,
        f"GIT_{role}_DATE": f"@{identity.time} {identity.zone}",
    }
