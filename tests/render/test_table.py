from __future__ import annotations

import pytest
from msgspec.structs import replace

from mreg.core.results import Check, Diagnosis, History, ModelList, Receipt, SyncReport, VersionDetails, VersionList
from mreg.core.settings.policy import Policy
from mreg.core.sharing.joints import Matter
from mreg.core.versions.best import choose_best
from mreg.core.versions.compare import Subject, compare
from mreg.render.view import Result
from tests.render.samples import (
    CHURN,
    HOSTILE,
    POLICY,
    make_bare_details,
    make_pushed,
    make_record,
    make_results,
    make_transition,
)
from tests.render.whole import render_columns, render_table

RESULTS = make_results()
WIDE = 400


@pytest.mark.parametrize("name", RESULTS)
def test_render_table_says_the_same_as_columns(name: str) -> None:
    result = make_results(HOSTILE)[name]
    table, columns = render_table(result, POLICY, width=20_000), render_columns(result, POLICY)
    assert table == columns
    assert columns == render_columns(make_results(HOSTILE)[name], POLICY)


@pytest.mark.parametrize("name", RESULTS)
@pytest.mark.parametrize("has_color", [True, False])
def test_render_table_fits_the_terminal_and_loses_nothing(name: str, has_color: bool) -> None:
    text = render_table(make_results(HOSTILE)[name], POLICY, width=90, has_color=has_color)
    assert "…" not in text
    assert "\x1b[2J" not in text
    assert "\u202e" not in text
    # A command is never broken.
    lines = [line for line in text.splitlines() if not line.startswith(("next ", "  fix: "))]
    assert has_color or max(map(len, lines)) <= 90
    assert has_color or "\x1b" not in text


@pytest.mark.parametrize("width", [40, 60, 80, 100])
@pytest.mark.parametrize("name", ["history", "versions", "models", "comparison"])
def test_render_table_breaks_no_word_of_a_row(name: str, width: int) -> None:
    text = render_table(RESULTS[name], POLICY, width=width)
    assert max(map(len, text.splitlines())) <= width
    words = {word for word in render_columns(RESULTS[name], POLICY).split() if len(word) <= width // 2}
    assert words <= set(text.split())


def test_render_table_has_a_command_beside_its_row_or_below_it_in_one_line() -> None:
    fix = f"git revert --no-edit {'0' * 80}"
    result = Diagnosis(
        (Check("tags", ok=False, message="one is missing", fix=fix), Check("dvc", ok=True, message="ok"))
    )
    lines = render_table(result, width=400).splitlines()
    assert lines[1].split("  ")[-1] == fix
    lines = render_table(result, width=80).splitlines()
    assert [line.split() for line in lines if "fix" not in line] == [
        ["check", "state", "message"],
        ["tags", "fault", "one", "is", "missing"],
        ["dvc", "ok", "ok"],
    ]
    assert lines[2] == f"  fix: {fix}"


def test_render_table_breaks_a_very_long_word_and_no_other() -> None:
    transition = replace(make_transition("x"), reason="see https://tracking.example.com/" + "0" * 80)
    words = render_table(History((transition,)), width=80).split()
    assert {"jane@example.com", "production", "see"} <= set(words)
    assert [word for word in words if len(word) == len("2026-11-20T09:12:00Z") and word.endswith("Z")]


def test_render_table_of_several_lines_a_row_keeps_each_in_line() -> None:
    """A word that goes on below moves the whole line under it, and not its own column alone."""
    move = replace(make_transition("why"), by="release-managers.of-the-year@models.example.com", approved_by=())
    header = render_table(History((move,)), width=100).splitlines()[:3]
    assert [line.split() for line in header] == [
        ["when", "model", "stage", "action", "from", "→", "to"],
        ["by", "approved", "reason", "commit"],
        ["by"],
    ]


def test_render_table_of_very_many_rows_is_that_of_columns() -> None:
    versions = RESULTS["all versions"]
    assert isinstance(versions, VersionList)
    many = replace(versions, versions=tuple(versions.versions) * 300)
    narrow = render_table(many, POLICY, width=20).splitlines()
    assert narrow[:1201] == render_columns(many, POLICY).splitlines()[:1201]
    assert render_table(many, POLICY, width=400) == render_columns(many, POLICY)


def test_render_table_commands_are_one_line() -> None:
    text = render_table(RESULTS["choice"], POLICY, width=40)
    [command] = [line for line in text.splitlines() if line.startswith("next")]
    assert command.split(maxsplit=1)[1] == RESULTS["choice"].command  # type: ignore[union-attr]
    assert len(command) > 40


@pytest.mark.parametrize("name", RESULTS)
def test_render_columns_hostile_text_cannot_steer_a_terminal(name: str) -> None:
    text = render_columns(make_results(HOSTILE)[name], POLICY)
    assert not {"\x1b", "\x07", "\x9b", "\r", "\u202e", "\u2028"} & set(text)


def test_render_table_colours_what_the_text_says_too() -> None:
    text = render_table(RESULTS["comparison"], POLICY, width=WIDE, has_color=True)
    assert "\x1b[32m0.902 ▲ +0.002 (+0.2%)" in text
    assert "\x1b[31m61.2 ms ▼ +46.9 ms (+328.0%)" in text
    assert "\x1b[1mv3.0.0\x1b[0m" in text


def test_render_table_user_text_is_no_markup() -> None:
    assert "[red]x[/red]" in render_table(make_results(HOSTILE)["history"], width=WIDE, has_color=True)


def test_render_columns_list() -> None:
    assert render_columns(RESULTS["models"], POLICY) == (
        "model  latest  versions  staging  production     shadow  archived\n"
        "churn  v4.0.0  4         -        v2.0.0 (hold)  v1.0.0  1"
    )


def test_render_columns_list_without_models_says_what_to_do() -> None:
    assert render_columns(ModelList((), None)) == "no model is registered: mreg register MODEL PATH"


def test_render_columns_versions() -> None:
    assert render_columns(make_results("line 3: x")["versions"], POLICY) == (
        "version  stages      auc    latency_ms  loss  size        format\n"
        "v4.0.0   -           -      -           -     unreadable  -\n"
        "v3.0.0   staging     0.913  61.2 ms     0.5   141.2 KiB   pickle\n"
        "v2.0.0   production  0.902  11.2 ms     0.5   94.2 KiB    pickle\n"
        "v1.0.0   archived    0.900  14.3 ms     0.5   47.1 KiB    pickle\n"
        "\n"
        "findings\n"
        "finding   place                                message\n"
        "bad-data  registry/churn/versions/v4.0.0.yaml  line 3: x"
    )


def test_render_columns_versions_with_many_metrics_names_those_left_out() -> None:
    versions = RESULTS["versions"]
    assert isinstance(versions, VersionList)
    for count, left_out in ((10, "m8, m9"), (90, "m16, m17, m18, m19, m2, m20, m21, m22, m23, m24 and 72 more")):
        record = replace(make_record(1, 0.9, 1, ""), metrics={f"m{number}": number for number in range(count)})
        result = replace(versions, versions=(replace(versions.versions[-1], record=record),), findings=())
        assert render_columns(result, POLICY).splitlines()[-1] == f"metrics not shown: {left_out}"


def test_render_columns_show() -> None:
    lines = render_columns(make_results("one\ntwo")["details"], POLICY).splitlines()
    assert lines[:13] == [
        "churn v2.0.0",
        "",
        "stages         production, archived",
        "archived       by jane@example.com at 2026-11-20T12:00:00Z, one",
        "               two",
        "tag            churn@v2.0.0",
        f"commit         {'c' * 40}",
        "registered     2026-11-20T12:00:00Z",
        "registered by  jane@example.com",
        "notes          one",
        "               two",
        "note           one",
        "               two",
    ]
    for shown in (
        f"sha256  {'2' * 64}",
        "size    94.2 KiB (96426 bytes)",
        "latency_ms  11.2 ms  lower",
        "loss        0.5      -",
        "depth  4",
        "code.dirty                         true",
        "dataset.name                       customers",
        "environment.packages.scikit-learn  1.7.2",
        'nested  {"list": [1, null, true]}',
        "2026-11-20T12:00:00Z  churn  production  promote  v1.0.0 → v2.0.0  jane@example.com  "
        "joe@example.com, one two  one two  dddddddddddd",
    ):
        assert shown in lines


def test_render_columns_show_archived_without_a_statement() -> None:
    details = RESULTS["details"]
    assert isinstance(details, VersionDetails)
    assert details.archived is not None
    bare = replace(details, archived=replace(details.archived, reason="", by="", at=None))
    assert "archived       yes" in render_columns(bare).splitlines()


def test_render_columns_show_little_is_known() -> None:
    assert "sha256  -" in render_columns(make_bare_details()).splitlines()


def test_render_columns_history() -> None:
    adopted = replace(make_transition("why"), source=None, approved_by=(), adopted="churn#production#1")
    assert render_columns(History((adopted,))) == (
        "when                  model  stage       action             from → to   by                approved by  "
        "reason  commit\n"
        "2026-11-20T12:00:00Z  churn  production  promote (adopted)  - → v2.0.0  jane@example.com  -            "
        "why     dddddddddddd"
    )
    assert render_columns(History(())) == "no transitions"


def test_render_columns_compare() -> None:
    assert render_columns(RESULTS["comparison"], POLICY) == (
        "versions: different bytes\n"
        "        v1.0.0        v2.0.0        v3.0.0\n"
        "stages  archived      production    staging\n"
        "size    47.1 KiB      94.2 KiB      141.2 KiB\n"
        "sha256  111111111111  222222222222  333333333333\n"
        "format  pickle        pickle        pickle\n"
        "\n"
        "metrics: ▲ better, ▼ worse than v1.0.0\n"
        "metric      better  v1.0.0   v2.0.0                      v3.0.0                        best\n"
        "auc         higher  0.900    0.902 ▲ +0.002 (+0.2%)      0.913 ▲ +0.013 (+1.4%)        v3.0.0\n"
        "latency_ms  lower   14.3 ms  11.2 ms ▲ -3.1 ms (-21.7%)  61.2 ms ▼ +46.9 ms (+328.0%)  v2.0.0\n"
        "loss        -       0.5      0.5 =                       0.5 =                         -\n"
        "\n"
        "params that differ\n"
        "       v1.0.0  v2.0.0  v3.0.0\n"
        "depth  3       4       5\n"
        "\n"
        "lineage that differs\n"
        f"             {'v1.0.0':40}  {'v2.0.0':40}  v3.0.0\n"
        f"code.commit  {'1' * 40}  {'2' * 40}  {'3' * 40}\n"
        f"code.dirty   {'false':40}  {'true':40}  false\n"
        "\n"
        "params that agree    seed=1, words=retrained on October data\n"
        "lineage that agrees  code.entrypoint=retrained on October data, dataset.name=customers, "
        "dataset.path=data/train.parquet, dataset.version=2026-10, environment.packages.scikit-learn=1.7.2, "
        "environment.python=3.11.7, run.tool=ci, run.url=https://ci.example/1, trained_at=2026-11-20T12:00:00Z\n"
        "no direction         loss: give --higher or --lower, or set metrics: in registry.yaml"
    )


def test_render_columns_compare_says_ties_gaps_and_repeats() -> None:
    one, two = make_record(1, 0, 1, ""), make_record(2, 0, 1, "")
    three = replace(make_record(3, 1, 1, ""), metrics={"auc": 1})
    lines = render_columns(
        compare([Subject(one), Subject(two), Subject(three), Subject(one)], POLICY.metrics)
    ).splitlines()
    assert "auc         higher  0.000   0.000 =  1.000 ▲ +1.000  v3.0.0" in lines
    assert "latency_ms  lower   1 ms    1 ms =   missing         tie: v1.0.0, v2.0.0" in lines
    assert "missing              latency_ms in v3.0.0" in lines
    assert "note                 a version that was named more than once is shown once" in lines


def test_render_columns_best() -> None:
    assert render_columns(RESULTS["choice"], POLICY) == (
        "churn v3.0.0\n"
        "\n"
        "why    auc 0.913 is the highest of 2; next v2.0.0 with 0.902\n"
        "why    production holds v2.0.0\n"
        "where  latency_ms <= 100\n"
        "next   mreg promote churn@v3.0.0 production "
        "--reason 'auc 0.913 is the highest of 2; next v2.0.0 with 0.902'\n"
        "\n"
        "ranking\n"
        "rank  version  auc (higher)\n"
        "1     v3.0.0   0.913\n"
        "2     v2.0.0   0.902\n"
        "\n"
        "out\n"
        "version  reason\n"
        "v4.0.0   its record cannot be read\n"
        "v1.0.0   archived\n"
        "\n"
        "metrics: ▲ better, ▼ worse than v2.0.0\n"
        "metric      better  v2.0.0   v3.0.0                        best\n"
        "auc         higher  0.902    0.913 ▲ +0.011 (+1.2%)        v3.0.0\n"
        "latency_ms  lower   11.2 ms  61.2 ms ▼ +50.0 ms (+446.4%)  v2.0.0\n"
        "loss        -       0.5      0.5 =                         -"
    )


def test_render_columns_best_without_a_stage_has_no_next_step() -> None:
    versions = RESULTS["versions"]
    assert isinstance(versions, VersionList)
    lines = render_columns(choose_best(CHURN, versions.versions, ["latency_ms"], POLICY.metrics)).splitlines()
    assert lines[:4] == ["churn v2.0.0", "", "why  latency_ms 11.2 ms is the lowest of 2; next v3.0.0 with 61.2 ms", ""]
    assert "metrics" not in " ".join(lines)


def test_render_columns_compare_metrics_that_all_have_a_direction_need_no_remark() -> None:
    bare = [replace(make_record(number, 0.9, 1, ""), metrics={"auc": 0.9}, params={"a": number}) for number in (1, 2)]
    text = render_columns(compare([Subject(each) for each in bare], POLICY.metrics))
    assert "without a direction" not in text
    assert "params that agree" not in text


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "promote",
            "Promote churn v2.0.0 to production\n\n"
            "production  v1.0.0 → v2.0.0 (promote)\narchived    v1.0.0 is archived\n"
            "commit      eeeeeeeeeeee\nbranch      main\ntag         churn#production#5\nnote        why\n"
            "next        mreg pull churn@production",
        ),
        (
            "promote on a branch",
            "Promote churn v2.0.0 to production\n\n"
            "production  v1.0.0 → v2.0.0 (promote)\narchived    v1.0.0 is archived\n"
            "commit      eeeeeeeeeeee\nbranch      promote-churn\nnote        why\n"
            "next        mreg sync   # makes the tags, once promote-churn is merged",
        ),
        (
            "promote, dry run",
            "would: Promote churn v2.0.0 to production\n\n"
            "production  v1.0.0 → v2.0.0 (promote)\narchived    v1.0.0 is archived\n"
            "file        registry/churn/stages/production.yaml\nnote        why",
        ),
        (
            "rollback",
            "Roll back churn production to v1.0.0\n\n"
            "production  v2.0.0 → v1.0.0 (rollback)\narchived    v1.0.0 is taken out\n"
            "hold        automatic promotions stop until the next mreg promote\n"
            "commit      eeeeeeeeeeee\nbranch      main\ntag         churn#production#6\n"
            "next        mreg pull churn@production",
        ),
        (
            "clear",
            "Clear churn production of v2.0.0\n\n"
            "production  v2.0.0 → - (clear)\ncommit      eeeeeeeeeeee\nbranch      main\n"
            "tag         churn#production!#7",
        ),
        (
            "register",
            "Register churn v3.0.0\n\n"
            "artifact  model.pkl (141.2 KiB, pickle)\ncommit    eeeeeeeeeeee\nbranch    main\ntag       churn@v3.0.0\n"
            "next      mreg promote churn@v3.0.0 staging --reason 'why'",
        ),
        ("init", "Make this a registry\n\ncommit  eeeeeeeeeeee\nbranch  main"),
        ("nothing", "nothing to do\n\nnote  why"),
        ("pulled", "/models/model.pkl"),
        (
            "diagnosis",
            "check     state  message  fix\ngit       ok     2.39.5   -\nidentity  fault  why      why",
        ),
    ],
)
def test_render_columns_what_was_done(name: str, expected: str) -> None:
    assert render_columns(make_results("why")[name], POLICY) == expected


def test_render_columns_register_of_an_unknown_format_says_so() -> None:
    receipt = RESULTS["register"]
    assert isinstance(receipt, Receipt)
    record = replace(make_record(3, 0.9, 1, ""), artifact=replace(make_record(3, 0.9, 1, "").artifact, format=""))
    assert "artifact  model.pkl (141.2 KiB, unknown format)" in render_columns(replace(receipt, record=record))
    unread = replace(record, artifact=replace(record.artifact, sha256=""))
    assert "artifact  model.pkl (141.2 KiB)\n" in render_columns(replace(receipt, record=unread))


@pytest.mark.parametrize(
    ("report", "first"),
    [
        (SyncReport((), 3, (), ()), "nothing to do: no tag is missing"),
        (SyncReport(("a@v1.0.0",), 0, (), ()), "made 1 tag"),
        (SyncReport(("a@v1.0.0", "a@v2.0.0"), 0, (), (), dry_run=True), "would make 2 tags"),
    ],
)
def test_render_columns_sync(report: SyncReport, first: str) -> None:
    lines = render_columns(report).splitlines()
    assert lines[0] == first
    assert lines[2:] == [*(f"tag            {tag}" for tag in report.created), f"already there  {report.present}"]


def test_render_columns_wide_and_combining_characters_stay_aligned() -> None:
    text = render_columns(make_results("模型 e\u0301")["history"])
    assert text == render_table(make_results("模型 e\u0301")["history"], width=WIDE)


@pytest.mark.parametrize("result", [Diagnosis(()), History(())])
def test_render_columns_and_table_without_rows_still_render(result: Result) -> None:
    assert render_columns(result, Policy()) == render_table(result, width=WIDE)


def test_render_table_of_a_push_offers_another_number_instead_of_leaving_out() -> None:
    pushed = make_pushed("x")
    number = replace(pushed.conflicts[0], matter=Matter.VERSION, again="mreg push --renumber")
    text = render_table(replace(pushed, conflicts=(*pushed.conflicts, number)), POLICY, width=WIDE)
    assert [line.split(maxsplit=1) for line in text.splitlines() if line.startswith(("either ", "or ", "next "))] == [
        ["either", "mreg push --drop a"],
        ["or", "mreg push --drop a && mreg sync"],
        ["or", "mreg push --renumber"],
    ]
