"""DVC's settings and remotes: the same answers as DVC's, and bytes that are checked on every way."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
)
from configobj import ConfigObj
from dvc.config_schema import REMOTE_SCHEMAS
from dvc.repo import Repo

from mreg.errors import CorruptArtifactError, DataError, MregError, NotFoundError, StorageError, UsageError
from mreg.stores.artifacts.cache import Cache
from mreg.stores.artifacts.hashing import SMALL_SIZE
from mreg.stores.artifacts.ingesting import Ingested, ingest
from mreg.stores.dvc import DvcStore, Uploaded, dvc_files
from mreg.stores.dvc.errors import Place, remote_errors
from mreg.stores.dvc.growing_hash import TailHash
from mreg.stores.dvc.options import _COMMON, _LOCAL, _OPTIONS, _SECRETS
from mreg.stores.dvc_files.pointer import format_pointer
from tests.conftest import Git
from tests.registry.stock import object_path
from tests.s3 import S3, free_port
from tests.stores.damage import litter, spoil

DVC = Path(sys.executable).with_name("dvc")
LARGE = 3 * SMALL_SIZE + 17
PLACE = Place("storage", "s3://models/x")


def write(path: Path, content: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def dvc(*args: str, cwd: Path) -> None:
    subprocess.run([DVC, *args], cwd=cwd, check=True, stdout=subprocess.DEVNULL)


def make_tree(root: Path) -> Path:
    write(root / "a", b"1")
    write(root / "sub" / "b", os.urandom(LARGE))
    write(root / "sub" / "c", b"")
    return root


def objects(folder: Path) -> dict[str, bytes]:
    return {"".join(path.parts[-2:]): path.read_bytes() for path in sorted((folder / "files" / "md5").glob("*/*"))}


@dataclass(frozen=True)
class Site:
    """A repository with a DVC remote that is a folder."""

    root: Path
    remote: Path

    @property
    def store(self) -> DvcStore:
        return DvcStore(self.root / ".dvc", self.root)

    def ingest(self, source: Path) -> Ingested:
        return ingest(source, self.store.cache())

    def point_at(self, content: Ingested) -> None:
        write(self.root / f"{content.artifact.path}.dvc", format_pointer(content.artifact))

    def forget(self) -> None:
        shutil.rmtree(self.store.cache().root)


@pytest.fixture
def site(repo: Path, tmp_path: Path) -> Site:
    for path, text in dvc_files(os.fspath(tmp_path / "remote"), repo).items():
        write(repo / path, text)
    (tmp_path / "remote").mkdir()
    return Site(repo, tmp_path / "remote")


# The settings that may lie in the four files of DVC: (system, global, committed, local).
CONFIGS = {
    "nothing": ("", "", "", ""),
    "relative cache": ("", "", "[cache]\n    dir = ../elsewhere/cache\n", ""),
    "home cache": ("", "[cache]\ndir = ~/dvc-cache\n", "", ""),
    "absolute cache": ("[cache]\n    dir = /srv/cache\n", "", "", ""),
    "local over committed": ("", "", "[cache]\n    dir = one\n", "[cache]\n    dir = two\n"),
    "committed over global": ("[cache]\ndir = zero\n", "[cache]\ndir = one\n", "[cache]\ndir = two\n", ""),
    "upper case": ("", "", "[CACHE]\nDIR = Some/Where\n[core]\nremote = Big\n['remote \"Big\"']\nURL = Store\n", ""),
    "cache in a remote": ("", "", "[cache]\nlocal = disk\n['remote \"disk\"']\nurl = /srv/disk\n", ""),
    "relative remote": ("", "", "[core]\nremote = s\n['remote \"s\"']\nurl = ../../store\n", ""),
    "remote from the user": ("", "['remote \"s\"']\nurl = /srv/s\n", "[core]\nremote = s\n", ""),
    "local remote": ("", "", "['remote \"s\"']\nurl = /srv/s\n", "[core]\nremote = s\n['remote \"s\"']\nurl = t\n"),
    "comments": ("", "", "# ours\n[core]  # here\n    remote = s\n\n['remote \"s\"']\n    url = '/a b'\n", ""),
    "cloud": ("", "", "[core]\nremote = s\n['remote \"s\"']\nurl = s3://bucket/some/path\n", ""),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_settings_are_those_that_dvc_reads(repo: Path, name: str) -> None:
    write(repo / ".dvc" / "config", "")
    system, user, committed, local = CONFIGS[name]
    write(Path(os.environ["DVC_SYSTEM_CONFIG_DIR"]) / "config", system)
    write(Path(os.environ["DVC_GLOBAL_CONFIG_DIR"]) / "config", user)
    write(repo / ".dvc" / "config", committed)
    write(repo / ".dvc" / "config.local", local)
    store = DvcStore(repo / ".dvc", repo)
    with Repo(repo) as peer:
        assert os.fspath(store.cache().root) == peer.cache.local_cache_dir
        remote = store.remote()
        assert (remote.name if remote else "") == peer.config["core"].get("remote", "").lower()
        if remote:
            assert remote.url == peer.config["remote"][remote.name]["url"]
    bare = DvcStore(repo / "state", repo, config_text=committed)
    if not local and name != "nothing" and "dir" in "".join(CONFIGS[name]).lower():
        assert bare.cache() == store.cache()
    if not local:
        assert bare.remote() == store.remote()


def test_settings_of_a_shared_cache(repo: Path) -> None:
    write(repo / ".dvc" / "config", "[cache]\n    shared = group\n")
    assert DvcStore(repo / ".dvc", repo).cache() == Cache(repo / ".dvc" / "cache", is_shared=True)


def test_settings_of_a_repository_without_dvc(tmp_path: Path) -> None:
    store = DvcStore(tmp_path / "absent", tmp_path)
    assert store.cache() == Cache(tmp_path / "absent" / "cache")
    assert store.remote() is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"[core\n", "Invalid line"),
        (b"key = value\n", "'key' is in no section"),
        (b"[core]\na = 1\na = 2\n", "Duplicate keyword"),
        (b"[core]\nremote = %(x)s\n", "interpolation"),
        (b"\xff", "not UTF-8"),
    ],
)
def test_settings_malformed_are_an_error_that_names_the_file(tmp_path: Path, text: bytes, why: str) -> None:
    path = write(tmp_path / ".dvc" / "config", text)
    with pytest.raises(DataError) as caught:
        DvcStore(tmp_path / ".dvc", tmp_path).cache()
    assert why in caught.value.message
    assert caught.value.details["file"] == os.fspath(path)


@pytest.mark.parametrize("text", ["[core]\nremote = s\n", "[core]\nremote = s\n['remote \"s\"']\nverify = true\n"])
def test_settings_with_a_default_remote_that_has_no_url_are_an_error(tmp_path: Path, text: str) -> None:
    store = DvcStore(tmp_path / "x", tmp_path, config_text=text)
    with pytest.raises(DataError, match="the default DVC remote 's' has no URL"):
        store.remote()


@pytest.mark.parametrize(
    ("option", "value", "is_refused"),
    [
        ("configpath", "../aws", True),
        ("credentialpath", "aws", True),
        ("bearer_token_command", "id", True),
        ("configpath", "/etc/aws", False),
        ("credentialpath", "~/.aws/credentials", False),
        ("profile", "models", False),
    ],
)
def test_settings_that_are_committed_may_not_name_programs(
    tmp_path: Path, option: str, value: str, is_refused: bool
) -> None:
    root = tmp_path / "repo"
    text = f"[core]\nremote = s\n['remote \"s\"']\nurl = s3://models\n{option} = {value}\n"
    store = DvcStore(root / ".dvc", root, config_text=text)
    if is_refused:
        with pytest.raises(StorageError, match=f"sets {option} of remote 's', which can run a program") as caught:
            store.remote()
        assert caught.value.hint.startswith(f"dvc remote modify --unset s {option}   #")
        write(root / ".dvc" / "config.local", text)
        store = DvcStore(root / ".dvc", root)
    assert store.remote() == Place("s", "s3://models")


@pytest.mark.parametrize("url", ["s3://models/x", "/srv/models", "inner/store"])
def test_dvc_files_are_what_dvc_writes(repo: Path, url: str) -> None:
    with Repo.init(repo) as peer, peer.config.edit("repo") as config:
        config["core"] = {"analytics": "false", "remote": "storage"}
        config["remote"]["storage"] = {"url": url, "verify": "true"}
    files = dvc_files(url, repo)
    assert files == {path: (repo / path).read_text() for path in (".dvc/.gitignore", ".dvcignore", ".dvc/config")}


def test_dvc_files_without_a_remote(repo: Path) -> None:
    files = dvc_files(None, repo)
    assert ConfigObj(files[".dvc/config"].splitlines()) == {"core": {"analytics": "false"}}
    assert dvc_files(None, repo, existing=files) == {}
    assert dvc_files("s3://x", repo, existing=dvc_files("s3://x", repo)) == {}


def test_dvc_files_edit_what_is_there(repo: Path) -> None:
    config = "# keep\n[core]\n    autostage = true  # and this\n['remote \"old\"']\n    url = /old\n"
    existing = {".dvc/config": config, ".dvc/.gitignore": "/x\n"}
    files = dvc_files("s3://models/%(new)", repo, existing=existing)
    assert set(files) == {".dvcignore", ".dvc/config"}
    assert files[".dvc/config"].startswith("# keep\n[core]\n    autostage = true    # and this\n    remote = storage\n")
    parsed = ConfigObj(files[".dvc/config"].splitlines(), interpolation=False)
    assert parsed['remote "old"'] == {"url": "/old"}
    assert parsed['remote "storage"'] == {"url": "s3://models/%(new)", "verify": "true"}
    with pytest.raises(DataError, match="cannot be read as DVC's settings"):
        dvc_files("/x", repo, existing={".dvc/config": "[core\n"})


@pytest.mark.parametrize(
    ("url", "message", "hint"),
    [
        ("https://ada:secret@example.com/models", "holds a secret", "--local"),
        ("s4://models", "no remotes of the kind s4://", "did you mean s3://?"),
        ("file:///srv/models", "no remotes of the kind file://", "plain folders"),
    ],
)
def test_dvc_files_refuse_a_bad_url(repo: Path, url: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        dvc_files(url, repo)
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert "ada:secret" not in caught.value.message


def test_dvc_files_set_options_of_the_remote(repo: Path) -> None:
    def remote(files: dict[str, str]) -> dict[str, str]:
        found: dict[str, str] = ConfigObj(files[".dvc/config"].splitlines())['remote "storage"']
        return found

    options = {"endpointurl": "http://minio:9000", "profile": "models"}
    files = dvc_files("s3://models", repo, options=options)
    assert remote(files) == {"url": "s3://models", "verify": "true", **options}
    changed = dvc_files(None, repo, options={"profile": "", "region": "eu-west-1"}, existing=files)
    assert remote(changed) == {
        "url": "s3://models",
        "verify": "true",
        "endpointurl": options["endpointurl"],
        "region": "eu-west-1",
    }
    assert remote(dvc_files("s3://other", repo, existing=files)) == {**remote(files), "url": "s3://other"}
    assert remote(dvc_files("gs://other", repo, existing=files)) == {"url": "gs://other", "verify": "true"}
    assert dvc_files("s3://models", repo, options=options, existing=files) == {}
    with pytest.raises(UsageError, match="there is no default DVC remote"):
        dvc_files(None, repo, options=options)


@pytest.mark.parametrize(
    ("url", "option", "value", "message", "hint"),
    [
        ("s3://m", "secret_access_key", "hush", "is a secret", "read -rs secret; dvc remote modify --local storage"),
        ("azure://m", "connection_string", "hush", "is a secret", "connection_string"),
        ("ssh://h/m", "password", "hush", "is a secret", "password"),
        ("s3://m", "credentialpath", "~/.aws/x", "of this machine", "--local storage credentialpath"),
        ("s3://m", "endpoint_url", "http://x", "no option 'endpoint_url' for s3://", "did you mean 'endpointurl'?"),
        ("/srv/m", "profile", "x", "no option 'profile' for a folder", "there are"),
        ("ssh://h/m", "port", "ssh", "not a number", ""),
        ("ssh://h/m", "keyfile", "key", "where you are", "~/"),
        ("s3://m", "endpointurl", "http://ada:hush@x", "holds a secret", "leave user and password out"),
        ("s3://m", "profile", "a\nb", "control character", ""),
    ],
)
def test_dvc_files_refuse_an_option(repo: Path, url: str, option: str, value: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        dvc_files(url, repo, options={option: value})
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert "hush" not in caught.value.message + caught.value.hint


def test_options_are_those_that_dvc_knows() -> None:
    left_out = {"url", "no_traverse", "worktree", "version_aware", "listobjects", "protected"}
    for scheme, schema in REMOTE_SCHEMAS.items():
        if scheme != "remote":
            ours = {*f"{_OPTIONS[scheme]} {_COMMON}".split()}
            theirs = {str(name) for name in schema} - left_out
            assert theirs - ours <= _SECRETS | _LOCAL, scheme
            assert ours - theirs <= {"verify"}, scheme


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["file", "directory"])
def test_upload_is_what_dvc_pulls_and_gets(site: Site, git: Git, kind: str) -> None:
    source = site.root.parent / "m"
    if kind == "directory":
        make_tree(source)
    else:
        write(source, os.urandom(LARGE))
    content = site.ingest(source)
    stored = objects(site.store.cache().root)
    total = sum(map(len, stored.values()))
    assert site.store.upload(content.artifact.md5) == Uploaded("storage", len(stored), total)
    assert objects(site.remote) == stored
    assert site.store.upload(content.artifact.md5) == Uploaded("storage")
    site.forget()
    site.point_at(content)
    dvc("pull", "--quiet", cwd=site.root)
    subprocess.run(["diff", "-r", source, site.root / "m"], check=True)
    status = subprocess.run([DVC, "status"], cwd=site.root, check=True, capture_output=True, text=True)
    assert "up to date" in status.stdout
    git("add", "-A", cwd=site.root)
    git("commit", "--quiet", "--message=x", cwd=site.root)
    dvc("get", "--quiet", os.fspath(site.root), "m", "-o", "got", cwd=site.root.parent)
    subprocess.run(["diff", "-r", source, site.root.parent / "got"], check=True)


def test_download_brings_back_what_was_uploaded(site: Site) -> None:
    content = site.ingest(make_tree(site.root.parent / "m"))
    before = objects(site.store.cache().root)
    site.store.upload(content.artifact.md5)
    site.forget()
    seen: list[tuple[int, int]] = []
    size = content.artifact.size
    site.store.download(content.artifact.md5, size=size, progress=lambda *each: seen.append(each))
    assert objects(site.store.cache().root) == before
    assert seen[-1] == (size, size)
    shutil.rmtree(site.remote)
    site.store.download(content.artifact.md5)  # all there: the remote is not asked
    assert not litter(site.root.parent)


@pytest.mark.slow
def test_download_what_dvc_pushed(site: Site) -> None:
    make_tree(site.root / "m")
    dvc("add", "--quiet", "m", cwd=site.root)
    dvc("push", "--quiet", cwd=site.root)
    before = objects(site.root / ".dvc" / "cache")
    [md5] = [name for name in before if name.endswith(".dir")]
    site.forget()
    site.store.download(md5)
    assert objects(site.root / ".dvc" / "cache") == before


def test_upload_progress_covers_what_is_there_already(site: Site) -> None:
    content = site.ingest(make_tree(site.root.parent / "m"))
    seen: list[tuple[int, int]] = []
    for _ in range(2):
        site.store.upload(content.artifact.md5, progress=lambda *each: seen.append(each))
        done, total = seen[-1]
        assert done == total > content.artifact.size
        seen.clear()


def test_upload_mends_what_the_remote_lost_or_changed(site: Site) -> None:
    content = site.ingest(make_tree(site.root.parent / "m"))
    site.store.upload(content.artifact.md5)
    expected = objects(site.remote)
    object_path(site.remote, content.files[0].md5).unlink()
    spoil(object_path(site.remote, content.files[1].md5))
    object_path(site.remote, content.artifact.md5).chmod(0o644)
    os.truncate(object_path(site.remote, content.artifact.md5), 3)
    assert site.store.upload(content.artifact.md5).objects == 3
    assert objects(site.remote) == expected


def test_upload_of_a_corrupt_object_stops_before_the_remote_has_it(site: Site) -> None:
    content = site.ingest(write(site.root.parent / "m", os.urandom(LARGE)))
    spoil(site.store.cache().path(content.artifact.md5))
    with pytest.raises(CorruptArtifactError, match="in the DVC cache"):
        site.store.upload(content.artifact.md5)
    assert objects(site.remote) == {}
    with pytest.raises(NotFoundError, match="cannot be uploaded"):
        site.store.upload(content.artifact.md5)
    assert not litter(site.root.parent)


@pytest.mark.parametrize("fault", ["flipped", "truncated", "missing"])
@pytest.mark.parametrize("which", ["list", "child"])
def test_download_of_bad_objects_leaves_none_in_the_cache(site: Site, fault: str, which: str) -> None:
    content = site.ingest(make_tree(site.root.parent / "m"))
    site.store.upload(content.artifact.md5)
    site.forget()
    md5 = content.artifact.md5 if which == "list" else content.files[1].md5
    path = object_path(site.remote, md5)
    expected: type[MregError] = CorruptArtifactError
    if fault == "flipped":
        spoil(path)
    elif fault == "truncated":
        path.chmod(0o644)
        os.truncate(path, path.stat().st_size - 1)
    else:
        path.unlink()
        expected = NotFoundError
    with pytest.raises(expected, match=f"{md5}.* in remote 'storage' ") as caught:
        site.store.download(content.artifact.md5)
    assert caught.value.hint
    assert md5 not in objects(site.store.cache().root)
    assert not litter(site.root.parent)


def test_no_default_remote(repo: Path) -> None:
    store = DvcStore(repo / ".dvc", repo)
    content = ingest(write(repo / "m", b"x"), store.cache())
    assert store.upload(content.artifact.md5) == Uploaded("")
    with pytest.raises(NotFoundError, match="no default DVC remote is set") as caught:
        store.download(content.artifact.md5)
    assert caught.value.hint == "mreg init --remote s3://bucket/path"


def test_folder_that_is_not_mounted_is_not_made(site: Site) -> None:
    content = site.ingest(write(site.root.parent / "m", b"model"))
    site.remote.rmdir()
    with pytest.raises(StorageError, match="is not there") as caught:
        site.store.upload(content.artifact.md5)
    assert caught.value.hint.endswith(f"mkdir -p {site.remote}")
    site.forget()
    for ask in (lambda: site.store.download(content.artifact.md5), site.store.require_remote):
        with pytest.raises(StorageError, match="is not there"):
            ask()
    assert not site.remote.exists()


def test_remote_that_cannot_be_written(site: Site) -> None:
    site.remote.rmdir()
    write(site.remote, b"a file")
    content = site.ingest(write(site.root.parent / "m", b"x"))
    with pytest.raises(StorageError, match="cannot be written"):
        site.store.upload(content.artifact.md5)


def test_settings_of_a_bare_repository_count_from_its_root(site: Site, tmp_path: Path) -> None:
    content = site.ingest(write(tmp_path / "m", b"x"))
    site.store.upload(content.artifact.md5)
    text = "[core]\n    remote = s\n['remote \"s\"']\n    url = ../../remote\n"
    bare = DvcStore(tmp_path / "bare" / "mreg" / "dvc", site.root, config_text=text)
    bare.download(content.artifact.md5)
    assert objects(tmp_path / "bare" / "mreg" / "dvc" / "cache") == {content.artifact.md5: b"x"}


KILLED = """
import os, signal, sys
from pathlib import Path
from mreg.stores.dvc import DvcStore
def die(done, total):
    if done * 2 > total:
        os.kill(os.getpid(), signal.SIGKILL)
store = DvcStore(Path(sys.argv[1]) / ".dvc", Path(sys.argv[1]))
if sys.argv[2] == "upload":
    store.upload(sys.argv[3], progress=die)
else:
    store.download(sys.argv[3], size=int(sys.argv[4]), progress=die)
"""


@pytest.mark.parametrize("way", ["upload", "download"])
def test_transfer_that_is_killed_leaves_no_object(site: Site, way: str) -> None:
    content = site.ingest(write(site.root.parent / "m", os.urandom(LARGE)))
    target = site.remote
    if way == "download":
        site.store.upload(content.artifact.md5)
        site.forget()
        target = site.store.cache().root
    command = [sys.executable, "-c", KILLED, os.fspath(site.root), way, content.artifact.md5, str(LARGE)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert objects(target) == {}
    [left] = litter(target)
    os.utime(left, (time.time() - 60, time.time() - 60))
    getattr(site.store, way)(content.artifact.md5)
    assert list(objects(target)) == [content.artifact.md5]
    assert not litter(target)


def test_folder_remote_does_without_importing_dvc(site: Site) -> None:
    content = site.ingest(make_tree(site.root.parent / "m"))
    code = (
        "import sys; from pathlib import Path; from mreg.stores.dvc import DvcStore\n"
        "store = DvcStore(Path('.dvc').absolute(), Path.cwd())\n"
        f"store.upload({content.artifact.md5!r}); store.download({content.artifact.md5!r})\n"
        "print(sorted({'dvc', 'dvc_objects', 'dvc_data', 'fsspec'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=site.root, check=True, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def point_remote(site: Site, **options: object) -> None:
    lines = "".join(f"    {name} = {value}\n" for name, value in options.items())
    base = f"['remote \"base\"']\n    url = {site.remote}\n"
    write(site.root / ".dvc" / "config", f"[core]\n    remote = storage\n{base}['remote \"storage\"']\n{lines}")


def test_cloud_round_trip_through_a_file_system_of_dvcs(site: Site) -> None:
    # A remote within a remote goes the way of the clouds, though this one is a folder in the end.
    point_remote(site, url="remote://base/deeper")
    content = site.ingest(make_tree(site.root.parent / "m"))
    before = objects(site.store.cache().root)
    assert site.store.upload(content.artifact.md5).objects == len(before)
    assert objects(site.remote / "deeper") == before
    assert site.store.upload(content.artifact.md5).objects == 0
    site.forget()
    site.store.download(content.artifact.md5)
    assert objects(site.store.cache().root) == before
    site.forget()
    spoil(object_path(site.remote / "deeper", content.files[1].md5))
    with pytest.raises(CorruptArtifactError, match="has changed: its bytes have the MD5"):
        site.store.download(content.artifact.md5)
    object_path(site.remote / "deeper", content.artifact.md5).unlink()
    site.forget()
    with pytest.raises(NotFoundError, match="remote://base/deeper"):
        site.store.download(content.artifact.md5)
    site.point_at(content)


@pytest.mark.parametrize(
    ("options", "why", "hint"),
    [
        ({"url": "oss://models"}, "plugin of DVC for this kind of remote is not installed", "pip install dvc-oss"),
        ({"url": "s5://models"}, "its settings are wrong", "dvc config --list"),
        ({"url": "s3://models", "colour": "red"}, "its settings are wrong", "dvc config --list"),
        ({"url": "s3://models", "version_aware": "true"}, "keeps versions of files", "version_aware"),
    ],
)
def test_cloud_remote_with_wrong_settings(site: Site, options: dict[str, str], why: str, hint: str) -> None:
    point_remote(site, **options)
    with pytest.raises(StorageError) as caught:
        site.store.download("0" * 32)
    assert why in caught.value.message
    assert hint in caught.value.hint


TRANSFER = """
import sys, time
from pathlib import Path
from mreg.errors import MregError
from mreg.stores.dvc import DvcStore
root = Path(sys.argv[1])
started = time.monotonic()
try:
    print(getattr(DvcStore(root / ".dvc", root, stall_s=float(sys.argv[4])), sys.argv[2])(sys.argv[3]))
except MregError as error:
    print(type(error).__name__, error.message, error.hint, sep="|")
print(time.monotonic() - started < 15)
"""


def transfer(site: Site, way: str, md5: str, *, stall_s: str = "60") -> list[str]:
    """Runs a transfer in a process of its own, as clients of clouds keep threads and sockets."""
    command = [sys.executable, "-W", "ignore", "-c", TRANSFER, os.fspath(site.root), way, md5, stall_s]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.slow
def test_cloud_that_refuses_connections(site: Site) -> None:
    endpoint = f"http://127.0.0.1:{free_port()}"
    point_remote(site, url="s3://models", endpointurl=endpoint, access_key_id="a", secret_access_key="b")
    [said, _] = transfer(site, "download", "0" * 32)
    assert said.startswith("StorageError|remote 'storage' (s3://models) cannot be read: it cannot be reached")
    assert said.endswith("dvc remote list")


def test_cloud_that_never_answers_is_given_up(site: Site) -> None:
    with closing(socket.socket()) as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
        point_remote(site, url="s3://models", endpointurl=endpoint, access_key_id="a", secret_access_key="b")
        [said, in_time] = transfer(site, "download", "0" * 32, stall_s="1")
    assert said.startswith("StorageError|remote 'storage' (s3://models) has not answered for 1 s")
    assert in_time == "True"


def test_cloud_without_credentials_says_so(site: Site) -> None:
    point_remote(site, url="s3://models", endpointurl=f"http://127.0.0.1:{free_port()}")
    [said, _] = transfer(site, "download", "0" * 32)
    assert "no credentials were found" in said


@pytest.mark.slow
def test_s3_round_trip_is_what_dvc_pulls(s3: S3, site: Site) -> None:
    point_remote(site, **s3.options("trip"))
    tree = make_tree(site.root.parent / "m")
    write(tree / "multipart", os.urandom(20 << 20))
    content = site.ingest(tree)
    before = objects(site.store.cache().root)
    sent = sum(map(len, before.values()))
    assert transfer(site, "upload", content.artifact.md5)[0] == str(Uploaded("storage", len(before), sent))
    assert transfer(site, "upload", content.artifact.md5)[0] == str(Uploaded("storage"))
    site.forget()
    assert transfer(site, "download", content.artifact.md5)[0] == "None"
    assert objects(site.store.cache().root) == before
    site.forget()
    site.point_at(content)
    dvc("pull", "--quiet", cwd=site.root)
    subprocess.run(["diff", "-r", tree, site.root / "m"], check=True)


@pytest.mark.slow
def test_s3_object_that_was_changed_is_found_and_mended(s3: S3, site: Site) -> None:
    point_remote(site, **s3.options("changed"))
    content = site.ingest(write(site.root.parent / "m", b"true bytes"))
    other = site.ingest(write(site.root.parent / "n", b"fake bytes"))
    transfer(site, "upload", content.artifact.md5)
    good, bad = (site.store.cache().path(each.artifact.md5) for each in (content, other))
    s3.write(f"changed/files/md5/{content.artifact.md5[:2]}/{content.artifact.md5[2:]}", bad.read_bytes())
    kept = good.read_bytes()
    good.unlink()
    [said, _] = transfer(site, "download", content.artifact.md5)
    assert said.startswith(f"CorruptArtifactError|object {content.artifact.md5} in remote 'storage'")
    assert not good.exists()
    write(good, kept)
    assert transfer(site, "upload", content.artifact.md5)[0] == str(Uploaded("storage", 1, len(kept)))
    good.unlink()
    assert transfer(site, "download", content.artifact.md5)[0] == "None"


@pytest.mark.slow
def test_s3_upload_of_many_objects_lists_the_remote(s3: S3, site: Site) -> None:
    point_remote(site, **s3.options("many"))
    for number in range(250):
        write(site.root.parent / "m" / str(number), f"{number:04}")
    content = site.ingest(site.root.parent / "m")
    assert transfer(site, "upload", content.artifact.md5)[0].startswith("Uploaded(remote='storage', objects=251")
    assert transfer(site, "upload", content.artifact.md5)[0] == str(Uploaded("storage"))
    write(site.root.parent / "m" / "more", "more")
    content = site.ingest(site.root.parent / "m")
    assert transfer(site, "upload", content.artifact.md5)[0].startswith("Uploaded(remote='storage', objects=2,")


@pytest.mark.parametrize(
    ("change", "md5", "expected"),
    [
        ({"secret_access_key": "wrong"}, "0" * 32, "StorageError|{} cannot be read: access was refused"),
        ({"access_key_id": "nobody"}, "0" * 32, "StorageError|{} cannot be read: access was refused"),
        ({}, "0" * 32, "NotFoundError|object 00000000000000000000000000000000 is not in {}"),
        ({}, "0" * 32 + ".dir", "NotFoundError|object 00000000000000000000000000000000.dir is not in {}"),
        ({"url": "s3://other/errors"}, "0" * 32, "StorageError|{} cannot be read: the bucket does not exist"),
    ],
)
def test_s3_errors_are_named(s3: S3, site: Site, change: dict[str, str], md5: str, expected: str) -> None:
    options = {**s3.options("errors"), **change}
    point_remote(site, **options)
    [said, _] = transfer(site, "download", md5)
    assert said.startswith(expected.format(f"remote 'storage' ({options['url']})"))
    assert "mregsecret" not in said


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (NoCredentialsError(), "no credentials were found"),
        (EndpointConnectionError(endpoint_url="http://x"), "it cannot be reached"),
        (ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "PutObject"), "access was refused"),
        (ClientError({"Error": {"Code": "403", "Message": "Forbidden"}}, "HeadObject"), "access was refused"),
        (PermissionError("The AWS Access Key Id you provided does not exist"), "access was refused"),
        (FileNotFoundError("The specified bucket does not exist"), "the bucket does not exist"),
        (ConnectionResetError(104, "Connection reset by peer"), "it cannot be reached"),
        (TimeoutError(), "it cannot be reached"),
        (ImportError("gs is supported, but requires 'dvc-gs' to be installed"), "the plugin of DVC"),
        (ClientError({"Error": {"Code": "RequestTimeTooSkewed"}}, "PutObject"), "the clock of this machine is wrong"),
        (ClientError({"Error": {"Code": "SlowDown", "Message": "Please reduce"}}, "PutObject"), "overloaded"),
        (ClientError({"Error": {"Code": "XMinioStorageFull"}}, "PutObject"), "it is full"),
        (ClientError({"Error": {"Code": "BadDigest"}}, "PutObject"), "the bytes changed in transit"),
        (ClientError({"Error": {"Code": "500", "Message": "Internal Server Error"}}, "HeadObject"), "it failed"),
        (ssl.SSLCertVerificationError("certificate verify failed"), "is not trusted"),
        (ValueError("strange"), "strange"),
        (ValueError(), "ValueError"),
    ],
)
def test_remote_errors_name_the_cause(error: Exception, why: str) -> None:
    with pytest.raises(StorageError) as caught, remote_errors("written", PLACE):
        raise error
    assert caught.value.message.startswith("remote 'storage' (s3://models/x) cannot be written: ")
    assert why in caught.value.message
    assert caught.value.hint
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    ("url", "package"),
    [("gs://m", "'mreg[gs]'"), ("azure://m", "'mreg[azure]'"), ("ssh://h/m", "'mreg[ssh]'"), ("oss://m", "dvc-oss")],
)
def test_remote_errors_name_the_extra_that_brings_a_plugin(url: str, package: str) -> None:
    with pytest.raises(StorageError) as caught, remote_errors("opened", Place("storage", url)):
        raise ImportError("it is supported, but requires something to be installed")
    assert caught.value.hint == f"pip install {package}"


@pytest.mark.parametrize("url", ["s3://m", "gs://m", "azure://m", "ssh://ada@h:2222/m", "https://h/m"])
@pytest.mark.parametrize("cause", ["NoSuchBucket", "NoCredentials", "CertificateError"])
def test_remote_errors_hint_nothing_that_redirects_when_pasted(url: str, cause: str) -> None:
    with pytest.raises(StorageError) as caught, remote_errors("read", Place("my storage", url)):
        raise ValueError(cause)
    hint = caught.value.hint
    assert not set("<>") & set(hint)
    if url.startswith("ssh") and cause == "CertificateError":
        assert hint.startswith("ssh -p 2222 h   #")
    if "dvc remote modify" in hint:
        assert "'my storage' " in hint
        scheme = url.partition(":")[0]
        assert hint.partition("'my storage' ")[2].split()[0] in {"url", *_OPTIONS[scheme].split(), *_SECRETS, *_LOCAL}


def test_remote_errors_hint_a_secret_that_stays_out_of_git(repo: Path) -> None:
    for path, text in dvc_files("https://h/m", repo).items():
        write(repo / path, text)
    with pytest.raises(StorageError) as caught, remote_errors("read", Place("storage", "https://h/m")):
        raise ValueError("NoCredentials")
    path = f"{DVC.parent}:{os.environ['PATH']}"
    env = {**os.environ, "PATH": path}
    subprocess.run(["bash", "-c", caught.value.hint], cwd=repo, input="hush\n", text=True, check=True, env=env)
    assert "password = hush" in (repo / ".dvc" / "config.local").read_text()


def test_remote_errors_find_the_cause_behind() -> None:
    error = OSError("failed")
    error.__cause__ = ClientError({"Error": {"Code": "403", "Message": "Forbidden"}}, "HeadObject")
    with pytest.raises(StorageError, match="access was refused"), remote_errors("read", PLACE):
        raise error


def test_remote_errors_show_no_secrets() -> None:
    text = "GET https://ada:hush@example.com/x?sig=hush2&X-Amz-Signature=hush3 failed"
    with pytest.raises(StorageError) as caught, remote_errors("read", PLACE):
        raise ValueError(text)
    assert "hush" not in f"{caught.value.message}{caught.value.details}"


def test_remote_errors_leave_our_own_and_a_full_disk_apart() -> None:
    with pytest.raises(NotFoundError), remote_errors("read", PLACE):
        raise NotFoundError("gone")
    with pytest.raises(StorageError, match="no space left") as caught, remote_errors("read", PLACE):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert "df -h" in caught.value.hint


@pytest.mark.parametrize("size", [0, 10, LARGE])
def test_tail_hash_follows_a_growing_file(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    expected = hashlib.md5(content).hexdigest()
    with TailHash(os.fspath(tmp_path / "x")) as tail, (tmp_path / "x").open("wb", buffering=0) as file:
        for start in range(0, size, 100_000):
            file.write(content[start : start + 100_000])
            tail.grow(start + 100_000)
        assert tail.finish(expected) == expected


def test_tail_hash_reads_again_what_was_written_out_of_order(tmp_path: Path) -> None:
    content = os.urandom(LARGE)
    expected = hashlib.md5(content).hexdigest()
    path = tmp_path / "x"
    path.write_bytes(bytes(LARGE))
    with TailHash(os.fspath(path)) as tail:
        tail.grow(LARGE)
        tail._stop()  # all zeros have been hashed by now
        path.write_bytes(content)
        assert tail.finish(expected) == expected
