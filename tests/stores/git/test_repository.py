from __future__ import annotations

import os
import socket
import subprocess
from datetime import datetime, timezone
from pathlib import Path

import pytest

from mreg.core.history.timeline import Commit, FileChange
from mreg.errors import GitError, IdentityError, NotARegistryError, NotFoundError, UsageError
from mreg.stores.git.objects import Identity
from mreg.stores.git.repository import GitRepository, TagRef, tag_patterns
from tests.conftest import Git
from tests.stores.git.conftest import GONE, STAGE, land, make_registry, traced

FORMATS = ["sha1", "sha256"]


def write_tag(folder: Path, name: str, content: str) -> str:
    """Makes a ref to a tag object that Git itself would refuse to make."""
    oid = subprocess.run(
        ["git", "hash-object", "-t", "tag", "-w", "--stdin", "--literally"],
        cwd=folder, input=content.encode(), stdout=subprocess.PIPE, check=True,
    ).stdout.decode().strip()  # fmt: skip
    path = folder / ".git" / "refs" / "tags" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{oid}\n")
    return oid


class TestPlace:
    def test_root_of_a_worktree(self, repo: Path) -> None:
        found = GitRepository(repo)
        assert (found.git_dir, found.common_dir, found.worktree) == (repo / ".git", repo / ".git", repo)
        assert (found.object_format, found.id_bytes, found.is_bare) == ("sha1", 20, False)
        assert found.state_dir == repo / ".git" / "mreg"
        assert found.zero_oid == "0" * 40

    def test_relative_path_and_subdirectory(self, registry: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(registry / "registry")
        assert GitRepository(Path()).worktree == registry
        assert GitRepository(Path("churn/stages")).worktree == registry

    def test_spaces_and_other_letters_in_the_path(self, registry: Path, tmp_path: Path) -> None:
        folder = tmp_path / 'mø dels "quoted" $(id)'
        registry.rename(folder)
        found = GitRepository(folder / "registry")
        assert found.worktree == folder
        assert land(folder).commit == found.head()

    def test_path_that_is_not_utf8(self, registry: Path, tmp_path: Path) -> None:
        folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/m\xffdels"))
        registry.rename(folder)
        assert GitRepository(folder).worktree == folder
        assert land(folder).commit == GitRepository(folder).head()

    def test_line_break_in_the_path_is_refused(self, registry: Path, tmp_path: Path) -> None:
        folder = tmp_path / "two\nlines"
        registry.rename(folder)
        with pytest.raises(GitError, match="line break"):
            GitRepository(folder)

    def test_symbolic_link_to_the_repository(self, registry: Path, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(registry)
        assert GitRepository(tmp_path / "link" / "registry").worktree == registry

    def test_inside_of_the_git_directory(self, repo: Path) -> None:
        found = GitRepository(repo / ".git")
        assert (found.git_dir, found.worktree, found.is_bare) == (repo / ".git", None, False)

    def test_bare(self, repo: Path, tmp_path: Path, git: Git) -> None:
        git("clone", "--quiet", "--bare", str(repo), str(tmp_path / "bare.git"))
        found = GitRepository(tmp_path / "bare.git" / "refs")
        assert (found.git_dir, found.worktree, found.is_bare) == (tmp_path / "bare.git", None, True)
        assert found.head_branch() == "main"
        assert found.is_dirty(besides="registry") is False

    def test_linked_worktree(self, repo: Path, tmp_path: Path, git: Git) -> None:
        git("worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"))
        found = GitRepository(tmp_path / "linked")
        assert found.git_dir == repo / ".git" / "worktrees" / "linked"
        assert (found.common_dir, found.worktree) == (repo / ".git", tmp_path / "linked")
        assert found.state_dir == repo / ".git" / "mreg"

    def test_submodule(self, repo: Path, tmp_path: Path, git: Git) -> None:
        git("init", "--quiet", str(tmp_path / "super"))
        git("submodule", "--quiet", "add", str(repo), "sub", cwd=tmp_path / "super")
        found = GitRepository(tmp_path / "super" / "sub")
        assert found.git_dir == tmp_path / "super" / ".git" / "modules" / "sub"
        assert found.worktree == tmp_path / "super" / "sub"

    def test_sha256(self, tmp_path: Path, git: Git) -> None:
        git("init", "--quiet", "--object-format=sha256", str(tmp_path / "new"))
        found = GitRepository(tmp_path / "new")
        assert (found.object_format, found.id_bytes, found.zero_oid) == ("sha256", 32, "0" * 64)

    def test_nowhere(self, tmp_path: Path) -> None:
        with pytest.raises(NotARegistryError, match="is not in a Git repository") as caught:
            GitRepository(tmp_path)
        assert caught.value.hint == "git init && mreg init"

    @pytest.mark.parametrize("name", ["absent", "file", "file/below", "nul\0"])
    def test_no_directory(self, tmp_path: Path, name: str) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(NotFoundError, match="is not a directory"):
            GitRepository(tmp_path / name)

    def test_broken_configuration_is_git_s_error(self, repo: Path) -> None:
        (repo / ".git" / "config").write_text("[core\n")
        with pytest.raises(GitError, match="bad config line 1"):
            GitRepository(repo)

    def test_unknown_extension_is_git_s_error(self, repo: Path, git: Git) -> None:
        git("config", "core.repositoryFormatVersion", "1")
        git("config", "extensions.unheardOf", "true")
        with pytest.raises(GitError, match="unknown repository extension"):
            GitRepository(repo)

    def test_an_old_git_is_named_as_such(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        # Before 2.31, rev-parse repeated an option that it did not know.
        said = "[ $1 = version ] && echo git version 2.25.1 || printf -- '--path-format=absolute\\n/r/.git\\n'"
        (tmp_path / "git").write_text(f"#!/bin/sh\n{said}\n")
        (tmp_path / "git").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        with pytest.raises(GitError, match=r"too old: mreg needs 2\.34"):
            GitRepository(tmp_path)


class TestRead:
    def test_by_id_path_and_missing(self, registry: Path, git: Git) -> None:
        repo = GitRepository(registry)
        blob = git("rev-parse", f"HEAD:{STAGE}")
        names = [f"HEAD:{STAGE}", "HEAD:nothing", blob, "0" * 40, "nothing", "", "main^{commit}"]
        found = repo.read(names)
        assert found[:6] == [b"version: v1.0.0\n", None, b"version: v1.0.0\n", None, None, None]
        assert found[6] is not None
        assert found[6].startswith(b"tree ")
        assert repo.resolve(names[:6]) == [blob, None, blob, None, None, None]
        assert repo.read_named([f"HEAD:{STAGE}", "nothing"]) == [(blob, b"version: v1.0.0\n"), None]

    def test_nothing_asks_git_nothing(self, registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        repo = GitRepository(registry)
        with traced(tmp_path, monkeypatch) as commands:
            assert (repo.read([]), repo.read_named([]), repo.resolve([])) == ([], [], [])
            repo.head()
        assert commands == ["cat-file"]

    @pytest.mark.parametrize(
        "name",
        [
            "with space", "w\u2028ith line separators \x0b\x0c\x1c\x85", "ends in missing", "x missing", "x ambiguous",
            "é", "日本", "a\ttab", '"quoted"', "-n", "--batch", "\udcff bytes", "a blob 3",
        ],
    )  # fmt: skip
    def test_odd_names_there_and_not(self, registry: Path, name: str) -> None:
        (registry / name).write_bytes(b"odd\n")
        subprocess.run(["git", "--literal-pathspecs", "add", "--", name], check=True)
        subprocess.run(["git", "commit", "--quiet", "--message=odd"], check=True)
        repo = GitRepository(registry)
        assert repo.read([f"HEAD:{name}", f"HEAD:not {name}", "HEAD:train.py"]) == [b"odd\n", None, b"print(1)\n"]
        oid, missing, last = repo.resolve([f"HEAD:{name}", f"HEAD:not {name}", "HEAD:train.py"])
        assert oid is not None
        assert missing is None
        assert last is not None
        assert name in [file.path for file in repo.files("HEAD", [])]

    def test_a_name_of_two_lines_names_nothing(self, registry: Path) -> None:
        repo = GitRepository(registry)
        names = ["HEAD\nHEAD", "HEAD", "\n", "a\n"]
        assert repo.resolve(names) == [None, repo.head(), None, None]
        assert [found is None for found in repo.read(names)] == [True, False, True, True]

    def test_ten_thousand_names_do_not_deadlock(self, registry: Path) -> None:
        repo = GitRepository(registry)
        names = [f"HEAD:{STAGE}", f"HEAD:{'long-name/' * 20}{'x' * 50}"] * 5000
        assert repo.read(names) == [b"version: v1.0.0\n", None] * 5000
        assert repo.resolve(names).count(None) == 5000

    def test_ambiguous_is_nothing(self, registry: Path, git: Git) -> None:
        seen: dict[str, str] = {}
        for number in range(2000):
            oid = git("hash-object", "--stdin", input=str(number)) if number < 0 else _blob_id(f"{number}")
            if oid[:4] in seen:
                break
            seen[oid[:4]] = str(number)
        for text in (seen[oid[:4]], str(number)):
            git("hash-object", "-w", "--stdin", input=text)
        repo = GitRepository(registry)
        assert repo.resolve([oid[:4], "HEAD"]) == [None, repo.head()]
        assert repo.read([oid[:4], oid]) == [None, str(number).encode()]
        with pytest.raises(NotFoundError):
            repo.commit_of(oid[:4])

    def test_empty_and_binary_contents(self, registry: Path, git: Git) -> None:
        for name, content in {"empty": b"", "binary": bytes(range(256)) * 40, "no newline": b"x"}.items():
            (registry / name).write_bytes(content)
        git("add", ".")
        git("commit", "--quiet", "--message=more")
        names = ["HEAD:empty", "HEAD:binary", "HEAD:no newline"]
        assert GitRepository(registry).read(names) == [b"", bytes(range(256)) * 40, b"x"]

    def test_corrupt_object_is_as_good_as_missing(self, registry: Path, git: Git) -> None:
        oid = git("rev-parse", f"HEAD:{STAGE}")
        path = registry / ".git" / "objects" / oid[:2] / oid[2:]
        path.chmod(0o644)
        path.write_bytes(b"rubbish")
        assert GitRepository(registry).read([oid, "HEAD:train.py"]) == [None, b"print(1)\n"]


def _blob_id(text: str) -> str:
    import hashlib  # noqa: PLC0415

    return hashlib.sha1(b"blob %d\0" % len(text) + text.encode()).hexdigest()


class TestRevisions:
    def test_branch_tip(self, registry: Path, git: Git) -> None:
        repo = GitRepository(registry)
        git("branch", "main-2")
        git("branch", "topic/x")
        assert repo.branch_tip("main") == git("rev-parse", "HEAD")
        assert (repo.branch_tip("absent"), repo.branch_tip("topic"), repo.branch_tip("mai*")) == (None, None, None)

    def test_branch_tip_is_no_tag_of_that_name(self, registry: Path, git: Git) -> None:
        git("update-ref", "refs/tags/refs/heads/absent", "HEAD")
        assert GitRepository(registry).branch_tip("absent") is None

    def test_head_on_a_branch_detached_and_unborn(self, registry: Path, git: Git, tmp_path: Path) -> None:
        repo = GitRepository(registry)
        git("tag", "main")  # `symbolic-ref --short` would now say heads/main
        assert (repo.head_branch(), repo.head()) == ("main", git("rev-parse", "HEAD"))
        git("checkout", "--quiet", "--detach")
        assert (repo.head_branch(), repo.head()) == (None, git("rev-parse", "HEAD"))
        git("init", "--quiet", "--initial-branch=föö/bar", str(tmp_path / "new"))
        new = GitRepository(tmp_path / "new")
        assert (new.head_branch(), new.head(), new.branch_tip("föö/bar")) == ("föö/bar", None, None)

    @pytest.mark.parametrize("rev", ["HEAD", "main", "main~0", "HEAD^{/Registry}", "v1", "@"])
    def test_commit_of_what_names_a_commit(self, registry: Path, git: Git, rev: str) -> None:
        git("tag", "--annotate", "--message=v1", "v1")
        assert GitRepository(registry).commit_of(rev) == git("rev-parse", "HEAD")

    @pytest.mark.parametrize(
        "rev",
        [
            "absent",
            "HEAD:train.py",
            "",
            " ",
            "--all",
            "-n1",
            "HEAD~99",
            "$(id)",
            "a\nb",
            "HEAD..HEAD",
            "^HEAD",
            ":/Registry",
        ],
    )
    def test_commit_of_anything_else_is_not_found(self, registry: Path, rev: str) -> None:
        with pytest.raises(NotFoundError, match="names no commit"):
            GitRepository(registry).commit_of(rev)

    def test_commit_of_a_nul_is_a_usage_error(self, registry: Path) -> None:
        with pytest.raises(UsageError):
            GitRepository(registry).commit_of("a\0b")

    def test_commit_at_follows_first_parents_by_their_times(self, repo: Path, git: Git) -> None:
        def commit(message: str, seconds: int) -> str:
            stamp = f"{seconds} +0000"
            date = {"GIT_AUTHOR_DATE": stamp, "GIT_COMMITTER_DATE": stamp}
            git("commit", "--quiet", "--allow-empty", f"--message={message}", env=date)
            return git("rev-parse", "HEAD")

        ids = {number: commit(str(number), 2_000_000_000 + number) for number in (10, 20, 30)}
        found = GitRepository(repo)
        tip = ids[30]

        def at(seconds: float) -> str | None:
            return found.commit_at(tip, datetime.fromtimestamp(seconds, timezone.utc))

        assert [at(2_000_000_000 + number) for number in (10, 19, 20, 99)] == [ids[10], ids[10], ids[20], ids[30]]
        assert at(4_000_000_000) == ids[30]  # beyond 32 bits
        assert at(253_402_300_799) == ids[30]
        assert [at(1_000_000_000), at(90_000_000), at(5), at(0), at(-5)] == [None] * 5

    @pytest.mark.parametrize("name", ["promote-churn", "a/b", "föö", "x@y"])
    def test_check_branch_name_takes_what_git_takes(self, repo: Path, name: str) -> None:
        GitRepository(repo).check_branch_name(name)

    @pytest.mark.parametrize(
        "name", ["", "-b", "--all", "HEAD", "a b", "a..b", "a.lock", "a\\b", "/a", "a//b", "a~1", "@{-1}"]
    )
    def test_check_branch_name_refuses_the_rest(self, repo: Path, name: str) -> None:
        with pytest.raises(UsageError, match="is not a branch name"):
            GitRepository(repo).check_branch_name(name)


class TestFiles:
    def test_below_folders_sorted(self, registry: Path, git: Git) -> None:
        repo = GitRepository(registry)
        blob = git("rev-parse", f"HEAD:{STAGE}")
        assert [(file.path, file.oid) for file in repo.files("HEAD", ["registry/churn/stages"])] == [(STAGE, blob)]
        assert [file.path for file in repo.files("HEAD", ["registry"])] == [GONE, STAGE]
        assert [file.path for file in repo.files("HEAD", ["registry/churn/stages", "registry/churn/approvals"])] == [
            GONE,
            STAGE,
        ]

    @pytest.mark.parametrize(
        "folder", ["absent", "regist", "registry/churn/stages/production.yaml", "*", ":/", "README.md"]
    )
    def test_of_what_is_no_folder_are_none(self, registry: Path, folder: str) -> None:
        assert GitRepository(registry).files("HEAD", [folder]) == []

    def test_submodules_are_told_apart(self, registry: Path, tmp_path: Path, git: Git) -> None:
        git("clone", "--quiet", str(registry), str(tmp_path / "other"))
        git("submodule", "--quiet", "add", str(tmp_path / "other"), "registry/sub")
        git("commit", "--quiet", "--message=sub")
        files = GitRepository(registry).files("HEAD", ["registry"])
        assert [(file.path, file.mode) for file in files][1:] == [(STAGE, "100644"), ("registry/sub", "160000")]

    def test_changes_between_commits_and_from_nothing(self, registry: Path, git: Git) -> None:
        repo = GitRepository(registry)
        first = git("rev-parse", "HEAD")
        second = land(registry).commit
        changes = {change.path: (change.old is None, change.new is None) for change in repo.changes(first, second)}
        assert changes == {
            GONE: (False, True),
            STAGE: (False, False),
            "registry/churn/versions/v2.0.0.yaml": (True, False),
        }
        everything = repo.changes(None, second)
        assert {change.path for change in everything} == {file.path for file in repo.files(second, [])}
        assert all(change.old is None for change in everything)


class TestLog:
    @pytest.fixture
    def history(self, registry: Path, git: Git) -> Path:
        """Every shape of commit that there is."""
        git("commit", "--quiet", "--allow-empty", "--message=empty")
        git("checkout", "--quiet", "-b", "side")
        (registry / "registry" / "sided.yaml").write_text("side\n")
        git("add", ".")
        git("commit", "--quiet", "--message=side: one")
        (registry / "registry" / "sided.yaml").write_text("side 2\n")
        git("commit", "--quiet", "--all", "--message=side: two")
        git("checkout", "--quiet", "main")
        (registry / STAGE).write_text("version: v2.0.0\n")
        git("commit", "--quiet", "--all", "--message=change")
        git("merge", "--quiet", "--no-edit", "side")
        git("mv", STAGE, "registry/renamed file.yaml")
        git("commit", "--quiet", "--message=rename")
        git("rm", "--quiet", "registry/sided.yaml")
        git("commit", "--quiet", "--allow-empty-message", "--message=")
        (registry / "registry" / "renamed file.yaml").chmod(0o755)
        git("commit", "--quiet", "--all", "--message=:100644 100644 a b M\tnot a change\n\nBody: x")
        (registry / "registry" / "renamed file.yaml").unlink()
        (registry / "registry" / "renamed file.yaml").symlink_to("elsewhere")
        git("commit", "--quiet", "--all", "--message=first line\nsecond line\n\nbody\n")
        (registry / "train.py").write_text("print(2)\n")
        git("commit", "--quiet", "--all", "--message=elsewhere")
        return registry

    def expected(self, git: Git, paths: list[str]) -> list[tuple[str, str, list[tuple[str, str]]]]:
        """The same from Git's own porcelain, one call a commit."""
        found = []
        for oid in git("rev-list", "--first-parent", "--reverse", "HEAD", "--", *paths).split("\n"):
            parents = git("rev-list", "--parents", "-1", oid).split(" ")[1:]
            base = [parents[0], oid] if parents else ["--root", oid]
            out = git("diff-tree", "-r", "--no-commit-id", "--name-status", "--no-renames", *base, "--", *paths)
            changes = [tuple(line.split("\t")) for line in out.splitlines()]
            found.append((oid, git("log", "-1", "--format=%s", oid), [(path, status) for status, path in changes]))
        return found

    def seen(self, commits: list[Commit]) -> list[tuple[str, str, list[tuple[str, str]]]]:
        def status(change: FileChange) -> str:
            return "A" if change.old is None else "D" if change.new is None else "M"

        return [
            (each.oid, each.subject, [(change.path, status(change)) for change in each.changes]) for each in commits
        ]

    @pytest.mark.parametrize("paths", [[], ["registry"], ["registry/churn/stages", "registry/churn/versions"], [STAGE]])
    def test_equals_git_s_own(self, history: Path, git: Git, paths: list[str]) -> None:
        expected = [
            (oid, subject, [(path, "M" if status == "T" else status) for path, status in changes])
            for oid, subject, changes in self.expected(git, paths)
        ]
        assert self.seen(GitRepository(history).log("HEAD", paths)) == expected

    def test_merge_is_compared_with_its_first_parent(self, history: Path) -> None:
        (merge,) = (each for each in GitRepository(history).log("HEAD", []) if each.subject.startswith("Merge"))
        assert [(change.path, change.old) for change in merge.changes] == [("registry/sided.yaml", None)]

    def test_one_path_is_not_followed_through_renames(self, history: Path, git: Git) -> None:
        git("config", "log.follow", "true")
        git("config", "diff.renames", "copies")
        subjects = [each.subject for each in GitRepository(history).log("HEAD", ["registry/renamed file.yaml"])]
        assert subjects == ["rename", ":100644 100644 a b M\tnot a change", "first line second line"]

    def test_settings_of_the_user_change_nothing(self, history: Path, git: Git) -> None:
        repo = GitRepository(history)
        before = repo.log("HEAD", ["registry"])
        for key, value in {
            "color.ui": "always", "log.showSignature": "true", "log.showRoot": "false", "log.date": "relative",
            "log.decorate": "full", "format.pretty": "fuller", "diff.noprefix": "true", "diff.renames": "true",
            "log.diffMerges": "combined", "diff.relative": "true", "core.abbrev": "4", "diff.external": "false",
            "diff.submodule": "log", "i18n.logOutputEncoding": "latin1", "log.mailmap": "true",
            "core.quotePath": "true", "diff.wordRegex": ".", "log.graphColors": "red", "submodule.recurse": "true",
        }.items():  # fmt: skip
            git("config", key, value)
        assert GitRepository(history / "registry").log("HEAD", ["registry"]) == before

    def test_order_file_of_the_user_changes_nothing(self, repo: Path, tmp_path: Path, git: Git) -> None:
        for name in ("a", "b"):
            (repo / name).touch()
        git("add", "a", "b")
        git("commit", "--quiet", "--message=Both")
        git("config", "diff.orderFile", str(tmp_path / "order"))
        for text in ("b\na\n", None):
            (tmp_path / "order").write_text(text) if text else (tmp_path / "order").unlink()
            (commit,) = GitRepository(repo).log("HEAD", ["a", "b"])
            assert [change.path for change in commit.changes] == ["a", "b"]

    def test_since_leaves_out_what_it_reaches(self, history: Path, git: Git) -> None:
        repo = GitRepository(history)
        everything = repo.log("HEAD", [])
        assert repo.log("HEAD", [], since=everything[4].oid) == everything[5:]
        assert repo.log("HEAD", [], since="HEAD") == []

    def test_author_and_time_are_those_written(self, repo: Path, git: Git) -> None:
        (repo / "x").touch()
        git("add", "x")
        git("commit", "--quiet", "--message=Grüße", env={"GIT_AUTHOR_NAME": "Jörg", "GIT_AUTHOR_EMAIL": "j@example.com",
            "GIT_AUTHOR_DATE": "1000000000 +0200", "GIT_COMMITTER_DATE": "1100000000 -0500"})  # fmt: skip
        (commit,) = GitRepository(repo).log("HEAD", ["x"])
        assert (commit.author, commit.email, commit.subject) == ("Jörg", "j@example.com", "Grüße")
        assert commit.time == datetime.fromtimestamp(1_100_000_000, timezone.utc)

    def test_other_encodings_and_bytes_that_are_none(self, repo: Path, git: Git) -> None:
        git("config", "i18n.commitEncoding", "latin1")
        tree = git("rev-parse", "HEAD^{tree}")
        parent = git("rev-parse", "HEAD")
        head = f"tree {tree}\nparent {parent}\n".encode()
        person = b"J\xf6rg <j@example.com> 1000000000 +0000\n"
        declared = head + b"author " + person + b"committer " + person + b"encoding latin1\n\nGr\xfc\xdfe\n"
        silent = head + b"author " + person + b"committer " + person + b"\nGr\xfc\xdfe\n"
        found = [GitRepository(repo).log(_commit(repo, raw), [])[-1] for raw in (declared, silent)]
        assert [(each.author, each.subject) for each in found] == [("Jörg", "Grüße"), ("J\ufffdrg", "Gr\ufffd\ufffde")]

    @pytest.mark.parametrize(
        ("stamp", "year"),
        [
            (b"99999999999999 +0000", 9999), (b"253402300800 +0000", 9999), (b"253402300799 +1400", 9999),
            (b"0 +0000", 1970), (b"-5 +0000", 1970), (b"soon", 1970), (b"", 1970),
            (b"18446744073709551615 +0000", 9999), (b"99999999999999999999999 +0000", 9999),
            (b"1000000000 +9999", 2001),
        ],
    )  # fmt: skip
    def test_times_that_python_does_not_know(self, repo: Path, git: Git, stamp: bytes, year: int) -> None:
        tree = git("rev-parse", "HEAD^{tree}").encode()
        person = b"Ada <ada@example.com> " + stamp + b"\n"
        oid = _commit(repo, b"tree " + tree + b"\nauthor " + person + b"committer " + person + b"\nodd\n")
        (commit,) = GitRepository(repo).log(oid, [])
        assert commit.subject == "odd"
        assert commit.time.year == year

    def test_author_without_name_or_address(self, repo: Path, git: Git) -> None:
        tree = git("rev-parse", "HEAD^{tree}").encode()
        oid = _commit(repo, b"tree " + tree + b"\nauthor  <> 5 +0000\ncommitter  <> 5 +0000\n\n")
        (commit,) = GitRepository(repo).log(oid, [])
        assert (commit.author, commit.email, commit.subject) == ("", "", "")

    def test_paths_are_not_patterns(self, registry: Path) -> None:
        assert GitRepository(registry).log("HEAD", ["regis*"]) == []
        assert GitRepository(registry).log("HEAD", [":(glob)**"]) == []

    def test_thousand_commits_are_one_call(
        self, repo: Path, git: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stream = "".join(
            f"commit refs/heads/main\ncommitter Ada <a@b> {1_800_000_000 + n} +0000\ndata 2\n{n % 10}\n"
            + ("from refs/heads/main^0\n" if n == 0 else "")
            + f"M 644 inline registry/m{n}.yaml\ndata 2\n{n % 10}\n\n"
            for n in range(1000)
        )
        git("fast-import", "--quiet", input=stream)
        found = GitRepository(repo)
        with traced(tmp_path, monkeypatch) as commands:
            assert len(found.log("main", ["registry"])) == 1000
        assert commands == ["log"]


def _commit(repo: Path, raw: bytes) -> str:
    done = subprocess.run(
        ["git", "hash-object", "-t", "commit", "-w", "--stdin", "--literally"],
        cwd=repo, input=raw, stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    return done.stdout.decode().strip()


class TestTags:
    def test_annotated_lightweight_and_nested(self, registry: Path, git: Git) -> None:
        git("tag", "--annotate", "--message=a", "churn@v1.0.0")
        git("tag", "light")
        git("tag", "--annotate", "--message=n", "nested", "churn@v1.0.0", env={"GIT_CONFIG_COUNT": "0"})
        head, inner = git("rev-parse", "HEAD"), git("rev-parse", "churn@v1.0.0")
        assert GitRepository(registry).tags() == [
            TagRef("churn@v1.0.0", inner, "tag", head),
            TagRef("light", head, "commit", ""),
            TagRef("nested", git("rev-parse", "nested"), "tag", inner),
        ]

    def test_none_is_an_empty_list(self, registry: Path) -> None:
        assert GitRepository(registry).tags() == []

    def test_packed_and_loose_by_pattern(self, registry: Path, git: Git) -> None:
        for name in (
            "churn@v1.0.0",
            "churn#production#1",
            "churn#staging!#2",
            "churn-2@v1.0.0",
            "fraud/eu@v1.0.0",
            "fraud@v1",
        ):
            git("tag", "--annotate", "--message=x", name)
        git("pack-refs", "--all")
        git("tag", "--annotate", "--message=x", "churn@v2.0.0")
        repo = GitRepository(registry)
        assert [tag.name for tag in repo.tags(tag_patterns(["churn"]))] == [
            "churn#production#1", "churn#staging!#2", "churn@v1.0.0", "churn@v2.0.0",
        ]  # fmt: skip
        assert [tag.name for tag in repo.tags(tag_patterns(["fraud/eu", "churn-2"]))] == [
            "churn-2@v1.0.0",
            "fraud/eu@v1.0.0",
        ]

    @pytest.mark.parametrize("name", ["é", "a\u2028b", "a\x85b", "$(id)", "x'y", "\u202ertl"])
    def test_odd_names(self, registry: Path, git: Git, name: str) -> None:
        git("tag", "--annotate", "--message=x", name)
        git("tag", "z")
        assert [tag.name for tag in GitRepository(registry).tags()] == sorted([name, "z"], key=str.encode)

    @pytest.mark.parametrize(
        ("content", "kind", "target"),
        [
            ("hello\n", "tag", ""),
            ("object {head}\ntype blob\ntag x\ntagger A <a> 1 +0000\n\nm\n", "tag", "{head}"),
            ("object {head}\ntype nonsense\ntag x\n\nm\n", "tag", "{head}"),
            ("object {head}\ntype commit\ntag x\n\nno tagger\n", "tag", "{head}"),
            ("object 1234567890123456789012345678901234567890\ntype commit\ntag x\ntagger A <a> 1 +0000\n\nm\n",
             "tag", "1234567890123456789012345678901234567890"),
        ],
    )  # fmt: skip
    def test_malformed_one_leaves_the_others_readable(
        self, registry: Path, git: Git, content: str, kind: str, target: str
    ) -> None:
        git("tag", "--annotate", "--message=a", "churn@v1.0.0")
        head = git("rev-parse", "HEAD")
        oid = write_tag(registry, "bad", content.format(head=head))
        good = TagRef("churn@v1.0.0", git("rev-parse", "churn@v1.0.0"), "tag", head)
        assert GitRepository(registry).tags() == [TagRef("bad", oid, kind, target.format(head=head)), good]

    def test_ref_to_a_missing_object_leaves_the_others_readable(self, registry: Path, git: Git) -> None:
        git("tag", "--annotate", "--message=a", "churn@v1.0.0")
        git("tag", "light")
        gone = "1234567890123456789012345678901234567890"
        (registry / ".git" / "refs" / "tags" / "gone").write_text(f"{gone}\n")
        (registry / ".git" / "refs" / "tags" / "rubbish").write_text("rubbish\n")
        found = {tag.name: (tag.kind, tag.target) for tag in GitRepository(registry).tags()}
        head = git("rev-parse", "HEAD")
        assert found == {"churn@v1.0.0": ("tag", head), "gone": ("", ""), "light": ("commit", "")}

    def test_good_ones_are_one_call(
        self, registry: Path, git: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        git("tag", "--annotate", "--message=a", "churn@v1.0.0")
        repo = GitRepository(registry)
        with traced(tmp_path, monkeypatch) as commands:
            repo.tags()
        assert commands == ["for-each-ref"]


class TestIdentity:
    @pytest.fixture(autouse=True)
    def _nobody(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for role in ("AUTHOR", "COMMITTER"):
            for part in ("NAME", "EMAIL"):
                monkeypatch.delenv(f"GIT_{role}_{part}")

    def test_author_and_committer_from_environment(self, repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for role in ("AUTHOR", "COMMITTER"):
            monkeypatch.setenv(f"GIT_{role}_NAME", f"{role.title()} Ödön ")
            monkeypatch.setenv(f"GIT_{role}_EMAIL", "a@b")
            monkeypatch.setenv(f"GIT_{role}_DATE", "1500000000 +0230")
        found = GitRepository(repo)
        assert found.author() == Identity("Author Ödön", "a@b", 1_500_000_000, "+0230")
        assert found.committer() == Identity("Committer Ödön", "a@b", 1_500_000_000, "+0230")

    def test_from_configuration(self, repo: Path, git: Git) -> None:
        git("config", "user.name", "Ada")
        git("config", "user.email", "ada@example.com")
        git("config", "author.name", "Someone Else")
        found = GitRepository(repo)
        assert (found.author().name, found.committer().name) == ("Someone Else", "Ada")

    def test_name_that_is_not_utf8(self, repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GIT_AUTHOR_NAME", os.fsdecode(b"J\xf6rg"))
        monkeypatch.setenv("GIT_AUTHOR_EMAIL", "j@example.com")
        assert GitRepository(repo).author().name == "J\ufffdrg"

    def test_unknown_with_useconfigonly(self, repo: Path) -> None:
        with pytest.raises(IdentityError, match="git does not know who you are") as caught:
            GitRepository(repo).author()
        assert 'git config --global user.name "Your Name"' in caught.value.hint

    def test_unknown_e_mail_alone(self, repo: Path, git: Git) -> None:
        git("config", "user.name", "Ada")
        with pytest.raises(IdentityError):
            GitRepository(repo).committer()

    def test_unknown_where_git_must_guess(self, repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        if "." in socket.getfqdn():
            pytest.skip("this machine has a name from which Git makes an address")
        monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        with pytest.raises(IdentityError, match="git does not know who you are"):
            GitRepository(repo).author()

    def test_unknown_without_home(self, repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("HOME", "XDG_CONFIG_HOME"):
            monkeypatch.delenv(name)
        with pytest.raises(IdentityError):
            GitRepository(repo).author()

    @pytest.mark.parametrize("name", ["", "<>", " ,"])
    def test_name_of_nothing(self, repo: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        monkeypatch.setenv("GIT_AUTHOR_NAME", name)
        monkeypatch.setenv("GIT_AUTHOR_EMAIL", "a@b")
        with pytest.raises(IdentityError):
            GitRepository(repo).author()

    def test_date_that_is_none_is_git_s_error(self, repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GIT_AUTHOR_NAME", "Ada")
        monkeypatch.setenv("GIT_AUTHOR_EMAIL", "a@b")
        monkeypatch.setenv("GIT_AUTHOR_DATE", "the other day maybe")
        with pytest.raises(GitError, match="invalid date format"):
            GitRepository(repo).author()


class TestConfig:
    def test_last_value_in_any_case_of_letters(self, repo: Path, git: Git) -> None:
        for args in (("user.signingKey", "a=b\nc"), ("branch.Main.Remote", "x"), ("commit.gpgSign", "true")):
            git("config", *args)
        git("config", "--add", "commit.gpgSign", "false")
        (repo / ".git" / "config").write_text((repo / ".git" / "config").read_text() + "[tag]\n\tgpgSign\n\tsort =\n")
        found = GitRepository(repo).config(
            "USER.signingkey",
            "branch.Main.remote",
            "branch.main.remote",
            "Commit.GpgSign",
            "tag.gpgsign",
            "tag.sort",
            "no.key",
        )
        assert found == ["a=b\nc", "x", None, "false", "true", "", None]


class TestDirty:
    def test_clean_then_changed_staged_renamed(self, registry: Path, git: Git) -> None:
        repo = GitRepository(registry / "registry")
        assert repo.is_dirty(besides="registry") is False
        (registry / "untracked").touch()
        (registry / STAGE).write_text("changed\n")
        assert repo.is_dirty(besides="registry") is False
        assert repo.is_dirty(besides="elsewhere") is True
        git("mv", "train.py", "registry/train.py")
        assert repo.is_dirty(besides="registry") is True
        git("commit", "--quiet", "--all", "--message=x")
        (registry / "README.md").unlink()
        assert repo.is_dirty(besides="registry") is True

    def test_does_not_write_the_index(self, registry: Path) -> None:
        index = registry / ".git" / "index"
        os.utime(registry / "train.py", (1, 1))
        before = (index.read_bytes(), index.stat().st_mtime_ns)
        assert GitRepository(registry).is_dirty(besides="registry") is False
        assert (index.read_bytes(), index.stat().st_mtime_ns) == before

    def test_before_the_first_commit(self, empty_repo: Path, git: Git) -> None:
        assert GitRepository(empty_repo).is_dirty(besides="registry") is False
        (empty_repo / "x").touch()
        git("add", "x")
        assert GitRepository(empty_repo).is_dirty(besides="registry") is True


class TestClones:
    def test_shallow_is_told(self, registry: Path, tmp_path: Path, git: Git) -> None:
        git("clone", "--quiet", "--depth=1", f"file://{registry}", str(tmp_path / "shallow"))
        git("worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"), cwd=tmp_path / "shallow")
        assert GitRepository(tmp_path / "shallow").is_shallow is True
        assert GitRepository(tmp_path / "linked").is_shallow is True
        assert GitRepository(registry).is_shallow is False

    @pytest.fixture
    def partial(self, registry: Path, tmp_path: Path, git: Git) -> Path:
        """A clone without the contents of any file but those checked out."""
        for number in range(2, 12):
            (registry / STAGE).write_text(f"version: v{number}.0.0\n")
            git("commit", "--quiet", "--all", "--message=next")
        git("config", "uploadpack.allowFilter", "true")
        git("config", "uploadpack.allowAnySHA1InWant", "true")
        git("clone", "--quiet", "--filter=blob:none", f"file://{registry}", str(tmp_path / "partial"))
        return tmp_path / "partial"

    def fetches(self, trace: Path) -> int:
        return sum('"child_start"' in line and '"fetch","origin"' in line for line in trace.read_text().splitlines())

    def test_partial_fetches_all_that_is_missing_at_once(
        self, partial: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        repo = GitRepository(partial)
        oids = [
            change.new or "" for commit in repo.log("HEAD", ["registry"]) for change in commit.changes if change.new
        ]
        trace = tmp_path / "trace2.json"
        monkeypatch.setenv("GIT_TRACE2_EVENT", str(trace))
        assert all(repo.read(oids))
        assert self.fetches(trace) == 1
        trace.unlink()
        assert all(repo.read(oids))
        assert self.fetches(trace) == 0

    def test_partial_offline_is_git_s_error(self, partial: Path, registry: Path) -> None:
        repo = GitRepository(partial)
        oids = [
            change.new or "" for commit in repo.log("HEAD", ["registry"]) for change in commit.changes if change.new
        ]
        registry.rename(registry.with_name("gone"))
        with pytest.raises(GitError, match="git pack-objects failed"):
            repo.read(oids)

    def test_partial_takes_a_change(self, partial: Path, git: Git) -> None:
        assert GitRepository(partial).head() == land(partial).commit or True
        assert git("log", "-1", "--format=%s", cwd=partial) == "Change it"
        assert git("status", "--porcelain", cwd=partial) == ""

    @pytest.mark.parametrize("object_format", FORMATS)
    def test_every_reader_in_both_object_formats(self, tmp_path: Path, git: Git, object_format: str) -> None:
        folder = tmp_path / "made"
        git("init", "--quiet", f"--object-format={object_format}", str(folder))
        make_registry(folder, git)
        repo = GitRepository(folder)
        first = repo.head()
        second = land(folder, tags=["churn@v2.0.0"]).commit
        assert [each.oid for each in repo.log("main", ["registry"])] == [first, second]
        assert repo.read([f"{second}:{STAGE}", repo.zero_oid]) == [b"version: v2.0.0\n", None]
        assert [tag.target for tag in repo.tags()] == [second]
        assert repo.commit_of("churn@v2.0.0") == second
        assert len(repo.changes(first, second)) == 3
        assert len(repo.zero_oid) == 2 * repo.id_bytes == len(second)
