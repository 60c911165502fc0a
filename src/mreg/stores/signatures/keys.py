"""The SSH key that Git is configured to sign with, and signatures made with it.

Which key and which program are Git's settings, read as Git reads them (``git help config``): ``gpg.format``,
``user.signingKey``, ``gpg.ssh.defaultKeyCommand``, ``gpg.ssh.program``.  Private keys are read by ``ssh-keygen`` and
the SSH agent alone.
"""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from mreg.core.settings.people import normalise_key
from mreg.errors import IdentityError
from mreg.stores.git.programs import has_terminal, run_program
from mreg.stores.git.repository import GitRepository
from mreg.stores.git.runner import Completed
from mreg.stores.git.signing import is_signing
from mreg.stores.signatures.sshsig import verify

__all__ = ["Signer", "find_signer", "get_signer", "signs_by_default"]

_SSH_KEYGEN = "ssh-keygen"
PATIENCE_S = 30  # for an agent, or a window that asks
PATIENCE_AT_TERMINAL_S = 120  # for somebody who types a passphrase or looks for the security key
_LITERAL = re.compile(r"(?:key::|(?=ssh-))(?P<key>[^\n]*)")
_MAX_PUBLIC_KEY_BYTES = 64 * 1024
_CHOOSE = "git config gpg.format ssh && git config user.signingkey ~/.ssh/id_ed25519.pub"
_LOOK = "git config --show-origin --get-regexp '^(gpg|user)[.]'"


class Signer(Struct, frozen=True):
    """A key to sign with."""

    directory: Path
    """Where programs run."""
    program: str
    """What makes signatures, as ``ssh-keygen`` does."""
    public: str = ""
    """The public key, where the settings hold it and the agent its other half."""
    path: Path | None = None
    """Of the private key or its ``.pub`` file, where the settings name one."""

    def key(self) -> str:
        """Returns the public key, ``ssh-ed25519 AAAA…``, without comment.

        A private key without a ``.pub`` file beside it is read, which may ask for its passphrase.

        Raises:
            IdentityError: There is no such key, or nobody could say its passphrase.
        """
        if self.path is None:
            return self.public
        beside = self.path.with_name(f"{self.path.name}.pub")
        return _read_public(self.path) or _read_public(beside) or self._derive(self.path)

    def sign(self, statement: bytes, namespace: str) -> str:
        """Returns the armored signature of a statement, once it has been verified.

        Raises:
            IdentityError: The key is missing or locked, the program is, or what it made proves nothing.
        """
        with tempfile.TemporaryDirectory(prefix="mreg-sign-") as folder:
            # Not through standard input, which is for the passphrase where there is a terminal.
            message, made = Path(folder, "statement"), Path(folder, "statement.sig")
            message.write_bytes(statement)
            key = self.path or Path(folder, "key.pub")
            if self.path is None:
                key.write_text(f"{self.public}\n", encoding="utf-8")
            done = self._run(self.program, "-Y", "sign", "-n", namespace, "-f", str(key), str(message))
            if done.status != 0 or not made.is_file():
                raise self._unsigned(done)
            armored = made.read_text(encoding="utf-8", errors="replace")
        proof = verify(statement, namespace, armored)
        if proof.fault:
            message_text = f"{self._shown} made a signature that would not be accepted: {proof.fault}"
            raise IdentityError(message_text, hint=_CHOOSE, details={"program": self.program})
        return armored

    def _derive(self, path: Path) -> str:
        if not path.exists():
            raise self._missing()
        # Programs that only sign stand in for ssh-keygen, and this they cannot do.
        done = self._run(_SSH_KEYGEN, "-y", "-f", str(path))
        key = normalise_key(done.stdout.decode("utf-8", "replace").strip()) if done.status == 0 else None
        if key is None:
            raise self._unsigned(done)
        return key

    def _run(self, *command: str) -> Completed:
        hint = f"ssh-add {shlex.quote(str(self.path).removesuffix('.pub'))}" if self.path else "ssh-add -L"
        return _run(command, self.directory, hint=hint)

    def _unsigned(self, done: Completed) -> IdentityError:
        details = {"program": self.program, "status": done.status, "stderr": done.stderr.strip()[-2000:]}
        if "usage:" in done.stderr:
            message = f"{self.program} cannot sign: OpenSSH 8.2 or newer is needed"
            return IdentityError(message, hint="ssh -V", details=details)
        if self.path is None:
            message = f"the SSH agent did not sign with the key that Git is configured to sign with ({self._shown})"
            return IdentityError(message, hint="ssh-add -L", details=details)
        private = self.path.with_name(self.path.name.removesuffix(".pub"))
        if not self.path.exists() and not private.exists():
            return self._missing()
        if "incorrect passphrase" in done.stderr:
            message = f"the key {private} is locked, and its passphrase was not given"
            return IdentityError(message, hint=f"ssh-add {shlex.quote(str(private))}", details=details)
        message = f"{self.program} could not sign with {self.path}: {_last_line(done)}"
        return IdentityError(message, hint=_LOOK, details=details)

    def _missing(self) -> IdentityError:
        message = f"the key that Git is configured to sign with does not exist: {self.path}"
        return IdentityError(message, hint=_LOOK, details={"path": str(self.path)})

    @property
    def _shown(self) -> str:
        return str(self.path) if self.path else f"{self.public[:16]}…{self.public[-12:]}"


def find_signer(repo: GitRepository) -> Signer | None:
    """Returns the key that Git is configured to sign with; ``None`` where that is none, or no SSH key.

    The key itself is not looked for yet.

    Raises:
        IdentityError: The settings cannot be understood, or ``gpg.ssh.defaultKeyCommand`` failed.
    """
    settings = repo.settings()
    if settings.get("gpg.format") != "ssh":
        return None
    directory = repo.runner.directory
    named = settings.get("user.signingkey", "")
    if not named:
        command = settings.get("gpg.ssh.defaultkeycommand", "")
        if not command:
            return None
        named = _ask_for_key(command, directory)
    program = settings.get("gpg.ssh.program") or _SSH_KEYGEN
    if program.startswith("~"):
        program = str(_expand(program, "gpg.ssh.program"))
    literal = _LITERAL.fullmatch(named)
    if literal is None:
        return Signer(directory, program, path=directory / _expand(named, "user.signingkey"))
    public = normalise_key(literal["key"])
    if public is None:
        raise IdentityError("user.signingkey is not an SSH public key", hint=_CHOOSE, details={"value": named})
    return Signer(directory, program, public=public)


def get_signer(repo: GitRepository) -> Signer:
    """Returns the key that Git is configured to sign with.

    Raises:
        IdentityError: It is configured to sign with none, or with no SSH key.
    """
    signer = find_signer(repo)
    if signer is None:
        raise IdentityError("git is not configured to sign with an SSH key", hint=_CHOOSE)
    return signer


def signs_by_default(settings: Mapping[str, str]) -> bool:
    """Returns whether Git signs its commits or tags with an SSH key without being asked to."""
    return settings.get("gpg.format") == "ssh" and any(is_signing(settings, kind) for kind in ("commit", "tag"))


def _ask_for_key(command: str, directory: Path) -> str:
    setting = "gpg.ssh.defaultKeyCommand"
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise IdentityError(f"{setting} cannot be split into words: {error}", hint=_LOOK) from error
    if not words:
        raise IdentityError(f"{setting} names no program", hint=_LOOK)
    done = _run(words, directory, hint=_LOOK)
    line = done.stdout.decode("utf-8", "replace").partition("\n")[0]
    if done.status != 0 or not _LITERAL.fullmatch(line):
        what = f"failed: {_last_line(done)}" if done.status else "names no key"
        details = {"command": command, "status": done.status, "stderr": done.stderr.strip()[-2000:]}
        raise IdentityError(f"{setting} ({command}) {what}", hint="ssh-add -L", details=details)
    return line


def _run(command: Sequence[str], directory: Path, *, hint: str) -> Completed:
    program = command[0]
    timeout_s = PATIENCE_AT_TERMINAL_S if has_terminal() else PATIENCE_S
    try:
        return run_program(command, directory=directory, timeout_s=timeout_s)
    except TimeoutError as error:
        message = f"{program} waited {timeout_s} s for a passphrase or for the SSH agent"
        raise IdentityError(message, hint=hint, details={"program": program}) from error
    except OSError as error:
        details = {"program": program}
        if program == _SSH_KEYGEN and isinstance(error, FileNotFoundError):
            advice = "install OpenSSH (on Debian: apt install openssh-client), and put ssh-keygen on PATH"
            raise IdentityError("ssh-keygen was not found", hint=advice, details=details) from error
        message = f"{program} cannot be run: {error.strerror}"
        raise IdentityError(message, hint=_LOOK, details=details) from error


def _expand(path: str, setting: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise IdentityError(f"{setting} is in an unknown home: {path}", hint=_LOOK) from error


def _read_public(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            line = file.read(_MAX_PUBLIC_KEY_BYTES).partition(b"\n")[0]
    except OSError:
        return None
    text = line.decode("utf-8", "replace")
    if "-cert-v01@" in text.partition(" ")[0]:
        raise IdentityError(f"{path} is a certificate, and not a plain key", hint=_CHOOSE)
    return normalise_key(text)


def _last_line(done: Completed) -> str:
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return lines[-1].strip() if lines else f"exit status {done.status}"
