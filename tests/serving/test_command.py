"""``mreg pull --repo``: what is printed, and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mreg.stores.git.remotes.shallow import Remote
from tests.cli.checks import check_refused
from tests.conftest import Git, Mreg
from tests.hosts import silent_server
from tests.serving.conftest import Far


def test_command_prints_the_path_and_counts_paths_from_the_directory(
    shelf: Far, mreg_here: Mreg, tmp_path: Path
) -> None:
    relative = os.path.relpath(shelf.bare, tmp_path / "here")
    (tmp_path / "here").mkdir()
    done = mreg_here("-C", "here", "pull", "churn@production", "--repo", relative, "-o", "out/model", check=0)
    assert (done.out, done.err) == (f"{tmp_path}/here/out/model\n", "")
    assert (tmp_path / "here" / "out" / "model").read_bytes() == b"churn 2"
    done = mreg_here("pull", "churn@v1", "--repo", shelf.url, "--format", "json", check=0)
    found = json.loads(done.out)
    assert (found["path"], found["version"], found["changed"]) == (f"{tmp_path}/model.bin", "v1.0.0", True)
    assert (found["repo"], found["commit"], found["branch"], found["stages"]) == (
        str(shelf.bare),
        shelf.tip,
        "main",
        [],
    )


@pytest.mark.parametrize(
    ("words", "code", "parts"),
    [
        (("churn", "--repo", ""), 2, ("may not be empty",)),
        (("churn", "--branch", "main"), 2, ("need --repo",)),
        (("churn", "--allow-older"), 2, ("need --repo",)),
        (("churn", "--repo", "URL", "--branch", "a b"), 2, ("'a b' is not a branch name",)),
        (("chrun", "--repo", "URL"), 4, ("no model 'chrun'", "did you mean 'churn'?")),
        (("churn@v9", "--repo", "URL"), 4, ("churn has no version v9.0.0", "mreg pull churn@v3.0.0 --repo")),
        (("churn", "--repo", "URL", "--branch", "nope"), 4, ("has no branch 'nope'", "git ls-remote --heads")),
        (("churn", "--repo", "nowhere"), 6, ("could not be used", "git ls-remote")),
        (("churn", "--repo", "http://[bad"), 6, ("could not be used",)),
        (("churn", "--repo", "ext::sh -c id"), 6, ("could not be used",)),
        (("churn", "--repo", "--upload-pack=id"), 6, ("could not be used",)),
    ],
)
def test_command_that_fails_says_why(
    shelf: Far, mreg_here: Mreg, words: tuple[str, ...], code: int, parts: tuple[str, ...]
) -> None:
    given = [word.replace("URL", shelf.url) for word in words]
    check_refused(mreg_here("pull", *given, "-o", "out"), code, parts[0], hint=parts[1] if parts[1:] else "")
    assert not Path("out").exists()


def test_command_on_a_branch_that_went_back_wants_to_be_told(far: Far, mreg_here: Mreg, git: Git) -> None:
    mreg_here("pull", "churn@v1", "--repo", far.url, "-o", "out", check=0)
    git("push", "--quiet", "--force", "origin", "main~1:main", cwd=far.clone)
    refused = mreg_here("pull", "churn@v2", "--repo", far.url, "-o", "out", "--format", "json", check=5)
    assert json.loads(refused.err)["error"]["code"] == "older-state"
    assert Path("out").read_bytes() == b"churn 1"
    mreg_here("pull", "churn@v2", "--repo", far.url, "-o", "out", "--allow-older", check=0)


def test_command_gives_up_on_a_server_that_says_nothing(mreg_here: Mreg, git: Git) -> None:
    git("config", "--global", "mreg.timeout", "0.5")
    with silent_server() as port:
        done = mreg_here("pull", "churn", "--repo", f"http://ada:s3cret@127.0.0.1:{port}/x.git", "-o", "out")
    git("config", "--global", "--unset", "mreg.timeout")
    check_refused(done, 6, "did not answer git", hint="git ls-remote")
    assert "s3cret" not in done.err


def test_command_imports_no_dvc_where_the_bytes_are_here(shelf: Far, mreg_here: Mreg) -> None:
    words = ("pull", "churn@production", "--repo", shelf.url, "-o", "out")
    mreg_here(*words, check=0)
    code = f"import sys; from mreg.cli import main; main({list(words)!r}); print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    assert not [name for name in ("'dvc'", "'fsspec'", "'rich'", "'mreg.registry.api.facade'") if name in done.stdout]


@pytest.mark.parametrize(
    "url",
    [
        "https://ada:s3cret@example.com/x.git",
        "https://s3cret@example.com/x.git",
        "https://ada:s3cret%21@example.com/x.git",
        "https://ada:s3/cret@example.com/x.git",
    ],
)
def test_remote_hides_what_is_secret_in_its_url(url: str) -> None:
    remote = Remote(url)
    secret = url.partition("ada:")[2].partition("@")[0] or "s3cret"
    said = f"fatal: unable to access '{url}/': no user {secret} at {url}/info/refs, {secret.replace('%21', '!')}"
    assert secret not in remote.hide(said)
    assert secret not in remote.label
    assert Remote("/srv/x@y.git").hide("x@y") == "x@y"
    tokened = Remote("https://example.com/x.git?token=s3cret-s3cret")
    assert "s3cret" not in tokened.hide(f"fatal: unable to access '{tokened.url}/'") + tokened.label
