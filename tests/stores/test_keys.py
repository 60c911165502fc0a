from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from mreg.core.settings.people import Proof
from mreg.errors import IdentityError
from mreg.stores.git.programs import run_program
from mreg.stores.git.repository import GitRepository
from mreg.stores.signatures.keys import find_signer, get_signer, signs_by_default
from mreg.stores.signatures.sshsig import verify
from tests.conftest import Git
from tests.stores import ssh

pytestmark = pytest.mark.skipif(not shutil.which("ssh-agent"), reason="signs with OpenSSH")

STATEMENT = b'{"kind":"transition.mreg"}\n'
NAME = "transition.mreg"
PASSPHRASE = "open sesame"
CHOOSE = "git config gpg.format ssh && git config user.signingkey ~/.ssh/id_ed25519.pub"
LOOK = "git config --show-origin --get-regexp '^(gpg|user)[.]'"


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A private key without a passphrase, beside its public half."""
    return ssh.make_key(tmp_path_factory.mktemp("keys") / "a key")


@pytest.fixture(scope="session")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A private key with a passphrase, beside its public half."""
    return ssh.make_key(tmp_path_factory.mktemp("keys") / "locked key", passphrase=PASSPHRASE)


@pytest.fixture
def agent(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Path], None]]:
    """A real SSH agent; adds a key to it, whose file is then needed no more."""
    place = tmp_path_factory.mktemp("a") / "s"
    told = subprocess.run(["ssh-agent", "-s", "-a", str(place)], stdout=subprocess.PIPE, check=True, text=True).stdout
    found = re.search(r"SSH_AGENT_PID=(\d+)", told)
    assert found
    monkeypatch.setenv("SSH_AUTH_SOCK", str(place))

    def add(path: Path) -> None:
        subprocess.run(["ssh-add", "-q", str(path)], check=True)

    yield add
    os.kill(int(found[1]), signal.SIGTERM)


@pytest.fixture
def configure(repo: Path, git: Git) -> Callable[..., GitRepository]:
    """Sets ``user__signingKey`` and the like; SSH unless told otherwise."""

    def set_all(**settings: object) -> GitRepository:
        for name, value in {"gpg__format": "ssh", **settings}.items():
            git("config", name.replace("__", "."), str(value), cwd=repo)
        return GitRepository(repo)

    return set_all


def make_program(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def refusal(act: Callable[[], object]) -> IdentityError:
    with pytest.raises(IdentityError) as caught:
        act()
    error = caught.value
    assert error.message
    assert error.hint
    assert "\n" not in error.message + error.hint
    return error


def assert_signs(repo: GitRepository, public: str, git: Git) -> None:
    """Shows that a statement, and a commit by Git itself, are signed by one key."""
    signer = get_signer(repo)
    assert signer.key() == public
    assert verify(STATEMENT, NAME, signer.sign(STATEMENT, NAME)) == Proof(public)
    with tempfile.TemporaryDirectory() as folder:  # Git 2.39 forgets there what it wrote of a literal key
        env = {"TMPDIR": folder}
        git("commit", "--quiet", "--allow-empty", "-S", "-m", "Sign", cwd=repo.git_dir.parent, env=env)
    raw = git("cat-file", "commit", "HEAD", cwd=repo.git_dir.parent) + "\n"
    head, _, rest = raw.partition("\ngpgsig ")
    lines = rest.split("\n")
    end = lines.index(f" {ssh.END}") + 1
    armored = "\n".join(line.removeprefix(" ") for line in lines[:end])
    assert verify("\n".join([head, *lines[end:]]).encode(), "git", armored) == Proof(public)


@pytest.mark.parametrize("suffix", ["", ".pub"])
def test_key_by_its_path(configure: Callable[..., GitRepository], key: Path, git: Git, suffix: str) -> None:
    assert_signs(configure(user__signingKey=f"{key}{suffix}"), ssh.public_key(key), git)


def test_key_by_a_path_from_the_worktree(
    configure: Callable[..., GitRepository], repo: Path, key: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(key, repo / ".git" / "key")
    configure(user__signingKey=".git/key")
    (repo / "deep").mkdir()
    monkeypatch.chdir(repo / "deep")
    assert_signs(GitRepository(Path.cwd()), ssh.public_key(key), git)


def test_key_in_the_home(
    configure: Callable[..., GitRepository], key: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(key.parent))
    assert_signs(configure(user__signingKey=f"~/{key.name}.pub"), ssh.public_key(key), git)


def test_key_in_an_unknown_home_says_so(configure: Callable[..., GitRepository]) -> None:
    repo = configure(user__signingKey="~nobody-of-this-name/key")
    error = refusal(lambda: find_signer(repo))
    assert (error.message, error.hint) == ("user.signingkey is in an unknown home: ~nobody-of-this-name/key", LOOK)


def test_key_without_its_public_file_is_derived(
    configure: Callable[..., GitRepository], tmp_path: Path, key: Path, git: Git
) -> None:
    shutil.copy(key, tmp_path / "alone")
    assert_signs(configure(user__signingKey=tmp_path / "alone"), ssh.public_key(key), git)


@pytest.mark.parametrize("kind", ["rsa -b 2048", "ecdsa -b 384"])
def test_key_of_another_kind(configure: Callable[..., GitRepository], tmp_path: Path, git: Git, kind: str) -> None:
    path = ssh.make_key(tmp_path / "key", "-t", *kind.split())
    assert_signs(configure(user__signingKey=path), ssh.public_key(path), git)


def test_key_in_the_agent_by_the_file_of_its_public_half(
    configure: Callable[..., GitRepository], tmp_path: Path, agent: Callable[[Path], None], git: Git
) -> None:
    path = ssh.make_key(tmp_path / "key")
    agent(path)
    path.unlink()
    for name in ("key", "key.pub"):
        repo = configure(user__signingKey=tmp_path / name)
        assert_signs(repo, ssh.public_key(path), git)


@pytest.mark.parametrize("form", ["key::{}", "key::{} ada@example.com", "{}", "{} ada@example.com"])
def test_key_in_the_agent_as_a_literal(
    configure: Callable[..., GitRepository], tmp_path: Path, agent: Callable[[Path], None], git: Git, form: str
) -> None:
    path = ssh.make_key(tmp_path / "key")
    agent(path)
    public = ssh.public_key(path)
    for file in (path, tmp_path / "key.pub"):
        file.unlink()
    assert_signs(configure(user__signingKey=form.format(public)), public, git)


def test_key_of_another_kind_in_the_agent_as_a_literal(
    configure: Callable[..., GitRepository], tmp_path: Path, agent: Callable[[Path], None], git: Git
) -> None:
    path = ssh.make_key(tmp_path / "key", "-t", "ecdsa")
    agent(path)
    assert_signs(configure(user__signingKey=f"key::{ssh.public_key(path)}"), ssh.public_key(path), git)


def test_key_not_in_the_agent_says_so(
    configure: Callable[..., GitRepository], tmp_path: Path, key: Path, agent: Callable[[Path], None]
) -> None:
    agent(ssh.make_key(tmp_path / "other"))
    public = ssh.public_key(key)
    signer = get_signer(configure(user__signingKey=f"key::{public}"))
    assert signer.key() == public
    error = refusal(lambda: signer.sign(STATEMENT, NAME))
    shown = f"{public[:16]}…{public[-12:]}"
    assert error.message == f"the SSH agent did not sign with the key that Git is configured to sign with ({shown})"
    assert error.hint == "ssh-add -L"


def test_key_as_a_literal_without_an_agent_says_so(configure: Callable[..., GitRepository], key: Path) -> None:
    signer = get_signer(configure(user__signingKey=f"key::{ssh.public_key(key)}"))
    assert refusal(lambda: signer.sign(STATEMENT, NAME)).hint == "ssh-add -L"


@pytest.mark.parametrize(
    "value", ["key::", "key::rubbish", "ssh-ed25519", "ssh-ed25519 !!!!", "key::~/.ssh/id_ed25519"]
)
def test_key_as_a_literal_that_is_none_says_so(configure: Callable[..., GitRepository], value: str) -> None:
    repo = configure(user__signingKey=value)
    error = refusal(lambda: find_signer(repo))
    assert (error.message, error.hint) == ("user.signingkey is not an SSH public key", CHOOSE)


def test_default_key_command_names_the_key_in_the_agent(
    configure: Callable[..., GitRepository], tmp_path: Path, agent: Callable[[Path], None], git: Git
) -> None:
    path = ssh.make_key(tmp_path / "key")
    agent(path)
    agent(ssh.make_key(tmp_path / "other"))
    path.unlink()
    assert_signs(configure(gpg__ssh__defaultKeyCommand="ssh-add -L"), ssh.public_key(path), git)


def test_default_key_command_with_quoted_words(
    configure: Callable[..., GitRepository], tmp_path: Path, agent: Callable[[Path], None], git: Git
) -> None:
    path = ssh.make_key(tmp_path / "key", "-t", "ecdsa")
    agent(path)
    program = make_program(tmp_path / "which key", 'echo "key::$(cut -d" " -f1,2 "$1.pub")"; echo more')
    repo = configure(gpg__ssh__defaultKeyCommand=f"'{program}' {path}")
    assert_signs(repo, ssh.public_key(path), git)


def test_default_key_command_is_not_asked_where_a_key_is_named(
    configure: Callable[..., GitRepository], key: Path
) -> None:
    repo = configure(gpg__ssh__defaultKeyCommand="false", user__signingKey=key)
    assert get_signer(repo).key() == ssh.public_key(key)


@pytest.mark.parametrize(
    ("command", "message", "hint"),
    [
        ("false", "gpg.ssh.defaultKeyCommand (false) failed: exit status 1", "ssh-add -L"),
        ("true", "gpg.ssh.defaultKeyCommand (true) names no key", "ssh-add -L"),
        ("echo hello", "gpg.ssh.defaultKeyCommand (echo hello) names no key", "ssh-add -L"),
        ("/absent/program -x", "/absent/program cannot be run: No such file or directory", LOOK),
        ("echo 'x", "gpg.ssh.defaultKeyCommand cannot be split into words: No closing quotation", LOOK),
        (" ", "gpg.ssh.defaultKeyCommand names no program", LOOK),
    ],
)
def test_default_key_command_that_gives_none_says_so(
    configure: Callable[..., GitRepository], command: str, message: str, hint: str
) -> None:
    repo = configure(gpg__ssh__defaultKeyCommand=command)
    error = refusal(lambda: find_signer(repo))
    assert (error.message, error.hint) == (message, hint)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"gpg.format": "ssh"},
        {"gpg.format": "ssh", "user.signingKey": ""},
        {"gpg.format": "openpgp", "user.signingKey": "ABCD1234"},
        {"user.signingKey": "ABCD1234"},
        {"gpg.format": "x509", "user.signingKey": "/absent"},
    ],
)
def test_find_signer_without_an_ssh_key_gives_none(repo: Path, git: Git, settings: Mapping[str, str]) -> None:
    for name, value in settings.items():
        git("config", name, value)
    assert find_signer(GitRepository(repo)) is None
    error = refusal(lambda: get_signer(GitRepository(repo)))
    assert (error.message, error.hint) == ("git is not configured to sign with an SSH key", CHOOSE)


def test_hint_works_when_pasted(
    repo: Path, git: Git, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home" / ".ssh").mkdir(parents=True)
    for suffix in ("", ".pub"):
        shutil.copy(f"{key}{suffix}", tmp_path / "home" / ".ssh" / f"id_ed25519{suffix}")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    hint = refusal(lambda: get_signer(GitRepository(repo))).hint
    subprocess.run(["sh", "-c", hint], check=True)
    assert_signs(GitRepository(repo), ssh.public_key(key), git)
    assert b"user.signingkey" in subprocess.run(["sh", "-c", LOOK], stdout=subprocess.PIPE, check=True).stdout


def test_find_signer_in_a_bare_repository(tmp_path: Path, git: Git, key: Path) -> None:
    git("init", "--quiet", "--bare", str(tmp_path / "bare"))
    for name, value in (("gpg.format", "ssh"), ("user.signingKey", str(key))):
        git("config", name, value, cwd=tmp_path / "bare")
    signer = get_signer(GitRepository(tmp_path / "bare"))
    assert verify(STATEMENT, NAME, signer.sign(STATEMENT, NAME)) == Proof(ssh.public_key(key))


def test_find_signer_starts_nothing_and_reads_no_key(configure: Callable[..., GitRepository]) -> None:
    signer = get_signer(configure(user__signingKey="/absent/key", gpg__ssh__program="/absent/program"))
    assert signer.path == Path("/absent/key")


@pytest.mark.parametrize("name", ["key", "key.pub"])
def test_missing_key_says_where_to_look(configure: Callable[..., GitRepository], tmp_path: Path, name: str) -> None:
    signer = get_signer(configure(user__signingKey=tmp_path / name))
    for act in (signer.key, lambda: signer.sign(STATEMENT, NAME)):
        error = refusal(act)
        assert error.message == f"the key that Git is configured to sign with does not exist: {tmp_path / name}"
        assert error.hint == LOOK


def test_public_file_alone_says_what_is_missing(
    configure: Callable[..., GitRepository], tmp_path: Path, key: Path
) -> None:
    shutil.copy(f"{key}.pub", tmp_path / "key.pub")
    signer = get_signer(configure(user__signingKey=tmp_path / "key.pub"))
    assert signer.key() == ssh.public_key(key)
    error = refusal(lambda: signer.sign(STATEMENT, NAME))
    assert error.message.startswith(f"ssh-keygen could not sign with {tmp_path / 'key.pub'}: No private key found")


@pytest.mark.parametrize("content", [b"", b"rubbish\n", b"\xff" * 100_000])
def test_file_that_is_no_key_says_so(configure: Callable[..., GitRepository], tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    path.chmod(0o600)
    signer = get_signer(configure(user__signingKey=path))
    for act in (signer.key, lambda: signer.sign(STATEMENT, NAME)):
        assert refusal(act).message.startswith(f"ssh-keygen could not sign with {path}: ")


def test_folder_that_is_no_key_says_so(configure: Callable[..., GitRepository], tmp_path: Path) -> None:
    signer = get_signer(configure(user__signingKey=tmp_path))
    for act in (signer.key, lambda: signer.sign(STATEMENT, NAME)):
        assert refusal(act).message.startswith(f"ssh-keygen could not sign with {tmp_path}: ")


def test_key_that_others_may_read_says_so(configure: Callable[..., GitRepository], tmp_path: Path, key: Path) -> None:
    shutil.copy(key, tmp_path / "key")
    (tmp_path / "key").chmod(0o644)
    signer = get_signer(configure(user__signingKey=tmp_path / "key"))
    error = refusal(signer.key)
    assert "UNPROTECTED PRIVATE KEY FILE" in str(error.details["stderr"])


def test_public_file_of_another_key_is_refused(
    configure: Callable[..., GitRepository], tmp_path: Path, key: Path, locked: Path
) -> None:
    shutil.copy(key, tmp_path / "key")
    shutil.copy(f"{locked}.pub", tmp_path / "key.pub")
    signer = get_signer(configure(user__signingKey=tmp_path / "key"))
    assert "doesn't match" in refusal(lambda: signer.sign(STATEMENT, NAME)).message


def test_key_too_weak_is_refused_when_it_signs(configure: Callable[..., GitRepository], tmp_path: Path) -> None:
    path = ssh.make_key(tmp_path / "key", "-t", "rsa", "-b", "1024")
    error = refusal(lambda: get_signer(configure(user__signingKey=path)).sign(STATEMENT, NAME))
    assert error.message == (
        f"{path} made a signature that would not be accepted: "
        "the signature is by an RSA key of 1024 bits; 2048 to 16384 are accepted"
    )
    assert error.hint == CHOOSE


def test_certificate_is_refused(configure: Callable[..., GitRepository], tmp_path: Path, key: Path) -> None:
    for suffix in ("", ".pub"):
        shutil.copy(f"{key}{suffix}", tmp_path / f"key{suffix}")
    authority = ssh.make_key(tmp_path / "authority")
    subprocess.run(["ssh-keygen", "-q", "-s", authority, "-I", "a", "-n", "a", str(tmp_path / "key.pub")], check=True)
    signer = get_signer(configure(user__signingKey=tmp_path / "key-cert.pub"))
    assert refusal(signer.key).message == f"{tmp_path / 'key-cert.pub'} is a certificate, and not a plain key"
    assert "by a certificate" in refusal(lambda: signer.sign(STATEMENT, NAME)).message


def test_program_in_place_of_ssh_keygen_is_used(
    configure: Callable[..., GitRepository], tmp_path: Path, key: Path, monkeypatch: pytest.MonkeyPatch, git: Git
) -> None:
    make_program(tmp_path / "my signer", f'echo "$*" >>{tmp_path}/log\nexec ssh-keygen "$@"')
    monkeypatch.setenv("HOME", str(tmp_path))
    signer = get_signer(configure(user__signingKey=key, gpg__ssh__program="~/my signer"))
    signer.sign(STATEMENT, NAME)
    assert (tmp_path / "log").read_text().startswith(f"-Y sign -n {NAME} -f {key} ")
    assert_signs(configure(gpg__ssh__program=tmp_path / "my signer"), ssh.public_key(key), git)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("exit 0", "{program} could not sign with {key}: exit status 0"),
        ("echo 'no luck today' >&2; exit 3", "{program} could not sign with {key}: no luck today"),
        ("kill -9 $$", "{program} could not sign with {key}: exit status -9"),
        ("echo 'usage: ssh-keygen [-q]' >&2; exit 1", "{program} cannot sign: OpenSSH 8.2 or newer is needed"),
        (
            'eval file=\\${$#}; printf "\\377" >"$file.sig"',
            "{key} made a signature that would not be accepted: "
            f"it is not an SSH signature: it does not begin with a line {ssh.BEGIN}",
        ),
        (
            'eval file=\\${$#}; echo more >>"$file"; ssh-keygen "$@"',
            "{key} made a signature that would not be accepted: "
            "the signature does not fit: what it was made over was changed, or it is another's",
        ),
    ],
)
def test_program_that_fails_says_how(
    configure: Callable[..., GitRepository], tmp_path: Path, key: Path, script: str, message: str
) -> None:
    program = make_program(tmp_path / "signer", script)
    signer = get_signer(configure(user__signingKey=key, gpg__ssh__program=program))
    assert refusal(lambda: signer.sign(STATEMENT, NAME)).message == message.format(program=program, key=key)


def test_program_that_is_missing_says_so(configure: Callable[..., GitRepository], key: Path) -> None:
    signer = get_signer(configure(user__signingKey=key, gpg__ssh__program="/absent/program"))
    error = refusal(lambda: signer.sign(STATEMENT, NAME))
    assert (error.message, error.hint) == ("/absent/program cannot be run: No such file or directory", LOOK)
    assert signer.key() == ssh.public_key(key)


def test_ssh_keygen_that_is_missing_says_how_to_get_it(
    configure: Callable[..., GitRepository], tmp_path: Path, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(key, tmp_path / "key")
    signer = get_signer(configure(user__signingKey=tmp_path / "key"))
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for act in (signer.key, lambda: signer.sign(STATEMENT, NAME)):
        error = refusal(act)
        assert error.message == "ssh-keygen was not found"
        assert error.hint == "install OpenSSH (on Debian: apt install openssh-client), and put ssh-keygen on PATH"


def test_sign_leaves_nothing_behind(
    configure: Callable[..., GitRepository], tmp_path: Path, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    get_signer(configure(user__signingKey=key)).sign(STATEMENT, NAME)
    literal = get_signer(configure(user__signingKey=f"key::{ssh.public_key(key)}"))
    refusal(lambda: literal.sign(STATEMENT, NAME))
    assert not list((tmp_path / "scratch").iterdir())


SIGN = """
import fcntl, sys, termios
from pathlib import Path
from mreg.errors import IdentityError
from mreg.stores.signatures import keys
from mreg.stores.git.repository import GitRepository
patience = float(sys.argv[1])
if patience:
    keys.PATIENCE_S = keys.PATIENCE_AT_TERMINAL_S = patience
if sys.argv[2] == "terminal":
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signer = keys.get_signer(GitRepository(Path.cwd()))
try:
    print(signer.sign(b"statement", "transition.mreg") if sys.argv[3] == "sign" else signer.key())
except IdentityError as error:
    print(error.message)
    print(error.hint)
"""


def in_session(act: str, *, patience_s: float = 0) -> list[str]:
    """Signs where there is no terminal, whatever there is around the tests; gives the lines that are printed."""
    command = [sys.executable, "-c", SIGN, str(patience_s), "none", act]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", start_new_session=True, check=True
    )
    assert not done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("act", ["sign", "key"])
def test_locked_key_without_a_terminal_is_told_soon(
    configure: Callable[..., GitRepository], tmp_path: Path, locked: Path, act: str
) -> None:
    path = tmp_path / "a key"
    shutil.copy(locked, path)
    configure(user__signingKey=path)
    started = time.monotonic()
    assert in_session(act) == [
        f"the key {path} is locked, and its passphrase was not given",
        f"ssh-add '{path}'",
    ]
    assert time.monotonic() - started < 10


def test_locked_key_is_named_by_its_private_half(configure: Callable[..., GitRepository], locked: Path) -> None:
    configure(user__signingKey=f"{locked}.pub")
    assert in_session("key") == [ssh.public_key(locked)]
    assert in_session("sign")[1] == f"ssh-add '{locked}'"


def test_window_that_asks_for_the_passphrase_is_answered(
    configure: Callable[..., GitRepository], tmp_path: Path, locked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_ASKPASS", str(make_program(tmp_path / "ask", f"echo '{PASSPHRASE}'")))
    monkeypatch.setenv("DISPLAY", ":99")
    configure(user__signingKey=locked)
    assert verify(b"statement", NAME, "\n".join(in_session("sign")).strip()) == Proof(ssh.public_key(locked))


def test_window_that_nobody_answers_is_closed(
    configure: Callable[..., GitRepository], tmp_path: Path, locked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = make_program(tmp_path / "ask", f"trap '' TERM\necho $$ >{tmp_path}/pid\nwhile :; do sleep 1; done")
    monkeypatch.setenv("SSH_ASKPASS", str(ask))
    monkeypatch.setenv("DISPLAY", ":99")
    configure(user__signingKey=locked)
    started = time.monotonic()
    message, hint = in_session("sign", patience_s=0.5)
    assert message == "ssh-keygen waited 0.5 s for a passphrase or for the SSH agent"
    assert hint == f"ssh-add '{locked}'"
    assert time.monotonic() - started < 10
    assert is_gone(int((tmp_path / "pid").read_text()))


def is_gone(process: int) -> bool:
    """Says whether a process has ended; its parent is dead, and may not have been followed by one that reaps it."""
    status = Path(f"/proc/{process}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z"


def test_agent_that_does_not_answer_is_not_waited_for(
    configure: Callable[..., GitRepository],
    tmp_path_factory: pytest.TempPathFactory,
    key: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = tmp_path_factory.mktemp("a") / "s"
    configure(user__signingKey=f"key::{ssh.public_key(key)}")
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(place))
        deaf.listen()
        monkeypatch.setenv("SSH_AUTH_SOCK", str(place))
        message, hint = in_session("sign", patience_s=0.5)
    assert message == "ssh-keygen waited 0.5 s for a passphrase or for the SSH agent"
    assert hint == "ssh-add -L"


class Terminal:
    """Signs at a terminal of its own."""

    def __init__(self, *, patience_s: float = 0) -> None:
        self.ours, self.theirs = pty.openpty()
        command = [sys.executable, "-c", SIGN, str(patience_s), "terminal", "sign"]
        self.process = subprocess.Popen(
            command, stdin=self.theirs, stdout=subprocess.PIPE, start_new_session=True, encoding="utf-8"
        )

    def answer(self, text: str) -> None:
        """Waits to be asked, and types."""
        shown = b""
        while b"passphrase" not in shown or not shown.endswith(b": "):
            readable, _, _ = select.select([self.ours], [], [], 1)
            if not readable and self.process.poll() is not None:
                pytest.fail(f"it did not ask: {shown!r}, {self.finish()}")
            shown += os.read(self.ours, 1024) if readable else b""
        os.write(self.ours, f"{text}\n".encode())

    def finish(self) -> list[str]:
        with self.process:
            out, _ = self.process.communicate(timeout=60)
        return out.splitlines()

    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self.theirs)[3] & termios.ECHO)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        for descriptor in (self.ours, self.theirs):
            os.close(descriptor)


@pytest.mark.parametrize("display", ["", ":99"])
def test_locked_key_at_a_terminal_is_asked_for_there(
    configure: Callable[..., GitRepository], locked: Path, display: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPLAY", display)
    configure(user__signingKey=locked)
    with Terminal() as terminal:
        terminal.answer(PASSPHRASE)
        armored = "\n".join(terminal.finish()).strip()
    assert verify(b"statement", NAME, armored) == Proof(ssh.public_key(locked))


def test_wrong_passphrase_at_a_terminal_is_told(configure: Callable[..., GitRepository], locked: Path) -> None:
    configure(user__signingKey=locked)
    with Terminal() as terminal:
        terminal.answer("wrong")
        assert terminal.finish()[0] == f"the key {locked} is locked, and its passphrase was not given"


def test_terminal_that_nobody_types_at_is_left_as_it_was(configure: Callable[..., GitRepository], locked: Path) -> None:
    configure(user__signingKey=locked)
    with Terminal(patience_s=1) as terminal:
        assert terminal.finish()[0] == "ssh-keygen waited 1.0 s for a passphrase or for the SSH agent"
        assert terminal.echoes()


def test_run_program_is_ended_in_time(tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(TimeoutError, match=r"^sleep did not end within 0\.1 s$"):
        run_program(["sleep", "60"], directory=tmp_path, timeout_s=0.1)
    assert time.monotonic() - started < 10


def test_run_program_that_will_not_end_is_ended(tmp_path: Path) -> None:
    script = "trap '' TERM; while :; do sleep 1; done"
    with pytest.raises(TimeoutError):
        run_program(["sh", "-c", script], directory=tmp_path, timeout_s=0.1)


def test_run_program_that_is_interrupted_leaves_nothing_running(tmp_path: Path) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    try:
        with pytest.raises(KeyboardInterrupt):
            run_program(["sh", "-c", "echo $$ >pid; exec sleep 60"], directory=tmp_path, timeout_s=60)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert is_gone(int((tmp_path / "pid").read_text()))


def test_run_program_gives_all_that_it_said(tmp_path: Path) -> None:
    done = run_program(["sh", "-c", "pwd; cat; echo oops >&2; exit 3"], directory=tmp_path, timeout_s=60)
    assert (done.status, done.stdout, done.stderr) == (3, f"{tmp_path}\n".encode(), "oops\n")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, False),
        ({"gpg.format": "ssh"}, False),
        ({"gpg.format": "ssh", "commit.gpgsign": "true"}, True),
        ({"gpg.format": "ssh", "tag.gpgsign": "Yes"}, True),
        ({"gpg.format": "ssh", "tag.gpgsign": "1", "commit.gpgsign": "false"}, True),
        ({"gpg.format": "ssh", "tag.gpgsign": "off", "commit.gpgsign": "0"}, False),
        ({"gpg.format": "ssh", "tag.gpgsign": "", "commit.gpgsign": "no"}, False),
        ({"gpg.format": "openpgp", "commit.gpgsign": "true"}, False),
        ({"commit.gpgsign": "true", "tag.gpgsign": "true"}, False),
    ],
)
def test_signs_by_default(settings: Mapping[str, str], expected: bool) -> None:
    assert signs_by_default(settings) is expected


def test_signs_by_default_reads_what_git_says(repo: Path, git: Git) -> None:
    assert not signs_by_default(GitRepository(repo).settings())
    git("config", "gpg.format", "ssh")
    with (repo / ".git" / "config").open("a") as file:
        file.write("[Tag]\n\tgpgSign\n")
    assert signs_by_default(GitRepository(repo).settings())
