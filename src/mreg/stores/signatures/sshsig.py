"""SSHSIG: what a signature by an SSH key shows, told in process.

The format is OpenSSH's (https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.sshsig): what ``ssh-keygen -Y
sign`` makes, and Git with it.  Keys and signatures in it are encoded as RFC 4253, 5656, 8332 and 8709 say, those of
security keys as PROTOCOL.u2f beside it.

Rules:
    * Nothing of a signature but its line breaks can be changed, added or taken away: base64 and numbers in their one
      canonical form, nothing after the end, nothing in the reserved field, which OpenSSH neither signs nor looks at.
    * RSA only with SHA-2 and from 2048 bits; no DSA; no certificates, since ``people:`` lists plain keys.
    * A security key must have been touched.
    * Whose key it is, is not decided here; nor is a signature the only one: from one by ECDSA everybody can make a
      second over the same statement.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from functools import lru_cache, partial

from msgspec import Struct

from mreg.core.settings.people import Proof

__all__ = ["verify"]

_BEGIN = "-----BEGIN SSH SIGNATURE-----"
_END = "-----END SSH SIGNATURE-----"
_MAGIC = b"SSHSIG"
_VERSION = 1
_HASHES = {b"sha256": hashlib.sha256, b"sha512": hashlib.sha512}
_RSA_BITS = (2048, 16384)  # the largest is OpenSSH's
_MAX_CHARACTERS = 16 * 1024  # the largest RSA key needs 6000
_SHOWN_LENGTH = 40
_USER_PRESENT = 0x01
_UNCOMPRESSED = b"\x04"

_Check = Callable[[bytes, bytes], None]
"""Takes the signature proper and what it should be over, and raises where it is not."""


class _FaultError(Exception):
    """Why a signature shows nothing, in words for those who look after the registry."""


class _Key(Struct, frozen=True):
    """A public key, ready to check signatures."""

    text: str
    checks: Mapping[bytes, _Check]
    """By the name of the algorithm."""
    application: bytes | None = None
    """What a security key is bound to; ``None`` for keys in a file."""


class _Reader:
    """Reads the fields of an SSH structure, and never past its end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        if len(taken) != count:
            raise _FaultError("the signature is cut off, or its parts do not fit together")
        self._at += count
        return taken

    def integer(self) -> int:
        return int.from_bytes(self.take(4), "big")

    def string(self) -> bytes:
        return self.take(self.integer())

    def number(self) -> int:
        """Reads a positive number of any size."""
        data = self.string()
        if not data or data[0] > 0x7F or (data[0] == 0 and (len(data) == 1 or data[1] <= 0x7F)):  # noqa: PLR2004
            raise _FaultError("the signature is damaged: a number in it is not written as it should be")
        return int.from_bytes(data, "big")

    def finish(self) -> None:
        if self._at != len(self._data):
            raise _FaultError(f"the signature is damaged: {len(self._data) - self._at} bytes in it are out of place")


def verify(statement: bytes, namespace: str, armored: str) -> Proof:
    """Returns what a signature shows: the key that made it over just these bytes, or why it shows nothing.

    Args:
        statement: The bytes that it should be over.
        namespace: What it should have been made for.
        armored: The signature, from ``-----BEGIN SSH SIGNATURE-----`` to its end; one line feed may follow.
    """
    try:
        return Proof(key=_verify(statement, namespace, armored))
    except _FaultError as fault:
        return Proof(fault=str(fault))


def _verify(statement: bytes, namespace: str, armored: str) -> str:
    reader = _Reader(_strip_armor(armored))
    if reader.take(len(_MAGIC)) != _MAGIC:
        raise _FaultError("it is not an SSH signature, though it is wrapped like one")
    version = reader.integer()
    if version != _VERSION:
        raise _FaultError(f"the signature has version {version} of the format, and only {_VERSION} is known")
    blob, made_for, reserved, hash_name, signature = (reader.string() for _ in range(5))
    reader.finish()
    if made_for != namespace.encode("utf-8", "surrogatepass") or not made_for:
        raise _FaultError(f"the signature was made for {_shown(made_for)}, not for {namespace!r}")
    if reserved:
        raise _FaultError("the signature has an extension that is not known")
    if hash_name not in _HASHES:
        raise _FaultError(f"the signature names the hash {_shown(hash_name)}; only sha256 and sha512 are accepted")
    digest = _HASHES[hash_name](statement).digest()
    signed = _MAGIC + b"".join(map(_string, (made_for, b"", hash_name, digest)))
    key = _load_key(blob)
    _check(key, signature, signed)
    return key.text


def _strip_armor(armored: str) -> bytes:
    if len(armored) > _MAX_CHARACTERS:
        raise _FaultError(f"the signature is too long: {len(armored)} characters; none needs {_MAX_CHARACTERS}")
    lines = armored.removesuffix("\n").split("\n")
    if lines[0] != _BEGIN:
        raise _FaultError(f"it is not an SSH signature: it does not begin with a line {_BEGIN}")
    if armored.count("-----BEGIN") > 1:
        raise _FaultError("there are two signatures where one belongs")
    if _END not in lines:
        raise _FaultError(f"the signature is cut off: the line {_END} is missing")
    if lines[-1] != _END:
        raise _FaultError(f"something follows the signature, after the line {_END}")
    if not all(lines):
        raise _FaultError("the signature is damaged: there is an empty line in it")
    text = "".join(lines[1:-1])
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        raise _FaultError("the signature is damaged: it is not base64") from None
    # Else the bits that the last characters have to spare could be anything.
    if base64.b64encode(data).decode() != text:
        raise _FaultError("the signature is damaged: its base64 does not end as it should")
    return data


def _check(key: _Key, signature: bytes, signed: bytes) -> None:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    reader = _Reader(signature)
    algorithm, body = reader.string(), reader.string()
    if algorithm == b"ssh-rsa" and b"rsa-sha2-256" in key.checks:
        raise _FaultError("the signature uses RSA with SHA-1, which can be forged")
    if algorithm not in key.checks:
        raise _FaultError(f"the signature uses {_shown(algorithm)}, which is not accepted for its kind of key")
    if key.application is not None:
        signed = _read_touch(key.application, reader, signed)
    reader.finish()
    try:
        key.checks[algorithm](body, signed)
    except (InvalidSignature, ValueError):
        raise _FaultError("the signature does not fit: what it was made over was changed, or it is another's") from None
    except UnsupportedAlgorithm as error:
        raise _FaultError(f"the signature cannot be checked on this machine: {error}") from None


def _read_touch(application: bytes, reader: _Reader, signed: bytes) -> bytes:
    """Returns what a security key signs: its application, whether it was touched, a counter, and a hash."""
    flags, counter = reader.take(1), reader.take(4)
    if not flags[0] & _USER_PRESENT:
        raise _FaultError("nobody touched the security key when it signed")
    return hashlib.sha256(application).digest() + flags + counter + hashlib.sha256(signed).digest()


@lru_cache(maxsize=1024)
def _load_key(blob: bytes) -> _Key:
    # Kept: a registry has few keys and many signatures, and for RSA loading costs more than checking.
    from cryptography.exceptions import UnsupportedAlgorithm

    reader = _Reader(blob)
    kind = reader.string()
    load = _LOADERS.get(kind)
    if load is None:
        raise _FaultError(f"the signature is by a {_kind(kind)}, and such keys are not accepted")
    try:
        checks = load(reader)
    except ValueError:
        raise _FaultError(f"the signature is damaged: what should be its {_kind(kind)} is none") from None
    except UnsupportedAlgorithm as error:
        raise _FaultError(f"the signature cannot be checked on this machine: {error}") from None
    application = reader.string() if kind.startswith(b"sk-") else None
    reader.finish()
    return _Key(f"{kind.decode()} {base64.b64encode(blob).decode()}", checks, application)


def _load_ed25519(kind: bytes, reader: _Reader) -> Mapping[bytes, _Check]:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    return {kind: Ed25519PublicKey.from_public_bytes(reader.string()).verify}


def _load_ecdsa(kind: bytes, curve_name: bytes, reader: _Reader) -> Mapping[bytes, _Check]:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, utils

    curve, digest = {
        b"nistp256": (ec.SECP256R1, hashes.SHA256),
        b"nistp384": (ec.SECP384R1, hashes.SHA384),
        b"nistp521": (ec.SECP521R1, hashes.SHA512),
    }[curve_name]
    named, point = reader.string(), reader.string()
    if named != curve_name or not point.startswith(_UNCOMPRESSED):
        raise ValueError
    key = ec.EllipticCurvePublicKey.from_encoded_point(curve(), point)

    def check(body: bytes, signed: bytes) -> None:
        pair = _Reader(body)
        first, second = pair.number(), pair.number()
        pair.finish()
        key.verify(utils.encode_dss_signature(first, second), signed, ec.ECDSA(digest()))

    return {kind: check}


def _load_rsa(reader: _Reader) -> Mapping[bytes, _Check]:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    exponent, modulus = reader.number(), reader.number()
    smallest, largest = _RSA_BITS
    if not smallest <= modulus.bit_length() <= largest:
        bits = modulus.bit_length()
        raise _FaultError(f"the signature is by an RSA key of {bits} bits; {smallest} to {largest} are accepted")
    key = rsa.RSAPublicNumbers(exponent, modulus).public_key()

    def check(digest: hashes.HashAlgorithm, body: bytes, signed: bytes) -> None:
        key.verify(body, signed, padding.PKCS1v15(), digest)

    return {b"rsa-sha2-256": partial(check, hashes.SHA256()), b"rsa-sha2-512": partial(check, hashes.SHA512())}


_LOADERS: Mapping[bytes, Callable[[_Reader], Mapping[bytes, _Check]]] = {
    b"ssh-rsa": _load_rsa,
    **{kind: partial(_load_ed25519, kind) for kind in (b"ssh-ed25519", b"sk-ssh-ed25519@openssh.com")},
    **{
        kind: partial(_load_ecdsa, kind, curve)
        for kind, curve in (
            (b"ecdsa-sha2-nistp256", b"nistp256"),
            (b"ecdsa-sha2-nistp384", b"nistp384"),
            (b"ecdsa-sha2-nistp521", b"nistp521"),
            (b"sk-ecdsa-sha2-nistp256@openssh.com", b"nistp256"),
        )
    },
}


def _kind(kind: bytes) -> str:
    return f"certificate ({_shown(kind)})" if b"-cert-" in kind else f"{_shown(kind)} key"


def _shown(data: bytes) -> str:
    text = data.decode("utf-8", "backslashreplace")
    return repr(text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]}…")


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data
