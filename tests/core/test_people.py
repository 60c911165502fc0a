from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mreg.core.fields import Fields, Plain
from mreg.core.settings.people import Actor, People, Person, Proof, identify, normalise_key, parse_people
from mreg.errors import DataError
from tests.core.strategies import plain

BLOB = "AAAAC3NzaC1lZDI1NTE5AAAAIBWkDXnAZWPtoEqPGvXGZhQv7YLyBRWXwQhHXbcPbeeE"
OTHER = BLOB.replace("BWk", "CWk")
KEY = f"ssh-ed25519 {BLOB}"
ADA = Person("ada", ("ada@example.com", "ada@home.example"), (KEY,))
BO = Person("bo", ("bo@example.com",))
PEOPLE = People({"ada": ADA, "bo": BO}, {"managers": ("ada",), "nobody": ()})


def read(**document: object) -> People:
    fields = Fields(document, where="registry.yaml")
    people = parse_people(fields)
    fields.finish()
    return people


# Who someone is.


def test_person_is_found_by_any_of_their_addresses_and_keys() -> None:
    for email in ("ada@example.com", "ADA@Example.COM", "ada@home.example"):
        assert PEOPLE.find_by_email(email) == ADA
    assert PEOPLE.find_by_key(KEY) == ADA
    for email in ("", "ada", "ada@example.com ", "eve@example.com", "<ada@example.com>"):
        assert PEOPLE.find_by_email(email) is None
    for key in ("", BLOB, f"{KEY} ada@laptop", f"ssh-rsa {BLOB}"):
        assert PEOPLE.find_by_key(key) is None


@given(st.sampled_from(ADA.emails), st.data())
def test_person_is_found_by_an_address_in_any_case(email: str, data: st.DataObject) -> None:
    upper = data.draw(st.lists(st.booleans(), min_size=len(email), max_size=len(email)))
    written = "".join(each.upper() if up else each for each, up in zip(email, upper, strict=True))
    assert PEOPLE.find_by_email(written) == ADA
    assert identify(PEOPLE, written, None).name == "ada"


@pytest.mark.parametrize(
    ("person", "roles", "has"),
    [
        (ADA, ["managers"], True),
        (ADA, ["nobody", "managers"], True),
        (ADA, ["nobody"], False),
        (ADA, ["undeclared"], False),
        (ADA, [], False),
        (BO, ["managers"], False),
        (None, ["managers"], False),
    ],
)
def test_person_has_a_role_where_it_names_them(person: Person | None, roles: list[str], has: bool) -> None:
    assert PEOPLE.has_role(person, roles) is has


@pytest.mark.parametrize(
    ("email", "proof", "actor"),
    [
        ("ada@home.example", None, Actor("ada@home.example", ADA)),
        ("eve@example.com", None, Actor("eve@example.com")),
        ("", None, Actor("")),
        ("ada@example.com", Proof(KEY), Actor("ada@example.com", ADA, is_proven=True)),
        ("ADA@home.example", Proof(KEY), Actor("ADA@home.example", ADA, is_proven=True)),
        ("ada@example.com", Proof(fault="broken"), Actor("ada@example.com", ADA, fault="broken")),
        ("ada@example.com", Proof(KEY, fault="broken"), Actor("ada@example.com", ADA, fault="broken")),
        (
            "bo@example.com",
            Proof(KEY),
            Actor("bo@example.com", BO, fault="it says bo@example.com, and ada signed it"),
        ),
        (
            "eve@example.com",
            Proof(KEY),
            Actor("eve@example.com", fault="it says eve@example.com, and ada signed it"),
        ),
        ("", Proof(KEY), Actor("", fault="it says nobody, and ada signed it")),
        ("ada@example.com", Proof("ssh-ed25519 short"), Actor("ada@example.com", ADA, stranger="ssh-ed25519 short")),
        (
            "eve@example.com",
            Proof(f"ssh-ed25519 {OTHER}"),
            Actor("eve@example.com", stranger=f"ssh-ed25519 AAAA…{OTHER[-12:]}"),
        ),
        ("ada@example.com", Proof(""), Actor("ada@example.com", ADA)),
    ],
)
def test_identify_is_proven_by_a_key_of_the_one_named_alone(email: str, proof: Proof | None, actor: Actor) -> None:
    found = identify(PEOPLE, email, proof)
    assert found == actor
    assert found.worth == ("proven" if actor.is_proven else "claimed")


def test_actor_is_named_by_the_person_or_else_by_the_address() -> None:
    ada = identify(PEOPLE, "ada@home.example", None)
    assert (ada.name, str(ada)) == ("ada", "ada <ada@home.example> (claimed)")
    proven = identify(PEOPLE, "ada@example.com", Proof(KEY))
    assert str(proven) == "ada <ada@example.com> (proven)"
    eve = identify(PEOPLE, "Eve@Example.com", None)
    assert (eve.name, str(eve)) == ("eve@example.com", "Eve@Example.com (claimed)")
    bot = Person("bot", ("bot",))
    assert str(Actor("bot", bot)) == "bot (claimed)"


@given(st.lists(st.sampled_from([*ADA.emails, *BO.emails, "eve@example.com", "EVE@example.com", "Bo@Example.com"])))
def test_actors_have_as_many_names_as_there_are_persons(emails: list[str]) -> None:
    names = {identify(PEOPLE, email, None).name for email in emails}
    assert len(names) == len({email.casefold().partition("@")[0] for email in emails})


# Keys.


@pytest.mark.parametrize(
    "kind",
    [
        "ssh-ed25519",
        "ssh-rsa",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "sk-ssh-ed25519@openssh.com",
        "sk-ecdsa-sha2-nistp256@openssh.com",
    ],
)
@pytest.mark.parametrize("comment", ["", " ada@laptop", " a comment of words", " ssh-rsa AAAA", "  "])
def test_key_is_normalised_without_its_comment(kind: str, comment: str) -> None:
    assert normalise_key(f" {kind} {BLOB}==={comment}\n") == f"{kind} {BLOB}==="


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "ssh-ed25519",
        "ssh-ed25519 ",
        "ssh-ed25519 short",
        BLOB,
        f"ssh-ed25519  {BLOB}",
        f"ssh-ed25519\t{BLOB}",
        f"ssh-ed25519 {BLOB}====",
        f"ssh-ed25519 {BLOB}!",
        f"ssh-ed25519 {BLOB}\nssh-ed25519 {OTHER}",
        f"no-pty ssh-ed25519 {BLOB}",
        f"ssh-dss {BLOB}",
        f"ssh-ed25519-cert-v01@openssh.com {BLOB}",
        f"sk-ssh-ed25519@openssh.com.example {BLOB}",
        f"ssh-ed25519x {BLOB}",
        f"ecdsa-sha2- {BLOB}",
        f"SSH-ED25519 {BLOB}",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        "ssh-ed25519 " + "\uff21" * 20,
    ],
)
def test_key_that_is_none_is_refused(text: str) -> None:
    assert normalise_key(text) is None
    with pytest.raises(DataError, match="is not an SSH public key") as caught:
        read(people={"ada": {"keys": [text]}})
    assert caught.value.details["key"] == "people.ada.keys"
    assert len(caught.value.message) < 120


# The settings.


def test_people_and_roles_read() -> None:
    people = read(
        people={
            "ada": {"emails": ["Ada@Example.com", "ada@home.example"], "keys": [f"{KEY} ada@laptop"]},
            "bo": {"emails": ["bo@example.com"]},
            "ci-bot.2": None,
        },
        roles={"managers": ["ada", "ada"], "reviewers": ["bo", "ada"], "nobody": []},
    )
    assert people.persons == {"ada": ADA, "bo": BO, "ci-bot.2": Person("ci-bot.2")}
    assert people.roles == {"managers": ("ada",), "reviewers": ("bo", "ada"), "nobody": ()}
    assert read() == read(people={}, roles={}) == read(people=None, roles=None) == People()


def test_people_may_say_the_same_twice_of_one_person() -> None:
    people = read(people={"ada": {"emails": ["a@b.c", "A@b.c"], "keys": [KEY, f"{KEY} again"]}})
    assert people.persons["ada"] == Person("ada", ("a@b.c", "a@b.c"), (KEY, KEY))


def two(**second: object) -> dict[str, object]:
    return {"people": {"ada": {"emails": ["ada@example.com"], "keys": [KEY]}, "bo": second}}


@pytest.mark.parametrize(
    ("document", "key", "message"),
    [
        ({"people": ["ada"]}, "people", "a mapping is expected"),
        ({"people": "ada"}, "people", "a mapping is expected"),
        ({"people": {"Ada": {}}}, "people.Ada", "'Ada' is not a short name"),
        ({"people": {"": {}}}, "people.", "'' is not a short name"),
        ({"people": {"a b": {}}}, "people.a b", "'a b' is not a short name"),
        ({"people": {"-a": {}}}, "people.-a", "'-a' is not a short name"),
        ({"people": {"ada@example.com": {}}}, "people.ada@example.com", "is not a short name"),
        ({"people": {5: {}}}, "people.5", "a key must be text"),
        ({"people": {"ada": "ada@example.com"}}, "people.ada", "a mapping is expected"),
        ({"people": {"ada": {"email": ["a@b.c"]}}}, "people.ada.email", "unknown key"),
        ({"people": {"ada": {"emails": "a@b.c"}}}, "people.ada.emails", "a list of texts is expected"),
        ({"people": {"ada": {"emails": [5]}}}, "people.ada.emails", "a list of texts is expected"),
        ({"people": {"ada": {"emails": {"a@b.c": None}}}}, "people.ada.emails", "a list of texts is expected"),
        ({"people": {"ada": {"emails": [""]}}}, "people.ada.emails", "'' is not an e-mail address"),
        ({"people": {"ada": {"emails": ["ada"]}}}, "people.ada.emails", "'ada' is not an e-mail address"),
        ({"people": {"ada": {"emails": ["a@b@c"]}}}, "people.ada.emails", "is not an e-mail address"),
        ({"people": {"ada": {"emails": ["Ada <a@b.c>"]}}}, "people.ada.emails", "is not an e-mail address"),
        ({"people": {"ada": {"emails": ["a@b.c,d@e.f"]}}}, "people.ada.emails", "is not an e-mail address"),
        ({"people": {"ada": {"emails": ["a@b.c\n"]}}}, "people.ada.emails", "is not an e-mail address"),
        ({"people": {"ada": {"keys": KEY}}}, "people.ada.keys", "a list of texts is expected"),
        (two(emails=["ADA@example.com"]), "people.bo.emails", "ada@example.com is ada's too"),
        (two(keys=[f"{KEY} mine"]), "people.bo.keys", f"ssh-ed25519 AAAA…{BLOB[-12:]} is ada's too"),
        ({"roles": ["ada"]}, "roles", "a mapping is expected"),
        ({"roles": {"Managers": []}}, "roles.Managers", "'Managers' is not a short name"),
        ({"roles": {"managers": "ada"}}, "roles.managers", "a list of texts is expected"),
        ({"roles": {"managers": ["ada"]}}, "roles.managers", "'ada' is not in people:"),
        ({**two(), "roles": {"managers": ["ada", "Bo"]}}, "roles.managers", "'Bo' is not in people:"),
        ({**two(), "roles": {"managers": ["ada@example.com"]}}, "roles.managers", "is not in people:"),
        ({**two(), "roles": {"managers": None}, "role": {}}, "role", "unknown key"),
    ],
)
def test_people_bad_names_its_key(document: dict[str, object], key: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        read(**document)
    assert caught.value.details["key"] == key
    assert message in caught.value.message


def test_people_errors_say_what_to_do() -> None:
    hints = {
        "examples: jane, bo.l, ci-bot": {"people": {"Jane": {}}},
        "emails: [jane@example.com]": {"people": {"jane": {"emails": ["jane"]}}},
        "copy the line of the .pub file, such as ~/.ssh/id_ed25519.pub": {"people": {"jane": {"keys": ["x"]}}},
        "keep it for one of them": two(keys=[KEY]),
        "examples: reviewers, release-managers": {"roles": {"The Boss": []}},
        "people: has nobody": {"roles": {"managers": ["ada"]}},
        "people: has ada, bo": {**two(), "roles": {"managers": ["eve"]}},
        "did you mean 'emails'? known here: emails, keys": {"people": {"ada": {"email": []}}},
    }
    for hint, document in hints.items():
        with pytest.raises(DataError) as caught:
            read(**document)  # type: ignore[arg-type]
        assert caught.value.hint == hint


@given(plain, plain)
def test_people_of_any_data_are_read_or_refused(people: Plain, roles: Plain) -> None:
    with suppress(DataError):
        read(people=people, roles=roles)
    with suppress(DataError):
        read(people={"ada": people, "bo": roles}, roles={"managers": people})
    with suppress(DataError):
        read(people={"ada": {"emails": people, "keys": roles}})
