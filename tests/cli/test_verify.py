"""``mreg verify`` and the auditor's report: what they print, how they end, and that hostile text stays text."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest

from tests.conftest import Git, Mreg

ROOT = Path(__file__).parents[2]
STAGE = Path("registry/churn/stages/production.yaml")
CLAIMED = "2 claimed, not proven"


def break_it(git: Git) -> str:
    """Leaves a stray file in the registry, and returns its commit."""
    Path("registry/stray.txt").write_text("x")
    git("add", "registry/stray.txt")
    git("commit", "--quiet", "--message=Stray")
    return git("rev-parse", "HEAD")


def test_verify_clean_registry_in_a_table(churn: Path, mreg_here: Mreg, git: Git) -> None:
    result = mreg_here("verify", check=0)
    assert result.err == ""
    assert result.out == (
        "ok: every change kept to the rules, and every tag matches the history\n"
        "\n"
        f"tip          {git('rev-parse', '--short=12', 'HEAD')}\n"
        "commits      8\n"
        "transitions  2, 0 signed\n"
        f"identities   {CLAIMED}\n"
        "tags         5\n"
    )


def test_verify_incremental_says_what_it_takes_for_clean(churn: Path, mreg_here: Mreg, git: Git) -> None:
    first = mreg_here("verify", "--incremental", check=0).out
    assert first.startswith("ok: every change kept to the rules, and every tag matches the history\n")
    assert "checked in full  this clone was not found clean before\n" in first
    base = git("rev-parse", "HEAD")
    commit = break_it(git)
    out = mreg_here("verify", "--incremental", check=1).out
    assert out.startswith("not ok: 1 fault\n")
    assert re.search(
        rf"^not judged again +8 commits up to {base[:12]}, and the tags, found clean here on 2\S+Z$", out, re.M
    )
    found = json.loads(mreg_here("verify", "--incremental", "--format", "json", check=1).out)
    assert [fault["commit"] for fault in found["faults"]] == [commit]
    trusted = found["trusted"]
    assert (found["since"], found["commits"], found["fallback"]) == (base, 1, None)
    assert (trusted["commit"], trusted["commits"], trusted["at"]) == (base, 8, trusted["whole_at"])
    git("reset", "--quiet", "--hard", base)
    nothing = mreg_here("verify", "--incremental", check=0).out
    assert nothing.startswith("ok: nothing wrong since this clone was last found clean\n")


def test_verify_faults_in_a_table_and_in_markdown(churn: Path, mreg_here: Mreg, git: Git) -> None:
    commit = break_it(git)[:12]
    result = mreg_here("verify", check=1)
    assert result.out.startswith("not ok: 1 fault\n")
    assert re.search(rf"^stray-file +registry/stray\.txt +{commit} +this is not a registry file$", result.out, re.M)
    markdown = mreg_here("verify", "--format", "markdown", check=1).out
    assert f"| stray-file | `registry/stray.txt` | `{commit}` | this is not a registry file |" in markdown
    assert CLAIMED in markdown


def test_verify_faults_as_json(churn: Path, mreg_here: Mreg, git: Git) -> None:
    commit = break_it(git)
    found = json.loads(mreg_here("verify", "--format", "json", check=1).out)
    fault = {
        "code": "stray-file",
        "place": "registry/stray.txt",
        "commit": commit,
        "message": "this is not a registry file",
        "fix": None,
    }
    assert (found["ok"], found["complete"], found["faults"]) == (False, True, [fault])
    assert (found["transitions"], found["proven"], found["claimed"]) == (2, 0, 2)
    since = json.loads(mreg_here("verify", "--since", commit, "--format", "json", check=0).out)
    assert (since["ok"], since["since"], since["commits"]) == (True, commit, 0)


def test_verify_faults_as_annotations(churn: Path, mreg_here: Mreg, git: Git) -> None:
    commit = break_it(git)[:12]
    lines = mreg_here("verify", "--format", "github", check=1).out.splitlines()
    place = "registry/stray.txt"
    assert (
        f"::error file={place},title=mreg%3A stray-file::{place}: this is not a registry file (commit {commit})"
        in lines
    )
    assert any(line.startswith("::notice title=mreg verify%3A not ok::") and CLAIMED in line for line in lines)


def test_verify_what_is_not_proven_any_more(churn: Path, mreg_here: Mreg, git: Git) -> None:
    gated = Path("registry.yaml").read_text().replace("  production: {}", "  production: {gates: [{pickle: scan}]}")
    Path("registry.yaml").write_text(gated)
    record = Path("registry/churn/versions/v4.0.0.yaml")
    text = Path("registry/churn/versions/v3.0.0.yaml").read_text()
    record.write_text(
        text.replace("v3.0.0", "v4.0.0").replace("  path: model.bin\n", "  path: m.pkl\n  format: pickle\n")
    )
    git("add", "registry", "registry.yaml")
    git("commit", "--quiet", "--message=Scan")
    STAGE.write_text("version: v4.0.0\n")
    git("commit", "--quiet", "--all", "--message=By hand")
    mreg_here("sync", "--no-auto")
    out = mreg_here("verify").out
    assert "no longer proven  1\n" in out
    assert "unproven-pickle" in out


def test_verify_shallow_clone_ends_with_5(churn: Path, mreg_here: Mreg, git: Git, tmp_path: Path) -> None:
    git("clone", "--quiet", "--depth=1", churn.as_uri(), str(tmp_path / "shallow"))
    result = mreg_here("verify", cwd=tmp_path / "shallow", check=5)
    assert (result.out, result.err.count("\n")) == ("", 2)
    assert result.err.startswith("error: this clone is shallow")
    assert "hint: git fetch --unshallow" in result.err


def test_verify_missing_object_ends_with_5(churn: Path, mreg_here: Mreg, git: Git) -> None:
    oid = git("rev-parse", f"HEAD:{STAGE}")
    (churn / ".git" / "objects" / oid[:2] / oid[2:]).unlink()
    result = mreg_here("verify", check=5)
    assert result.out.startswith("incomplete: this clone lacks 1 object, and nothing was judged\n")
    assert f"missing-object  {STAGE}" in result.out
    assert json.loads(mreg_here("verify", "--format", "json", check=5).out)["complete"] is False


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--since", "nowhere"], 4, "'nowhere' names no commit"),
        (["--remote"], 4, "this clone has no remote 'origin'"),
        (["--incremental", "--remote"], 2, "--incremental and --remote do not go together"),
        (["now"], 2, "got unexpected extra argument"),
    ],
)
def test_verify_refusals(churn: Path, mreg_here: Mreg, words: list[str], code: int, message: str) -> None:
    assert message in mreg_here("verify", *words, check=code).err


def test_verify_without_a_registry_ends_with_4(repo: Path, mreg_here: Mreg) -> None:
    assert "mreg init" in mreg_here("verify", check=4).err


def test_history_as_csv_is_the_auditors_report(churn: Path, mreg: Mreg, git: Git) -> None:
    out = mreg("history", "--format", "csv", check=0).out
    rows = list(csv.DictReader(io.StringIO(out, newline="")))
    assert [(row["to"], row["from"], row["identity"]) for row in rows] == [
        ("v2.0.0", "v1.0.0", "claimed"),
        ("v1.0.0", "", "claimed"),
    ]
    assert rows[0]["approved_by"] == "jane@example.com (claimed)"
    assert rows[0]["commit"] == git("log", "-1", "--format=%H", "--", str(STAGE))
    assert list(csv.DictReader(io.StringIO(mreg("history", "churn", "staging", "-f", "csv", check=0).out))) == []


HOSTILE = ["=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", "  =1", '"=1"', "a,b\n=2", "\uff1d1", "x\t=1"]


@pytest.mark.parametrize("reason", HOSTILE)
def test_history_as_csv_keeps_formulas_text(churn: Path, mreg_here: Mreg, reason: str) -> None:
    mreg_here("promote", "churn@v3", "staging", "--reason", reason, check=0)
    out = mreg_here("history", "churn", "staging", "--format", "csv", check=0).out
    (row,) = csv.DictReader(io.StringIO(out, newline=""))
    assert out.count("\n") == 2  # one record a line
    assert not row["reason"].lstrip().startswith(("=", "+", "-", "@", "\uff1d"))
    assert row["reason"].removeprefix("'") == " ".join(reason.split("\n")).replace("\t", " ").strip()


def test_history_as_markdown_tells_rules_and_worth(churn: Path, mreg_here: Mreg, git: Git) -> None:
    gates = "production: {gates: [{metric: auc, min: 0.9}], approvals: {count: 2}}"
    Path("registry.yaml").write_text(Path("registry.yaml").read_text().replace("production: {}", gates))
    git("commit", "--quiet", "--all", "--message=Ask for two")
    STAGE.write_text("version: v3.0.0\n")
    git("commit", "--quiet", "--all", "--message=By hand")
    out = mreg_here("history", "churn", "--format", "markdown", check=0).out
    assert out.startswith("3 transitions: 3 claimed, not proven\n")
    assert "| metric ✓, approvals ✗ 0 of 2 |" in out
    assert "(claimed)" in out
    assert mreg_here("history", "nobody", "--format", "markdown").code == 4
    assert mreg_here("history", "churn", "nowhere", "--format", "csv").code == 4


def test_docs_have_every_code_of_a_fault() -> None:
    text = (ROOT / "docs" / "verify.md").read_text(encoding="utf-8")
    told = set(re.findall(r"`([a-z]+(?:-[a-z]+)+)`", text.split("\n## Faults\n")[1].split("\n## ")[0]))
    src = ROOT / "src" / "mreg"
    made = set()
    for path in (
        "core/review/audit.py",
        "core/review/inspecting.py",
        "registry/review/auditing.py",
        "registry/review/remote_tags.py",
    ):
        made |= set(re.findall(r'AuditFault\(\s*"([a-z-]+)"', (src / path).read_text()))
    made |= set(re.findall(r'\("(approval-[a-z-]+)"', (src / "core" / "review" / "approvals.py").read_text()))
    made |= {
        f"rule-{rule}"
        for rule in re.findall(r'_answer\(\s*"([a-z]+)"', (src / "core" / "review" / "gates.py").read_text())
    }
    slugs = re.findall(r'return \("([a-z-]+)",', (src / "registry" / "review" / "tag_audit.py").read_text())
    made |= {f"tag-{slug}" for slug in slugs if slug != "unknown"}
    assert made <= told, sorted(made - told)
    assert len(made) > 40
