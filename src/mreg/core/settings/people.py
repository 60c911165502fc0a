"""People and roles: who an e-mail address or a key stands for.

Rules:
    * A person is one, however many addresses and keys are theirs; no address and no key is two people's.
    * Addresses are compared without regard to case; keys by type and content, without their comment.
    * A signature proves its signer; without one, who did something is a claim.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

from msgspec import Struct, field

from mreg.core.fields import Fields

__all__ = ["Actor", "People", "Person", "Proof", "identify", "normalise_key", "parse_people"]

_NAME = r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?"
_EMAIL = r"[^\s@<>,;]+@[^\s@<>,;]+"
_KEY = r"(?P<kind>[a-z0-9@.-]+) (?P<blob>[A-Za-z0-9+/]{16,}={0,3})(?: .*)?"
_KEY_KINDS = {  # a certificate is signed by an authority, and nobody's own
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
}


class Person(Struct, frozen=True):
    """One human being, or one machine that acts for itself."""

    name: str
    emails: tuple[str, ...] = ()
    """In lower case."""
    keys: tuple[str, ...] = ()
    """SSH public keys, ``ssh-ed25519 AAAA…``, without comment."""


class Proof(Struct, frozen=True):
    """What a signature shows by itself: whose key made it over just these bytes, or why it shows nothing."""

    key: str = ""
    """SSH public key, ``ssh-ed25519 AAAA…``; empty where ``fault`` is not."""
    fault: str = ""


class Actor(Struct, frozen=True):
    """Who did something, and what that is worth."""

    email: str
    """As stated, or as the commit has it."""
    person: Person | None = None
    """``None`` where nobody in ``people:`` has the address."""
    is_proven: bool = False
    """True where a key of that person signed it."""
    fault: str = ""
    """Why a signature that is there does not hold."""
    stranger: str = ""
    """The key of a signature that holds and is nobody's in ``people:``, shortened; who it is remains a claim."""

    @property
    def name(self) -> str:
        """The person's name, or the address of someone who is not listed: what persons are counted by."""
        return self.person.name if self.person else self.email.casefold()

    @property
    def worth(self) -> str:
        """``proven`` or ``claimed``."""
        return "proven" if self.is_proven else "claimed"

    def __str__(self) -> str:
        """Returns address and worth, as findings say them."""
        who = self.email if not self.person or self.person.name == self.email else f"{self.person.name} <{self.email}>"
        return f"{who} ({self.worth})"


class People(Struct, frozen=True):
    """All persons, and the roles that they have."""

    persons: Mapping[str, Person] = field(default_factory=dict)
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Names of persons by role."""

    def find_by_email(self, email: str) -> Person | None:
        """Returns whose address it is, if anyone's."""
        wanted = email.casefold()
        return next((person for person in self.persons.values() if wanted in person.emails), None)

    def find_by_key(self, key: str) -> Person | None:
        """Returns whose key it is, if anyone's."""
        return next((person for person in self.persons.values() if key in person.keys), None)

    def has_role(self, person: Person | None, roles: Iterable[str]) -> bool:
        """Returns whether a person has one of some roles."""
        return person is not None and any(person.name in self.roles.get(role, ()) for role in roles)


def identify(people: People, email: str, proof: Proof | None) -> Actor:
    """Returns who stated something.

    Args:
        people: Those of the rules in force.
        email: Who it says it is.
        proof: What its signature shows; ``None`` where it has none.
    """
    claimed = people.find_by_email(email)
    if proof is None:
        return Actor(email, claimed)
    if proof.fault:
        return Actor(email, claimed, fault=proof.fault)
    signer = people.find_by_key(proof.key)
    if signer is None:
        return Actor(email, claimed, stranger=_shown(proof.key))
    if signer != claimed:
        return Actor(email, claimed, fault=f"it says {email or 'nobody'}, and {signer.name} signed it")
    return Actor(email, signer, is_proven=True)


def normalise_key(text: str) -> str | None:
    """Returns an SSH public key without its comment; ``None`` where the text is none."""
    match = re.fullmatch(_KEY, text.strip())
    if match is None or match["kind"] not in _KEY_KINDS:
        return None
    return f"{match['kind']} {match['blob']}"


def parse_people(fields: Fields) -> People:
    """Returns what ``people:`` and ``roles:`` say.

    Raises:
        DataError: An address or key is malformed or two people's, or a role names someone who is not listed.
    """
    persons: dict[str, Person] = {}
    owners: dict[str, str] = {}
    for name, section in fields.sections("people"):
        if not re.fullmatch(_NAME, name):
            raise fields.error(f"people.{name}", f"{name!r} is not a short name", hint="examples: jane, bo.l, ci-bot")
        emails = tuple(email.casefold() for email in section.texts("emails"))
        keys = [(text, normalise_key(text)) for text in section.texts("keys")]
        for email in emails:
            if not re.fullmatch(_EMAIL, email):
                raise section.error("emails", f"{email!r} is not an e-mail address", hint="emails: [jane@example.com]")
        for text, key in keys:
            if key is None:
                shown = text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]}…"
                hint = "copy the line of the .pub file, such as ~/.ssh/id_ed25519.pub"
                raise section.error("keys", f"{shown!r} is not an SSH public key", hint=hint)
        section.finish()
        person = Person(name, emails, tuple(key for _, key in keys if key))
        for key_name, values in (("emails", person.emails), ("keys", person.keys)):
            for value in values:
                if owners.setdefault(value, name) != name:
                    raise section.error(
                        key_name, f"{_shown(value)} is {owners[value]}'s too", hint="keep it for one of them"
                    )
        persons[name] = person
    return People(persons, _parse_roles(fields, persons))


def _parse_roles(fields: Fields, persons: Collection[str]) -> dict[str, tuple[str, ...]]:
    section = fields.section("roles")
    roles: dict[str, tuple[str, ...]] = {}
    for role in section.names if section else ():
        if not re.fullmatch(_NAME, role):
            raise fields.error(
                f"roles.{role}", f"{role!r} is not a short name", hint="examples: reviewers, release-managers"
            )
        names = section.texts(role) if section else ()
        for name in names:
            if name not in persons:
                known = ", ".join(persons) or "nobody"
                raise fields.error(f"roles.{role}", f"{name!r} is not in people:", hint=f"people: has {known}")
        roles[role] = tuple(dict.fromkeys(names))
    return roles


_SHOWN_LENGTH = 40


def _shown(key: str) -> str:
    return key if len(key) <= _SHOWN_LENGTH else f"{key[:16]}…{key[-12:]}"
