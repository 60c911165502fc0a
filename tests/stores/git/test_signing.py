from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest

from mreg.errors import GitError
from mreg.stores.git.objects import Identity
from mreg.stores.git.repository import GitRepository
from mreg.stores.git.writing.publishing import NewTag, Publisher
from tests.conftest import Git
from tests.stores.git.conftest import ADA, CHANGE, fsck, land, make_registry, snapshot, traced

pytestmark = pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="signs with ssh-keygen")


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A private key without a passphrase; beside it its public half and a file that trusts it for Ada."""
    path = tmp_path_factory.mktemp("keys") / "a key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "ada", "-f", str(path)], check=True)
    public = path.with_name("a key.pub").read_text()
    path.with_name("allowed").write_text(f"{ADA.email} {public}")
    return path


@pytest.fixture(params=["sha1", "sha256"])
def signing(request: pytest.FixtureRequest, tmp_path: Path, git: Git, key: Path) -> Path:
    """A repository that signs commits and tags."""
    folder = tmp_path / "signing"
    git("init", "--quiet", f"--object-format={request.param}", str(folder))
    make_registry(folder, git)
    for name, value in {
        "gpg.format": "ssh", "user.signingKey": str(key), "commit.gpgSign": "true", "tag.gpgSign": "yes",
        "gpg.ssh.allowedSignersFile": str(key.with_name("allowed")),
    }.items():  # fmt: skip
        git("config", name, value, cwd=folder)
    return folder


def test_commit_and_tag_verify_and_say_what_they_should(signing: Path, git: Git) -> None:
    landed = land(signing, tags=["churn@v2.0.0", "fraud/eu#staging!#6"])
    git("verify-commit", landed.commit, cwd=signing)
    for name in ("churn@v2.0.0", "fraud/eu#staging!#6"):
        git("verify-tag", f"refs/tags/{name}", cwd=signing)
        head = f"object {landed.commit}\ntype commit\ntag {name}\ntagger {ADA}\n\nTag {name}\n"
        raw = git("cat-file", "tag", f"refs/tags/{name}", cwd=signing)
        assert raw.startswith(f"{head}-----BEGIN SSH SIGNATURE-----\n")
    assert git("log", "-1", "--format=%an <%ae> %ad|%cn <%ce> %cd|%B", "--date=raw", cwd=signing) == (
        f"{ADA}|{ADA}|Change it\n"
    )
    assert snapshot(signing).status == ""
    fsck(signing)


def test_key_as_a_literal_leaves_no_file_behind(
    signing: Path, key: Path, tmp_path: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git 2.39 writes such a key to a temporary file, and forgets it."""
    scratch, agent = tmp_path / "scratch", tmp_path / "agent"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr("tempfile.tempdir", None)
    git("config", "user.signingKey", f"key::{key.with_name('a key.pub').read_text().strip()}", cwd=signing)
    with subprocess.Popen(["ssh-agent", "-D", "-a", str(agent)], stdout=subprocess.DEVNULL) as process:
        try:
            monkeypatch.setenv("SSH_AUTH_SOCK", str(agent))
            _wait_for(agent)
            subprocess.run(["ssh-add", "-q", str(key)], check=True)
            land(signing, tags=["churn@v2.0.0"])
        finally:
            process.terminate()
    with pytest.raises(GitError):  # nobody holds the key any more
        land(signing, tags=["churn@v3.0.0"])
    assert list(scratch.iterdir()) == []


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + 10
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)


def test_commit_is_the_same_but_for_the_signature(signing: Path, git: Git) -> None:
    parent = git("rev-parse", "main", cwd=signing)
    signed = git("cat-file", "commit", land(signing).commit, cwd=signing)
    git("config", "commit.gpgSign", "false", cwd=signing)
    publisher = Publisher(GitRepository(signing))
    oid = publisher.commit(parent=parent, files=CHANGE, author=ADA, committer=ADA, message="Change it\n")
    publisher.flush()
    head, _, rest = signed.partition("\ngpgsig")
    message = rest.partition("-----END SSH SIGNATURE-----\n\n")[2]
    assert git("cat-file", "commit", oid, cwd=signing) == f"{head}\n\n{message}"


def test_message_in_other_letters_stays_utf8(signing: Path, git: Git) -> None:
    git("config", "i18n.commitEncoding", "latin1", cwd=signing)
    repo = GitRepository(signing)
    who = Identity("Jörg Größe", "j@example.com", 1_700_000_000, "-0800")
    publisher = Publisher(repo)
    head = repo.head()
    commit = publisher.commit(parent=head, files={}, author=who, committer=who, message="Grüße – 日本\n\n# no comment")
    raw = repo.read([commit])[0] or b""
    assert b"encoding" not in raw
    assert raw.endswith("\n\nGrüße – 日本\n\n# no comment\n".encode())
    tag = publisher.tag(NewTag("churn@v1.0.0", commit, who, "Grüße\n\n# no comment"))
    assert f"tagger {who}\n\nGrüße\n\n# no comment\n-----BEGIN".encode() in (repo.read([tag])[0] or b"")


def test_no_ref_is_made_before_it_is_published(signing: Path) -> None:
    before = snapshot(signing)
    publisher = Publisher(GitRepository(signing))
    commit = publisher.commit(parent="HEAD", files=CHANGE, author=ADA, committer=ADA, message="x")
    publisher.tag(NewTag("churn@v2.0.0", commit, ADA, "x\n-----BEGIN SSH SIGNATURE-----\n"))
    assert snapshot(signing) == before


@pytest.mark.parametrize("kind", ["commit", "tag"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("user.signingKey", "/absent/key"), ("gpg.ssh.program", "/absent/program"), ("gpg.ssh.program", "false"),
        ("gpg.format", "x509"), ("gpg.ssh.program", "true"),
    ],
)  # fmt: skip
def test_signer_that_fails_leaves_no_trace(signing: Path, git: Git, kind: str, name: str, value: str) -> None:
    git("config", f"{'tag' if kind == 'commit' else 'commit'}.gpgSign", "false", cwd=signing)
    git("config", name, value, cwd=signing)
    if value == "x509":
        git("config", "gpg.x509.program", "false", cwd=signing)
    before = snapshot(signing)
    with pytest.raises(GitError, match=f"git {'commit-tree' if kind == 'commit' else 'tag'} failed: ") as caught:
        land(signing, tags=["churn@v2.0.0"])
    assert snapshot(signing) == before
    assert caught.value.details["stderr"]


def test_missing_key_says_where_to_look(signing: Path, git: Git) -> None:
    git("config", "user.signingKey", "/absent/key", cwd=signing)
    with pytest.raises(GitError) as caught:
        land(signing)
    assert caught.value.hint.endswith("git config --show-origin --get-regexp '^(gpg|user)[.]'")


def test_key_of_an_includeif_by_place_signs_tags_too(
    signing: Path, git: Git, tmp_path: Path, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("gpg.format", "user.signingKey", "commit.gpgSign", "tag.gpgSign"):
        git("config", "--unset", name, cwd=signing)
    work = tmp_path / "work.config"
    work.write_text(f'[gpg]\n\tformat = ssh\n[user]\n\tsigningKey = "{key}"\n[tag]\n\tgpgSign\n')
    home = tmp_path / "global.config"
    home.write_text(f'[includeIf "gitdir:{signing}/"]\n\tpath = {work}\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(home))
    land(signing, tags=["churn@v2.0.0"])
    git("verify-tag", "churn@v2.0.0", cwd=signing)


def test_key_path_relative_to_the_worktree(signing: Path, git: Git, key: Path) -> None:
    shutil.copy(key, signing / ".git" / "key")
    git("config", "user.signingKey", ".git/key", cwd=signing)
    land(signing / "registry", tags=["churn@v2.0.0"])
    git("verify-tag", "churn@v2.0.0", cwd=signing)
    git("verify-commit", "main", cwd=signing)


def test_linked_worktree_with_settings_of_its_own(signing: Path, git: Git, tmp_path: Path) -> None:
    git("config", "--unset", "tag.gpgSign", cwd=signing)
    git("config", "extensions.worktreeConfig", "true", cwd=signing)
    git("worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"), cwd=signing)
    git("config", "--worktree", "tag.gpgSign", "true", cwd=tmp_path / "linked")
    land(tmp_path / "linked", tags=["churn@v2.0.0"])
    git("verify-tag", "churn@v2.0.0", cwd=signing)


@pytest.mark.parametrize("value", ["false", "no", "off", "0", ""])
def test_signing_switched_off(signing: Path, git: Git, value: str) -> None:
    for name in ("commit.gpgSign", "tag.gpgSign"):
        git("config", name, value, cwd=signing)
    landed = land(signing, tags=["churn@v2.0.0"])
    assert "SIGNATURE" not in git("cat-file", "commit", landed.commit, cwd=signing)
    assert "SIGNATURE" not in git("cat-file", "tag", landed.tags[0], cwd=signing)


def test_counts_of_git_processes(signing: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = GitRepository(signing)
    publisher = Publisher(repo)
    with traced(tmp_path, monkeypatch) as commands:
        commit = publisher.commit(parent="HEAD", files=CHANGE, author=ADA, committer=ADA, message="x")
        for number in range(3):
            publisher.tag(NewTag(f"churn@v{number}.0.0", commit, ADA, "x"))
    assert commands == ["cat-file", "config", "unpack-objects", "commit-tree", *["tag", "cat-file"] * 3]
