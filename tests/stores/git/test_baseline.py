"""What a baseline names is read from Git again as it was when the whole history was."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from mreg.stores.git.history.baseline import Baseline, digest_tags, load_baseline, model_of, read_commits, save_baseline
from mreg.stores.git.repository import GitRepository
from tests.conftest import Git
from tests.stores.git.test_log_cache import grow

BASELINE = Baseline("0.1.0", b"\0" * 20, {"churn": [0]}, {"churn": b"x"}, is_linear=True, at=2, whole_at=1)


@pytest.mark.parametrize("seed", range(3))
def test_commits_read_by_their_ids_are_those_of_the_log(repo: Path, git: Git, seed: int) -> None:
    grow(repo, git, random.Random(seed), 24)
    place = GitRepository(repo)
    log = place.log("main", ["registry"], is_whole=True)
    assert read_commits(place, [commit.oid for commit in log], ["registry"]) == log
    some = random.Random(seed).sample(log, len(log) // 2)
    assert read_commits(place, [commit.oid for commit in some], ["registry"]) == some
    assert read_commits(place, [], ["registry"]) == []


def test_digest_of_tags_is_another_where_one_of_the_model_is() -> None:
    tags = {"churn#staging#1": b"1", "churn@v1.0.0": b"2", "fraud/eu@v1.0.0": b"3", "v1.0": b"4"}
    digests = digest_tags(tags)
    assert set(digests) == {"churn", "fraud/eu"} == {model_of(name) for name in tags} - {"v1.0"}
    for change in ({"churn@v1.0.0": b"5"}, {"churn@v2.0.0": b"2"}):
        changed = digest_tags(tags | change)
        assert (changed["churn"] != digests["churn"], changed["fraud/eu"]) == (True, digests["fraud/eu"])
    del tags["churn#staging#1"]
    assert digest_tags(tags)["churn"] != digests["churn"]


def test_baseline_is_read_as_it_was_saved_or_not_at_all(repo: Path) -> None:
    place = GitRepository(repo)
    assert load_baseline(place) is None
    save_baseline(place, BASELINE)
    assert load_baseline(place) == BASELINE
    file = place.state_dir / "verified"
    whole = file.read_bytes()
    for damaged in (b"", whole[:-1], whole.replace(b"churn", b"spams"), b"mreg-baseline-0" + whole[15:]):
        file.write_bytes(damaged)
        assert load_baseline(place) is None
    assert [path.name for path in place.state_dir.iterdir()] == ["verified"]
