"""`mreg init --remote`: options that are committed, secrets that are not, and another remote in the place of one."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from configobj import ConfigObj

from mreg import Registry
from tests.conftest import Git, Mreg

S3 = ("--remote", "s3://models/registry")


def read_remote(repo: Path, file: str = "config") -> dict[str, str]:
    found: dict[str, str] = ConfigObj((repo / ".dvc" / file).read_text().splitlines())['remote "storage"']
    return found


def test_endpoint_profile_and_options_are_committed(repo: Path, mreg_here: Mreg, git: Git) -> None:
    where = ("--endpoint-url", "https://minio.example.com", "--profile", "models", "--remote-option", "region=eu-1")
    mreg_here("init", *S3, *where, check=0)
    expected = {"endpointurl": "https://minio.example.com", "profile": "models", "region": "eu-1"}
    assert read_remote(repo) == {"url": "s3://models/registry", "verify": "true", **expected}
    assert git("status", "--porcelain") == ""
    again = mreg_here("init", *S3, *where, check=0)
    assert "this is already a model registry" in again.out + again.err
    assert git("rev-list", "--count", "HEAD") == "2"


def test_options_alone_change_the_remote_that_is_there(repo: Path, mreg_here: Mreg, git: Git) -> None:
    mreg_here("init", *S3, "--profile", "models", check=0)
    said = mreg_here("init", "--endpoint-url", "https://ceph.example.com", "--profile", "", check=0)
    assert "Set options of the registry's DVC remote" in said.out
    assert read_remote(repo) == {
        "url": "s3://models/registry",
        "verify": "true",
        "endpointurl": "https://ceph.example.com",
    }
    assert git("log", "-1", "--format=%s") == "Set options of the registry's DVC remote"


def test_another_remote_takes_the_place_in_one_commit(repo: Path, mreg_here: Mreg, git: Git) -> None:
    mreg_here("init", *S3, "--endpoint-url", "https://minio.example.com", check=0)
    said = mreg_here("init", "--remote", "gs://models", check=0)
    assert "the default was remote 'storage' (s3://models/registry)" in said.out + said.err
    assert read_remote(repo) == {"url": "gs://models", "verify": "true"}
    assert git("rev-list", "--count", "HEAD") == "3"


def test_the_command_that_copies_from_the_remote_before_reaches_it_and_commits_nothing(
    repo: Path, mreg_here: Mreg, git: Git
) -> None:
    mreg_here("init", *S3, "--endpoint-url", "https://minio.example.com", "--profile", "models", check=0)
    said = mreg_here("init", "--remote", "gs://models", check=0)
    [command] = re.findall(r"only be there; to copy them: (.*?) && dvc fetch ", said.out + said.err)
    subprocess.run(["bash", "-c", command], check=True, cwd=repo)
    assert ConfigObj((repo / ".dvc" / "config.local").read_text().splitlines())['remote "old"'] == {
        "url": "s3://models/registry",
        "endpointurl": "https://minio.example.com",
        "profile": "models",
    }
    assert git("status", "--porcelain") == ""


def test_dry_run_changes_nothing(repo: Path, mreg_here: Mreg, git: Git) -> None:
    before = git("rev-parse", "HEAD")
    mreg_here("init", *S3, "--profile", "models", "--dry-run", check=0)
    assert git("rev-parse", "HEAD") == before
    assert not (repo / ".dvc").exists()


@pytest.mark.parametrize("name", ["secret_access_key", "access_key_id", "session_token"])
def test_secret_is_refused_and_the_hint_keeps_it_out_of_git(
    repo: Path, mreg_here: Mreg, git: Git, name: str, tmp_path: Path
) -> None:
    before = git("rev-parse", "HEAD")
    refused = mreg_here("init", *S3, "--remote-option", f"{name}=hush", check=2)
    assert f"{name} is a secret" in refused.err
    assert "hush" not in refused.err
    assert git("rev-parse", "HEAD") == before
    mreg_here("init", *S3, check=0)
    [command] = re.findall(r"then: (.*)", refused.err)
    subprocess.run(["bash", "-c", command], input="hush\n", text=True, check=True, cwd=repo)
    assert read_remote(repo, "config.local") == {name: "hush"}
    assert git("status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("url", "name"),
    [("https://ada:hush@example.com/models", "password"), ("s3://ada:hush@models/registry", "secret_access_key")],
)
def test_url_with_a_password_is_refused_and_the_hint_keeps_it_out_of_git(
    repo: Path, mreg_here: Mreg, git: Git, url: str, name: str
) -> None:
    refused = mreg_here("init", "--remote", url, check=2)
    assert "holds a secret" in refused.err
    assert "hush" not in refused.err
    mreg_here("init", "--remote", url.replace("ada:hush@", ""), check=0)
    [command] = re.findall(r"then: (.*)", refused.err)
    subprocess.run(["bash", "-c", command], input="hush\n", text=True, check=True, cwd=repo)
    assert read_remote(repo, "config.local") == {name: "hush"}
    assert git("status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ((*S3, "--remote-option", "region"), "is not NAME=VALUE"),
        ((*S3, "--remote-option", "endpoint_url=http://x"), "did you mean 'endpointurl'?"),
        ((*S3, "--profile", "a", "--remote-option", "profile=b"), "given twice"),
        (("--profile", "a"), "there is no default DVC remote"),
        (("--remote", "store", "--profile", "a"), "no option 'profile' for a folder"),
        (("--remote", "ssh://host/models", "--remote-option", "port=ssh"), "not a number"),
    ],
)
def test_options_that_make_no_sense(repo: Path, mreg_here: Mreg, args: tuple[str, ...], says: str) -> None:
    assert says in mreg_here("init", *args, check=2).err
    assert not (repo / ".dvc").exists()


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--remote", "s3://"), "names no bucket: s3://"),
        (("--remote", "s3:///models"), "names no bucket"),
        (("--remote", "azure://"), "names no container"),
        (("--remote", "ssh://ada@/srv/models"), "names no host"),
        (("--remote", "s3:models/n"), "did you mean s3://models/n?"),
        (("--remote", "URL"), "URL is a placeholder: give the address of the DVC remote"),
        (("--remote", "S3:/models/n"), "did you mean s3://models/n?"),
        (("--remote", "ada@host:/srv/models"), "did you mean ssh://ada@host/srv/models?"),
        (("--remote", "--endpoint-url=https://minio.example.com"), "which is an option"),
        (("--remote", "--endpoint-url"), "which is an option"),
    ],
)
def test_half_a_url_is_refused_and_what_was_meant_is_named(
    repo: Path, mreg_here: Mreg, git: Git, args: tuple[str, ...], says: str
) -> None:
    refused = mreg_here("init", *args, check=2)
    assert says in refused.err
    assert not (repo / ".dvc").exists()
    assert git("status", "--porcelain") == ""
    [command] = re.findall(r"hint: mreg (.*)", refused.err)
    mreg_here(*shlex.split(command, comments=True), check=0)


def test_password_of_half_a_url_is_not_shown(repo: Path, mreg_here: Mreg) -> None:
    for url in ("ada:hush@host:/srv", "s3:ada:hush@models", "ssh:ada:hush@host/srv"):
        assert "hush" not in mreg_here("init", "--remote", url, check=2).err


def test_folder_whose_name_has_a_colon_is_one_where_it_is_there_or_said_to_be(
    repo: Path, mreg_here: Mreg, tmp_path: Path
) -> None:
    mreg_here("init", "--remote", "./s3:models", check=0)
    assert read_remote(repo)["url"] == "../s3:models"
    mreg_here("init", "--remote", "s3:models", check=0)
    assert read_remote(repo)["url"] == "../s3:models"


def test_python_takes_the_options_too(repo: Path) -> None:
    Registry.init(repo, remote="ssh://ada@host/models", remote_options={"port": "2222", "keyfile": "~/.ssh/id"})
    assert read_remote(repo) == {
        "url": "ssh://ada@host/models",
        "verify": "true",
        "port": "2222",
        "keyfile": "~/.ssh/id",
    }
