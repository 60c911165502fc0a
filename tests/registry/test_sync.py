"""``mreg sync``: the tags that merged commits call for, whoever merged them, and however."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mreg import Registry
from mreg.core.history.record import Artifact
from mreg.core.names import Version
from mreg.errors import IncompleteHistoryError
from mreg.stores.dvc_files.pointer import format_pointer
from mreg.stores.git.runner import Completed, GitRunner
from tests.conftest import START, Git, Mreg


@pytest.fixture
def two(made: Path, repo: Path, kept: Callable[[Callable[[], object]], None]) -> Registry:
    """Two versions of churn, the first in production."""

    def make() -> None:
        registry = Registry.init(repo, remote=str(made / "remote"))
        add(registry, made, 1)
        add(registry, made, 2)
        registry.promote("churn@v1", "production", reason="first")

    kept(make)
    return Registry.open(repo)


def add(
    registry: Registry, folder: Path, number: int, *, model: str = "churn", version: str = "", branch: str | None = None
) -> None:
    path = folder / "model.bin"
    path.write_bytes(b"model %d" % number)
    registry.register(model, path, version=version or None, branch=branch)


def tags(git: Git, repo: Path) -> dict[str, str]:
    lines = git("for-each-ref", "--format=%(refname:strip=2) %(objectname)", "refs/tags/", cwd=repo).splitlines()
    return dict(line.split(" ") for line in lines)


def target(git: Git, repo: Path, tag: str) -> str:
    return git("rev-parse", f"refs/tags/{tag}^{{commit}}", cwd=repo)


def pointer(git: Git, repo: Path, tag: str) -> str:
    """Returns the MD5 in churn's pointer at the commit of a tag."""
    text = git("show", f"refs/tags/{tag}:registry/churn/artifact/model.bin.dvc", cwd=repo)
    return text.split("md5: ")[1].split("\n")[0]


def merge(git: Git, how: str, branch: str = "feature") -> None:
    if how == "merge":
        git("merge", "--quiet", "--no-ff", "--no-edit", branch)
    elif how == "squash":
        git("merge", "--quiet", "--squash", branch)
        git("commit", "--quiet", "--message=Registered and promoted (#1)")
    else:
        git("rebase", "--quiet", "main", branch)
        git("checkout", "--quiet", "main")
        git("merge", "--quiet", "--ff-only", branch)


def check_clone(git: Git, repo: Path, tmp_path: Path) -> None:
    """A clone without a tag makes the very same ones."""
    clone = tmp_path / "clone"
    git("clone", "--quiet", "--no-local", "--no-tags", "--branch=main", str(repo), str(clone))
    Registry.open(clone).sync()
    assert tags(git, clone) == tags(git, repo)
    git("fsck", "--strict", "--no-dangling", cwd=clone)


@pytest.mark.parametrize("how", ["merge", "squash", "rebase"])
def test_sync_after_a_merge_makes_the_tags(how: str, two: Registry, repo: Path, tmp_path: Path, git: Git) -> None:
    before = tags(git, repo)
    add(two, tmp_path, 3, branch="feature")
    two.promote("churn@v3", "staging", reason="tried", approved_by=["Bob"], branch="feature")
    two.promote("churn@v3", "production", reason="AUC 0.9", branch="feature")
    assert tags(git, repo) == before
    (repo / "work.txt").write_text("work goes on")
    git("add", "work.txt")
    git("commit", "--quiet", "--message=Work")
    assert two.sync().created == ()
    merge(git, how)
    report = two.sync()
    stages = ["production", "staging"] if how != "rebase" else ["staging", "production"]
    assert report.created == ("churn@v3.0.0", f"churn#{stages[0]}#2", f"churn#{stages[1]}#3")
    assert [str(each.target) for each in report.transitions] == ["v3.0.0", "v3.0.0"]
    assert report.findings == ()
    assert {each.reason for each in report.transitions} == {"tried", "AUC 0.9"}
    assert {each.approved_by for each in report.transitions} == {("Bob",), ()}
    assert target(git, repo, "churn@v3.0.0") in git("rev-list", "--first-parent", "main").split()
    assert two.sync().created == ()
    check_clone(git, repo, tmp_path)


@pytest.mark.parametrize("how", ["merge", "squash"])
def test_sync_two_versions_in_one_commit_each_get_their_own(
    how: str, two: Registry, repo: Path, tmp_path: Path, git: Git
) -> None:
    for number in (3, 4):
        add(two, tmp_path, number, branch="feature")
    two.promote("churn@v3", "production", reason="better", branch="feature")
    merge(git, how)
    assert two.sync().created == ("churn@v3.0.0", "churn@v4.0.0", "churn#production#2")
    head = git("rev-parse", "main")
    assert target(git, repo, "churn@v4.0.0") == head
    seal = target(git, repo, "churn@v3.0.0")
    assert target(git, repo, "churn#production#2") == seal
    assert git("rev-parse", f"{seal}^") == head
    assert git("diff", "--name-only", head, seal) == "registry/churn/artifact/model.bin.dvc"
    for number in (3, 4):
        assert pointer(git, repo, f"churn@v{number}.0.0") == two.show(f"churn@v{number}").record.artifact.md5
    assert two.show("churn@v3").commit == head
    check_clone(git, repo, tmp_path)


@pytest.mark.parametrize("side", ["--ours", "--theirs"])
def test_sync_versions_from_both_sides_name_their_own_bytes(
    side: str, two: Registry, repo: Path, tmp_path: Path, git: Git
) -> None:
    add(two, tmp_path, 5, version="v5", branch="feature")
    add(two, tmp_path, 3)
    with pytest.raises(subprocess.CalledProcessError):
        git("merge", "--quiet", "--no-edit", "feature")
    git("checkout", "--quiet", side, "registry/churn/artifact/model.bin.dvc")
    git("commit", "--quiet", "--all", "--no-edit")
    assert two.sync().created == ("churn@v5.0.0",)
    for number in (3, 5):
        assert pointer(git, repo, f"churn@v{number}.0.0") == two.show(f"churn@v{number}").record.artifact.md5
    assert (target(git, repo, "churn@v5.0.0") == git("rev-parse", "main")) == (side == "--theirs")
    check_clone(git, repo, tmp_path)


def test_sync_where_a_merge_lost_the_entry_in_dvc_yaml(two: Registry, repo: Path, tmp_path: Path, git: Git) -> None:
    add(two, tmp_path, 7, model="fraud/eu", branch="feature")
    git("merge", "--quiet", "--no-ff", "--no-commit", "feature")
    git("checkout", "--quiet", "HEAD~0", "--", "dvc.yaml")
    git("commit", "--quiet", "--no-edit")
    assert two.sync().created == ("fraud/eu@v1.0.0",)
    assert "fraud/eu" in git("show", "fraud/eu@v1.0.0:dvc.yaml")
    assert "churn" in git("show", "fraud/eu@v1.0.0:dvc.yaml")
    check_clone(git, repo, tmp_path)


def test_sync_deleted_tags_come_back_the_same(two: Registry, repo: Path, tmp_path: Path, git: Git) -> None:
    two.promote("churn@v2", "production", reason="second")
    two.clear("churn", "production")
    before = tags(git, repo)
    for gone in (["churn#production#1"], list(before)):
        git("tag", "--delete", *gone)
        report = two.sync(dry_run=True)
        assert sorted(report.created) == sorted(gone)
        assert set(tags(git, repo)) == set(before) - set(gone)
        assert two.sync().created == report.created
        assert tags(git, repo) == before
    check_clone(git, repo, tmp_path)


def test_sync_dry_run_writes_nothing(two: Registry, repo: Path, git: Git, mreg_here: Mreg) -> None:
    git("tag", "--delete", "churn@v2.0.0")
    kept = repo / ".git" / "mreg" / "history"  # what was read may be: it is no part of the registry

    def look() -> tuple[str, str, list[Path]]:
        return git("for-each-ref"), git("count-objects"), sorted({*repo.rglob("*")} - {kept, *kept.rglob("*")})

    before = look()
    assert "would make 1 tag" in mreg_here("sync", "--dry-run", check=0).out
    assert look() == before


def test_sync_next_write_makes_what_is_missing_too(two: Registry, repo: Path, git: Git) -> None:
    before = tags(git, repo)
    git("tag", "--delete", "churn@v1.0.0", "churn#production#1")
    assert two.promote("churn@v2", "staging", reason="x").tags == (
        "churn@v1.0.0",
        "churn#production#1",
        "churn#staging#2",
    )
    assert {name: oid for name, oid in tags(git, repo).items() if name in before} == before


def found(registry: Registry) -> list[tuple[str, str]]:
    return [(each.code, each.place.removeprefix("refs/tags/")) for each in registry.sync().findings]


@pytest.mark.parametrize("name", ["churn@v9.0.0", "churn@v2.0.0", "churn#production#7", "churn#production#1"])
def test_sync_lightweight_tag_is_reported_and_left(
    name: str, two: Registry, repo: Path, git: Git, mreg_here: Mreg
) -> None:
    git("update-ref", f"refs/tags/{name}", "HEAD")
    before = tags(git, repo)
    assert found(two) == [("lightweight-tag", name)]
    result = mreg_here("sync", check=1)
    assert "it is not annotated, so GTO and DVC do not see it" in result.out
    assert tags(git, repo) == before


@pytest.mark.parametrize(
    "name", ["churn@v9.0.0", "churn#production#7", "churn#production!#2", "new#production#1", "churn#dev"]
)
def test_sync_foreign_tag_is_reported_and_left(name: str, two: Registry, repo: Path, git: Git, mreg_here: Mreg) -> None:
    git("tag", "--annotate", "--message=x", name)
    before = tags(git, repo)
    assert found(two) == [("unexplained-tag", name)]
    mreg_here("sync", check=1)
    assert tags(git, repo) == before


@pytest.mark.parametrize("name", ["v1.0.0", "parser@v1.0.0", "churn", "churn@latest", "release#3", "@scope/app@v1.0.0"])
def test_sync_other_people_s_tags_are_no_finding(name: str, two: Registry, git: Git) -> None:
    git("tag", "--annotate", "--message=x", name)
    git("tag", f"light-{name}".replace("light-@", "light-"))
    assert found(two) == []


def test_sync_taken_names_are_findings_and_the_rest_is_made(two: Registry, repo: Path, git: Git) -> None:
    two.promote("churn@v2", "production", reason="second")
    before = tags(git, repo)
    git("tag", "--delete", *before)
    git("tag", "--annotate", "--message=x", "churn@v2.0.0")
    git("tag", "--annotate", "--message=x", "churn#production#1", "HEAD~1")
    taken = tags(git, repo)
    report = two.sync()
    assert report.created == ("churn@v1.0.0", "churn#production#2")
    assert [(each.code, each.place) for each in report.findings] == [
        ("taken-tag", "refs/tags/churn@v2.0.0"),
        ("taken-tag", "refs/tags/churn#production#1"),
    ]
    assert "'Register churn v2.0.0': delete it and run mreg sync" in report.findings[0].message
    assert tags(git, repo) == {**before, **taken}
    git("tag", "--delete", *taken)
    assert two.sync().findings == ()
    assert tags(git, repo) == before


def test_sync_moved_tag_is_a_finding(two: Registry, repo: Path, git: Git) -> None:
    """The right words on the wrong commit: of another version, or of none."""
    content = git("cat-file", "tag", "churn#production#1")
    for commit in (target(git, repo, "churn@v2.0.0"), git("rev-parse", "HEAD")):
        moved = content.replace(target(git, repo, "churn@v1.0.0"), commit) + "\n"
        git("update-ref", "refs/tags/churn#production#1", git("mktag", input=moved))
        assert found(two) == [("taken-tag", "churn#production#1")]


def test_promote_over_a_taken_number_says_so(two: Registry, git: Git) -> None:
    git("tag", "--annotate", "--message=by gto assign", "churn#staging#2", "churn@v2.0.0")
    receipt = two.promote("churn@v1", "staging", reason="x")
    assert receipt.tags == ()
    assert any("refs/tags/churn#staging#2: another tag is in the way" in notice for notice in receipt.notices)


@pytest.mark.parametrize(("other", "model"), [("fraud", "fraud/eu"), ("fraud/eu@v1.0.0/x", "fraud/eu")])
def test_sync_name_that_git_cannot_make_is_a_finding(
    other: str, model: str, two: Registry, repo: Path, tmp_path: Path, git: Git
) -> None:
    add(two, tmp_path, 3, model=model)
    git("tag", "--delete", f"{model}@v1.0.0", "churn@v2.0.0")
    git("tag", other)
    report = two.sync()
    assert report.created == ("churn@v2.0.0",)
    assert [(each.code, each.place) for each in report.findings] == [("taken-tag", f"refs/tags/{model}@v1.0.0")]


def test_sync_in_a_shallow_clone_is_refused(
    two: Registry, repo: Path, tmp_path: Path, git: Git, mreg_here: Mreg
) -> None:
    clone = tmp_path / "clone"
    git("clone", "--quiet", "--depth=2", repo.as_uri(), str(clone))
    before = tags(git, clone)
    with pytest.raises(IncompleteHistoryError):
        Registry.open(clone).sync()
    assert "hint: git fetch --unshallow" in mreg_here("sync", cwd=clone, check=5).err
    assert tags(git, clone) == before


def commit_file(git: Git, repo: Path, path: str, text: str | None) -> None:
    if text is None:
        (repo / path).unlink()
    else:
        (repo / path).write_text(text)
    git("add", "--all", path)
    git("commit", "--quiet", f"--message=Edit {path}")


def test_sync_malformed_stage_file_in_history_is_a_finding(
    two: Registry, repo: Path, tmp_path: Path, git: Git, mreg_here: Mreg
) -> None:
    path = "registry/churn/stages/production.yaml"
    commit_file(git, repo, path, "version: [v2\n")
    assert found(two)[0][1] == path
    commit_file(git, repo, path, "version: v2\n")
    two.promote("churn@v1", "production", reason="back")
    report = two.sync()
    assert [each.place for each in report.findings] == [path]
    assert sorted(tags(git, repo)) == [
        "churn#production#1",
        "churn#production#2",
        "churn#production#3",
        "churn@v1.0.0",
        "churn@v2.0.0",
    ]
    assert path in mreg_here("sync", check=1).out
    git("tag", "--delete", *tags(git, repo))
    assert len(two.sync().created) == 5
    check_clone(git, repo, tmp_path)


@pytest.mark.parametrize(
    "text", ["schema: 1\n", "schema: 1\nmodel: other\nversion: v3\nartifact: {path: a, size: 1}\n"]
)
def test_sync_malformed_record_gets_no_tag_and_the_rest_does(text: str, two: Registry, repo: Path, git: Git) -> None:
    path = "registry/churn/versions/v3.0.0.yaml"
    commit_file(git, repo, path, text)
    commit_file(git, repo, "registry/churn/stages/staging.yaml", "version: v3\n")
    two.promote("churn@v2", "production", reason="second")
    assert [place for _, place in found(two)] == [path]
    assert {"churn#production#3"} < set(tags(git, repo))
    assert not {"churn@v3.0.0", "churn#staging#2"} & set(tags(git, repo))


def test_sync_stage_of_an_unknown_version_is_a_finding_until_it_comes(
    two: Registry, repo: Path, tmp_path: Path, git: Git
) -> None:
    path = "registry/churn/stages/staging.yaml"
    commit_file(git, repo, path, "version: v3\n")
    report = two.sync()
    assert report.created == ()
    assert [(each.code, each.place) for each in report.findings] == [("unknown-version", path)]
    add(two, tmp_path, 3)
    assert two.sync().findings == ()
    assert {"churn@v3.0.0", "churn#staging#2"} < set(tags(git, repo))
    check_clone(git, repo, tmp_path)


def test_sync_signed_tags_are_as_they_should_be(two: Registry, repo: Path, tmp_path: Path, git: Git) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    for name, value in (("gpg.format", "ssh"), ("user.signingKey", str(key)), ("tag.gpgSign", "true")):
        git("config", name, value)
    two.promote("churn@v2", "staging", reason="x")
    assert "BEGIN SSH SIGNATURE" in git("cat-file", "tag", "churn#staging#2")
    report = two.sync()
    assert (report.created, report.findings, report.present) == ((), (), 4)


@pytest.mark.parametrize("kind", ["bare", "detached", "worktree", "remote branch alone"])
def test_sync_works_where_nothing_is_checked_out(
    kind: str, two: Registry, repo: Path, tmp_path: Path, git: Git
) -> None:
    expected, place = tags(git, repo), tmp_path / "place"
    if kind == "worktree":
        git("tag", "--delete", *expected)
        git("worktree", "add", "--quiet", "-b", "work", str(place), "HEAD~2")
    else:
        options = ["--bare"] if kind == "bare" else []
        git("clone", "--quiet", "--no-tags", *options, str(repo), str(place))
        if kind != "bare":
            git("checkout", "--quiet", "--detach", "HEAD~1", cwd=place)
        if kind == "remote branch alone":
            git("branch", "--quiet", "-D", "main", cwd=place)
    head = git("rev-parse", "HEAD", cwd=place)
    assert sorted(Registry.open(place).sync().created) == sorted(expected)
    assert tags(git, place) == expected
    assert git("rev-parse", "HEAD", cwd=place) == head


def test_sync_in_a_sha256_repository(tmp_path: Path, git: Git) -> None:
    repo = tmp_path / "sha256"
    git("init", "--quiet", "--object-format=sha256", str(repo))
    git("commit", "--quiet", "--allow-empty", "--message=Begin", cwd=repo)
    registry = Registry.init(repo)
    add(registry, tmp_path, 1)
    registry.promote("churn", "production", reason="x")
    before = tags(git, repo)
    git("tag", "--delete", *before, cwd=repo)
    assert registry.sync().created == ("churn@v1.0.0", "churn#production#1")
    assert tags(git, repo) == before
    assert registry.sync().findings == ()


@pytest.mark.slow
def test_sync_twice_at_once_is_one_sync(two: Registry, repo: Path, git: Git, mreg: Mreg) -> None:
    before = tags(git, repo)
    git("tag", "--delete", *before)
    command = ["python", "-m", "mreg", "sync"]
    running = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(3)]
    assert [each.wait() for each in running] == [0, 0, 0]
    assert tags(git, repo) == before


def stream(versions: int, moves: int) -> Iterator[str]:
    """Yields a history for ``git fast-import``: versions, then moves of a stage from one to the next."""
    base = "registry/churn"

    def commit(number: int, files: dict[str, str]) -> str:
        parts = [f"commit refs/heads/main\ncommitter Ada <ada@example.com> {START + number} +0000\ndata 1\nx\n"]
        if number == 1:
            parts.append("from refs/heads/main^0\n")
        parts += [f"M 100644 inline {path}\ndata {len(text)}\n{text}\n" for path, text in files.items()]
        return "".join(parts)

    for number in range(1, versions + 1):
        version = Version(number)
        artifact = Artifact("model.bin", number, md5=f"{number:032x}", sha256="")
        record = f"schema: 1\nmodel: churn\nversion: {version}\n"
        record += f"artifact: {{path: model.bin, size: {number}, md5: '{artifact.md5}'}}\n"
        yield commit(
            number,
            {
                f"{base}/versions/{version}.yaml": record,
                f"{base}/artifact/model.bin.dvc": format_pointer(artifact),
                "dvc.yaml": "artifacts:\n  churn:\n    path: registry/churn/artifact/model.bin\n    type: model\n",
            },
        )
    for number in range(moves):
        text = f"version: {Version(1 + number % versions)}\nreason: move {number}\n"
        yield commit(versions + number + 1, {f"{base}/stages/production.yaml": text})


@pytest.mark.slow
def test_sync_of_2000_transitions_takes_few_git_calls(
    registry: Registry, repo: Path, tmp_path: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    git("fast-import", "--quiet", input="".join(stream(400, 2000)))
    calls: list[str] = []
    complete = GitRunner.complete

    def counted(self: GitRunner, *args: str, **options: object) -> Completed:
        calls.append(args[0])
        return complete(self, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(GitRunner, "complete", counted)
    begun = time.perf_counter()
    report = registry.sync()
    seconds = time.perf_counter() - begun
    assert (len(report.created), report.findings) == (2400, ())
    assert len(calls) < 20, calls
    calls.clear()
    assert registry.sync().created == ()
    assert len(calls) < 12, calls
    assert seconds < 30  # 2 s on an idle machine
    check_clone(git, repo, tmp_path)
