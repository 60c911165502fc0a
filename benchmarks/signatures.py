"""Signatures by SSH keys, checked in process and by ``ssh-keygen -Y verify``, one process each.

    python benchmarks/signatures.py [--count 10000] [--sample 200] [--keys 10] [--kinds ed25519,rsa,ecdsa]

Each signature is over a statement of its own.  Prints CPU seconds (user + system, children included) of one
run on one machine; trust the ratio.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import resource
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

from mreg.core.history.statements import Namespace, encode_statement
from mreg.stores.signatures.sshsig import verify

NAME = Namespace.APPROVAL
WHO = "ada@example.com"

Private = ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
Sign = Callable[[bytes], bytes]
Signed = tuple[bytes, str, str]
"""A statement, its armored signature, and the public key."""


def main() -> None:
    """Measures each kind of key and prints its line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--sample", type=int, default=200)
    parser.add_argument("--keys", type=int, default=10)
    parser.add_argument("--kinds", default="ed25519,rsa,ecdsa")
    arguments = parser.parse_args()
    print(f"{arguments.count} signatures by {arguments.keys} keys; ssh-keygen checks {arguments.sample}; CPU seconds")
    for kind in arguments.kinds.split(","):
        signed = _sign_all(kind, arguments.count, arguments.keys)
        ours = _time(partial(_verify_here, signed)) / len(signed)
        with tempfile.TemporaryDirectory(prefix="mreg-bench-") as scratch:
            asked = [_lay_out(Path(scratch), number, each) for number, each in enumerate(signed[: arguments.sample])]
            theirs = _time(partial(_verify_there, asked)) / len(asked)
        print(
            f"{kind:8} in process {ours * len(signed):6.2f} s ({1 / ours:8.0f}/s)   ssh-keygen {1 / theirs:6.0f}/s"
            f"   {theirs / ours:5.0f} times faster"
        )


def _time(act: Callable[[], None]) -> float:
    started = _seconds()
    act()
    return _seconds() - started


def _seconds() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _verify_here(signed: Sequence[Signed]) -> None:
    for statement, armored, key in signed:
        proof = verify(statement, NAME.value, armored)
        if proof.key != key:
            raise SystemExit(f"a good signature was refused: {proof.fault}")


def _verify_there(asked: Sequence[tuple[list[str], bytes]]) -> None:
    for command, statement in asked:
        subprocess.run(command, input=statement, stdout=subprocess.DEVNULL, check=True)


def _lay_out(folder: Path, number: int, signed: Signed) -> tuple[list[str], bytes]:
    statement, armored, key = signed
    signature, allowed = folder / f"{number}.sig", folder / f"{number}.allowed"
    signature.write_text(armored)
    allowed.write_text(f"{WHO} {key}\n")
    command = ["ssh-keygen", "-q", "-Y", "verify", "-n", NAME.value, "-I", WHO]
    return [*command, "-f", str(allowed), "-s", str(signature)], statement


def _sign_all(kind: str, count: int, keys: int) -> list[Signed]:
    made = [_make_key(kind) for _ in range(keys)]
    return [_sign(*made[number % keys], number) for number in range(count)]


def _sign(public: str, sign: Sign, number: int) -> Signed:
    facts = {
        "model": f"model-{number:05}",
        "version": "v1.0.0",
        "stage": "production",
        "artifact": "sha256:" + "0" * 64,
    }
    statement = encode_statement(facts, NAME)
    name, blob = NAME.value.encode(), base64.b64decode(public.split()[1])
    digest = hashlib.sha512(statement).digest()
    signature = sign(b"SSHSIG" + b"".join(map(_string, (name, b"", b"sha512", digest))))
    whole = b"SSHSIG\0\0\0\1" + b"".join(map(_string, (blob, name, b"", b"sha512", signature)))
    text = base64.b64encode(whole).decode()
    lines = [text[at : at + 70] for at in range(0, len(text), 70)]
    return statement, "\n".join(["-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""]), public


def _make_key(kind: str) -> tuple[str, Sign]:
    private, sign = _MAKERS[kind]()
    forms = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    return private.public_key().public_bytes(*forms).decode(), sign


def _make_ed25519() -> tuple[ed25519.Ed25519PrivateKey, Sign]:
    private = ed25519.Ed25519PrivateKey.generate()
    return private, lambda data: _string(b"ssh-ed25519") + _string(private.sign(data))


def _make_rsa() -> tuple[rsa.RSAPrivateKey, Sign]:
    private = rsa.generate_private_key(65537, 3072)
    how = padding.PKCS1v15(), hashes.SHA512()
    return private, lambda data: _string(b"rsa-sha2-512") + _string(private.sign(data, *how))


def _make_ecdsa() -> tuple[ec.EllipticCurvePrivateKey, Sign]:
    private = ec.generate_private_key(ec.SECP256R1())
    how = ec.ECDSA(hashes.SHA256())
    return private, lambda data: _string(b"ecdsa-sha2-nistp256") + _string(_pair(private.sign(data, how)))


_MAKERS: dict[str, Callable[[], tuple[Private, Sign]]] = {
    "ed25519": _make_ed25519,
    "rsa": _make_rsa,
    "ecdsa": _make_ecdsa,
}


def _pair(der: bytes) -> bytes:
    return b"".join(_string(n.to_bytes(n.bit_length() // 8 + 1, "big")) for n in utils.decode_dss_signature(der))


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


if __name__ == "__main__":
    main()
