from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mreg.core.fields import Fields, Plain, format_moment
from mreg.core.layout import Layout, PathKind
from mreg.core.names import ModelName
from mreg.core.review.approvals import (
    Approval,
    Ballot,
    Tally,
    Vote,
    approval_id,
    count_votes,
    encode_approval,
    format_approval,
    parse_approval,
)
from mreg.core.settings.people import Actor, Proof, identify
from mreg.core.settings.policy import ApprovalRule, Signatures
from mreg.errors import DataError
from tests.core.court import BO, CY, EVE, PEOPLE, email_of, key_of
from tests.core.simulator import CHURN, PRODUCTION, STAGING, V1, V2, V3
from tests.core.strategies import model_names, moments, plain, stage_names, texts, versions, words

AT = datetime(2026, 11, 25, 21, 25, 42, tzinfo=timezone.utc)
GIVEN = Approval(CHURN, V2, PRODUCTION, "sha256:0f", V1, "bo@example.com", AT, "looked at the slices")
BALLOT = Ballot(CHURN, V2, PRODUCTION, "sha256:0f", V1, identify(PEOPLE, "ada@example.com", None))
ONE = ApprovalRule(1, ("reviewers",), not_author=True)
ANYONE = ApprovalRule(1)
OPTIONAL, REQUIRED = Signatures.OPTIONAL, Signatures.REQUIRED

written = versions.filter(lambda version: len(str(version)) <= 100)
approvals = st.builds(
    Approval,
    model=model_names,
    version=written,
    stage=stage_names,
    artifact=texts,
    replaces=st.none() | written,
    by=words,
    at=st.none() | moments,
    reason=texts,
    signature=texts,
)


def parse(document: object) -> Approval:
    return parse_approval(Fields(document, where="approval.yaml"))


def vote(by: str = "bo", path: str = "a", *, signer: str | None = None, fault: str = "", **changes: object) -> Vote:
    """Returns the approval of someone, as they committed it."""
    said = replace(GIVEN, by=email_of(by))
    proof = Proof(fault=fault) if fault else Proof(key_of(signer)) if signer else None
    made = Vote(path, said, authors=frozenset({email_of(by)}), proof=proof)
    return replace(made, **changes)


def count(*votes: Vote, rule: ApprovalRule = ONE, signatures: Signatures = OPTIONAL, ballot: Ballot = BALLOT) -> Tally:
    return count_votes(rule, signatures, PEOPLE, ballot, votes)


def codes(tally: Tally) -> list[str]:
    return [code for code, _, _ in tally.faults]


def names(tally: Tally) -> list[str]:
    return [actor.name for actor in tally.approvers]


# The file.


@given(approvals)
def test_approval_reads_back(approval: Approval) -> None:
    assert parse(format_approval(approval)) == approval


@given(approvals, st.data())
def test_approval_is_the_same_statement_just_where_all_but_the_signature_is(
    approval: Approval, data: st.DataObject
) -> None:
    other = data.draw(approvals)
    name = data.draw(st.sampled_from(["model", "version", "stage", "artifact", "replaces", "by", "at", "reason"]))
    changed = replace(approval, **{name: getattr(other, name)})
    one, two = (getattr(each, name) for each in (approval, changed))
    is_same = one == two if name != "at" else spell(one) == spell(two)
    assert (encode_approval(approval) == encode_approval(changed)) is is_same
    assert (approval_id(approval) == approval_id(changed)) is is_same
    assert encode_approval(replace(approval, signature="another")) == encode_approval(approval)


def spell(moment: datetime | None) -> str:
    return format_moment(moment) if moment else ""


def test_approval_is_these_bytes_and_this_document() -> None:
    assert encode_approval(GIVEN) == (
        b'{"artifact":"sha256:0f","at":"2026-11-25T21:25:42Z","by":"bo@example.com","kind":"approval.mreg",'
        b'"model":"churn","reason":"looked at the slices","replaces":"v1.0.0","schema":1,"stage":"production",'
        b'"version":"v2.0.0"}\n'
    )
    assert list(format_approval(replace(GIVEN, signature="x")).items()) == [
        ("model", "churn"),
        ("version", "v2.0.0"),
        ("stage", "production"),
        ("artifact", "sha256:0f"),
        ("replaces", "v1.0.0"),
        ("by", "bo@example.com"),
        ("at", "2026-11-25T21:25:42Z"),
        ("reason", "looked at the slices"),
        ("signature", "x"),
    ]


@given(approvals)
def test_approval_id_is_a_name_of_a_file(approval: Approval) -> None:
    name, layout = approval_id(approval), Layout()
    place = layout.locate(layout.approval(approval.model, approval.version, approval.stage, name))
    assert place
    assert (place.kind, place.model, place.version, place.stage) == (
        PathKind.APPROVAL,
        approval.model,
        approval.version,
        approval.stage,
    )


SMALLEST: dict[str, Plain] = {"model": "churn", "version": "v2", "stage": "production", "by": "bo@example.com"}


def test_approval_smallest_reads() -> None:
    least = Approval(CHURN, V2, PRODUCTION, "", None, "bo@example.com")
    for replaces in ({}, {"replaces": None}, {"replaces": "none"}):
        assert parse({**SMALLEST, **replaces}) == least
    assert parse({**SMALLEST, "version": 2, "replaces": 1}) == replace(least, replaces=V1)


@pytest.mark.parametrize("key", SMALLEST)
@pytest.mark.parametrize("value", [..., None, "", [], {}, True, 0.5, ["v2"]])
def test_approval_bad_names_its_key(key: str, value: object) -> None:
    document = {name: each for name, each in {**SMALLEST, key: value}.items() if each is not ...}
    with pytest.raises(DataError) as caught:
        parse(document)
    assert caught.value.details["key"] == key
    assert caught.value.message.startswith(f"approval.yaml: {key}: ")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model", "a" * 101),
        ("model", "../x"),
        ("model", "Churn"),
        ("stage", "archived"),
        ("stage", "v3"),
        ("stage", "a b"),
        ("version", "none"),
        ("version", "../v1"),
        ("version", 10**12),
        ("version", -1),
        ("version", "9" * 5000),
        ("replaces", "nothing"),
        ("replaces", ""),
        ("replaces", []),
        ("replaces", {}),
        ("replaces", ["v1"]),
        ("replaces", False),
        ("replaces", 1.5),
        ("artifact", ["sha256:0f"]),
        ("artifact", 5),
        ("by", 5),
        ("by", ["bo@example.com"]),
        ("at", "yesterday"),
        ("at", 5),
        ("at", "2026-13-01"),
        ("reason", ["x"]),
        ("signature", {}),
        ("aproved", "x"),
    ],
)
def test_approval_hostile_is_refused(key: str, value: object) -> None:
    with pytest.raises(DataError) as caught:
        parse({**SMALLEST, key: value})
    assert caught.value.details["key"] == key


@pytest.mark.parametrize("document", [None, [], "model: churn", 5, {1: 2}])
def test_approval_that_is_no_mapping_of_texts_is_refused(document: object) -> None:
    with pytest.raises(DataError, match=r"^approval\.yaml: "):
        parse(document)


@given(st.dictionaries(st.sampled_from([*SMALLEST, "replaces", "artifact", "at", "reason", "signature", "x"]), plain))
def test_approval_of_any_data_is_read_or_refused(document: dict[str, Plain]) -> None:
    for each in (document, {**SMALLEST, **document}):
        with suppress(DataError):
            encode_approval(parse(each))


# What counts.


def test_vote_of_who_may_counts() -> None:
    tally = count(vote())
    assert tally == Tally((identify(PEOPLE, "bo@example.com", None),), (), {"bo": "a"})
    proven = count(vote(signer="bo"), signatures=REQUIRED)
    assert (names(proven), proven.approvers[0].is_proven) == (["bo"], True)


def test_votes_are_none() -> None:
    assert count() == Tally((), (), {})


def said(**changes: object) -> Approval:
    return replace(GIVEN, **changes)


@pytest.mark.parametrize(
    ("given_vote", "code", "message"),
    [
        (vote(approval=None, fault="", authors=frozenset()), "approval-unreadable", ""),
        (replace(vote(), approval=None, fault="a.yaml: no"), "approval-unreadable", "a.yaml: no"),
        (vote(is_changed=True), "approval-changed", "it was changed after it was committed"),
        (vote(approval=said(model=ModelName("fraud"))), "approval-copied", "it is about fraud v2.0.0 in production"),
        (vote(approval=said(version=V3)), "approval-copied", "it is about churn v3.0.0 in production"),
        (vote(approval=said(stage=STAGING)), "approval-copied", "it is about churn v2.0.0 in staging"),
        (vote(approval=said(artifact="sha256:0e")), "approval-other-artifact", "it is about other bytes"),
        (vote(approval=said(artifact="md5:0f")), "approval-other-artifact", "it is about other bytes"),
        (vote(approval=said(artifact="")), "approval-other-artifact", "it is about other bytes"),
        (vote(is_fresh=False), "approval-replayed", "production changed after it was given"),
        (vote(approval=said(replaces=V3)), "approval-stale", "given for replacing v3.0.0, but production held v1.0.0"),
        (
            vote(approval=said(replaces=None)),
            "approval-stale",
            "given for replacing nothing, but production held v1.0.0",
        ),
        (vote(fault="it is broken"), "approval-forged", "it is broken"),
        (vote(signer="cy"), "approval-forged", "it says bo@example.com, and cy signed it"),
        (
            vote(authors=frozenset({"eve@example.com", "dan@example.com"})),
            "approval-forged",
            "it says that bo@example.com approves, but dan@example.com, eve@example.com committed it",
        ),
        (vote(authors=frozenset()), "approval-forged", "but somebody unknown committed it"),
        (vote("eve"), "approval-unlisted", "eve@example.com (claimed) is not in reviewers"),
        (vote("ada"), "approval-unlisted", "ada <ada@example.com> (claimed) is not in reviewers"),
        (vote(approval=said(by="reviewers")), "approval-forged", "it says that reviewers approves"),
    ],
)
def test_vote_that_does_not_count_says_why(given_vote: Vote, code: str, message: str) -> None:
    tally = count(given_vote)
    assert (tally.approvers, tally.votes) == ((), {})
    ((found, path, why),) = tally.faults
    assert (found, path) == (code, "a")
    assert message in why


def test_vote_for_an_empty_stage_replaces_nothing() -> None:
    empty = replace(BALLOT, replaces=None)
    assert names(count(vote(approval=said(replaces=None)), ballot=empty)) == ["bo"]
    ((_, _, why),) = count(vote(), ballot=empty).faults
    assert why == "it was given for replacing v1.0.0, but production held nothing"


# Signatures.


@pytest.mark.parametrize(
    ("given_vote", "code", "message"),
    [
        (vote(), "approval-unsigned", "bo@example.com did not sign it, but production requires signatures"),
        (vote("eve"), "approval-unsigned", "eve@example.com did not sign it"),
        (vote(signer="eve"), "approval-unlisted", "nobody in people: has the key ssh-ed25519 evee…"),
        (vote("eve", signer="eve"), "approval-unlisted", "nobody in people: has the key"),
        (vote(signer="ada"), "approval-forged", "it says bo@example.com, and ada signed it"),
        (vote(fault="it is broken"), "approval-forged", "it is broken"),
        (vote("ada", signer="ada"), "approval-unlisted", "ada <ada@example.com> (proven) is not in reviewers"),
    ],
)
@pytest.mark.parametrize("rule", [ONE, ANYONE])
def test_vote_without_a_good_signature_does_not_count_where_one_is_required(
    given_vote: Vote, code: str, message: str, rule: ApprovalRule
) -> None:
    tally = count(given_vote, signatures=REQUIRED, rule=rule)
    if rule is ANYONE and "(proven)" in message:
        assert names(tally) == ["ada"]
        return
    ((found, _, why),) = tally.faults
    assert found == code
    assert message in why


def test_vote_that_is_proven_counts_whoever_committed_it() -> None:
    for authors in (frozenset[str](), frozenset({"eve@example.com"})):
        assert names(count(vote(signer="bo", authors=authors), signatures=REQUIRED)) == ["bo"]
        assert names(count(vote(signer="bo", authors=authors))) == ["bo"]


def test_vote_signed_by_a_stranger_is_a_claim_where_signatures_are_optional() -> None:
    claimed = count(vote(signer="eve"))
    assert (names(claimed), claimed.approvers[0].is_proven) == (["bo"], False)
    assert codes(count(vote(signer="eve", authors=frozenset({"eve@example.com"})))) == ["approval-forged"]
    assert codes(count(vote("eve", signer="eve"))) == ["approval-unlisted"]
    assert names(count(vote("eve", signer="eve"), rule=ANYONE)) == ["eve@example.com"]


def test_vote_with_a_broken_signature_counts_nowhere() -> None:
    for signatures in Signatures:
        assert codes(count(vote(fault="broken"), signatures=signatures, rule=ANYONE)) == ["approval-forged"]


# Who committed it.


@pytest.mark.parametrize(
    ("by", "authors", "counts"),
    [
        ("bo@example.com", {"bo@example.com"}, True),
        ("BO@Example.com", {"bo@example.com"}, True),
        ("bo@home.example", {"bo@example.com"}, True),  # another address of the same person
        ("bo@example.com", {"ada@example.com", "bo@home.example"}, True),  # a squash, with Co-authored-by
        ("bo@example.com", {"ada@example.com"}, False),
        ("bo@example.com", {"bo@example.co"}, False),
        ("bo@example.com ", {"bo@example.com"}, False),
        ("bo", {"bo@example.com"}, False),
    ],
)
def test_vote_is_of_an_author_of_its_commit(by: str, authors: set[str], counts: bool) -> None:
    tally = count(vote(authors=frozenset(authors), approval=said(by=by)))
    assert (names(tally) == ["bo"]) is counts
    assert counts or codes(tally) == ["approval-forged"]


# Who proposes it.


@pytest.mark.parametrize("email", ["bo@example.com", "bo@home.example", "BO@EXAMPLE.com"])
def test_vote_of_who_proposes_it_does_not_count_by_any_address(email: str) -> None:
    ballot = replace(BALLOT, author=identify(PEOPLE, email, None))
    ((code, _, why),) = count(vote(), ballot=ballot).faults
    assert (code, why) == (
        "approval-self",
        "bo <bo@example.com> (claimed) proposes the promotion, so cannot approve it",
    )
    assert codes(count(vote(signer="bo"), ballot=ballot, signatures=REQUIRED)) == ["approval-self"]
    assert names(count(vote(), ballot=ballot, rule=replace(ONE, not_author=False))) == ["bo"]


def test_vote_of_someone_unlisted_who_proposes_it_does_not_count() -> None:
    ballot = replace(BALLOT, author=Actor("EVE@example.com"))
    assert codes(count(vote("eve"), ballot=ballot, rule=replace(ANYONE, not_author=True))) == ["approval-self"]
    assert names(count(vote("eve"), ballot=ballot, rule=ANYONE)) == ["eve@example.com"]


# Persons.


def test_votes_of_one_person_are_one() -> None:
    home = vote(path="b", authors=frozenset({"bo@home.example"}), approval=said(by="bo@home.example"))
    tally = count(vote(), home, vote(path="c", signer="bo"))
    assert names(tally) == ["bo"]
    assert (tally.approvers[0].is_proven, tally.votes) == (True, {"bo": "c"})
    assert tally.faults == ()
    both = count(vote(path="a", signer="bo"), vote(path="b"), vote(path="c", signer="bo"))
    assert (both.approvers[0].is_proven, both.votes) == (True, {"bo": "a"})


def test_votes_of_several_are_in_the_order_of_their_names_and_the_first_of_each_counts() -> None:
    tally = count(vote("cy", "z"), vote("cy", "y"), vote("bo", "x"), vote("eve", "w"))
    assert (names(tally), tally.votes) == (["bo", "cy"], {"bo": "x", "cy": "y"})
    assert [actor.person for actor in tally.approvers] == [BO, CY]
    assert [(code, path) for code, path, _ in tally.faults] == [("approval-unlisted", "w")]


def test_votes_of_one_address_of_someone_unlisted_are_one() -> None:
    upper = vote("eve", "b", approval=said(by="EVE@example.com"))
    assert names(count(vote("eve"), upper, rule=ANYONE)) == ["eve@example.com"]
    assert EVE.emails == ("eve@example.com",)


kinds = st.sampled_from(["bo", "cy", "ada", "eve"])
ballots = st.lists(st.tuples(kinds, st.booleans(), st.booleans(), st.booleans(), st.booleans()), max_size=8)


@given(ballots, st.sampled_from(Signatures), kinds, st.randoms())
def test_votes_that_count_are_those_of_persons_who_may(
    drawn: list[tuple[str, bool, bool, bool, bool]], signatures: Signatures, author: str, random: object
) -> None:
    votes = [
        vote(
            name,
            f"{index:02}",
            signer=name if is_signed else None,
            is_fresh=is_fresh,
            is_changed=is_changed,
            authors=frozenset({email_of(name)} if is_own else {"hand@example.com"}),
        )
        for index, (name, is_signed, is_fresh, is_changed, is_own) in enumerate(drawn)
    ]
    ballot = replace(BALLOT, author=identify(PEOPLE, email_of(author), None))
    expected = {
        name
        for name, is_signed, is_fresh, is_changed, is_own in drawn
        if name in {"bo", "cy"}
        and name != author
        and is_fresh
        and not is_changed
        and (is_signed or (is_own and signatures is OPTIONAL))
    }
    tally = count(*votes, signatures=signatures, ballot=ballot)
    assert names(tally) == sorted(expected)
    random.shuffle(votes)  # type: ignore[attr-defined]
    assert count(*votes, signatures=signatures, ballot=ballot) == tally
    assert set(tally.votes) == expected
    assert len(tally.faults) >= len(votes) - sum(name in expected for name, *_ in drawn)


@given(st.integers(0, 20))
def test_votes_by_any_number_of_addresses_and_keys_are_one_person(number: int) -> None:
    votes = [vote(path=f"{index}", signer="bo" if index % 2 else None) for index in range(number)]
    assert len(count(*votes).approvers) == min(number, 1)
