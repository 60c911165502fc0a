"""SSH keys and signatures for tests: those of ssh-keygen, and those built field by field, well formed or not."""

from __future__ import annotations

import base64
import hashlib
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

BEGIN = "-----BEGIN SSH SIGNATURE-----"
END = "-----END SSH SIGNATURE-----"
CURVES = {"256": (ec.SECP256R1(), hashes.SHA256()), "384": (ec.SECP384R1(), hashes.SHA384()),
          "521": (ec.SECP521R1(), hashes.SHA512())}  # fmt: skip
APPLICATION = b"ssh:mreg"
PRESENT = 0x01


def string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def number(value: int) -> bytes:
    return string(value.to_bytes(value.bit_length() // 8 + 1, "big"))


def armor(blob: bytes) -> str:
    text = base64.b64encode(blob).decode()
    lines = [text[at : at + 70] for at in range(0, len(text), 70)]
    return "\n".join([BEGIN, *lines, END, ""])


def unarmor(armored: str) -> bytes:
    return base64.b64decode("".join(armored.splitlines()[1:-1]))


def signed_data(statement: bytes, namespace: bytes, *, hash_name: str = "sha512", reserved: bytes = b"") -> bytes:
    digest = hashlib.new(hash_name, statement).digest()
    return b"SSHSIG" + b"".join(map(string, (namespace, reserved, hash_name.encode(), digest)))


@dataclass(frozen=True)
class Key:
    """A private key whose signatures are built here."""

    blob: bytes
    sign: Callable[[bytes], bytes]
    """Gives the whole signature field, from the name of the algorithm on."""

    @property
    def text(self) -> str:
        kind = self.blob[4 : 4 + int.from_bytes(self.blob[:4], "big")]
        return f"{kind.decode()} {base64.b64encode(self.blob).decode()}"

    def envelope(
        self,
        statement: bytes,
        namespace: str,
        *,
        hash_name: str = "sha512",
        reserved: bytes = b"",
        version: int = 1,
    ) -> bytes:
        name = namespace.encode()
        signature = self.sign(signed_data(statement, name, hash_name=hash_name))
        head = b"SSHSIG" + version.to_bytes(4, "big")
        return head + b"".join(map(string, (self.blob, name, reserved, hash_name.encode(), signature)))


def ed25519_key() -> Key:
    private = ed25519.Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    kind = string(b"ssh-ed25519")
    return Key(kind + string(public), lambda data: kind + string(private.sign(data)))


def rsa_key(bits: int = 2048, algorithm: str = "rsa-sha2-512") -> Key:
    private = rsa.generate_private_key(65537, bits)
    numbers = private.public_key().public_numbers()
    digest = {"rsa-sha2-512": hashes.SHA512(), "rsa-sha2-256": hashes.SHA256(), "ssh-rsa": hashes.SHA1()}[algorithm]

    def sign(data: bytes) -> bytes:
        return string(algorithm.encode()) + string(private.sign(data, padding.PKCS1v15(), digest))

    return Key(string(b"ssh-rsa") + number(numbers.e) + number(numbers.n), sign)


def ecdsa_key(bits: str = "256") -> Key:
    curve, digest = CURVES[bits]
    private = ec.generate_private_key(curve)
    kind = string(f"ecdsa-sha2-nistp{bits}".encode())

    def sign(data: bytes) -> bytes:
        return kind + string(_pair(private.sign(data, ec.ECDSA(digest))))

    return Key(kind + string(f"nistp{bits}".encode()) + string(_point(private)), sign)


def sk_ed25519_key(flags: int = PRESENT, application: bytes = APPLICATION) -> Key:
    private = ed25519.Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    kind = string(b"sk-ssh-ed25519@openssh.com")

    def sign(data: bytes) -> bytes:
        touch, signed = _touch(data, flags, application)
        return kind + string(private.sign(signed)) + touch

    return Key(kind + string(public) + string(application), sign)


def sk_ecdsa_key(flags: int = PRESENT, application: bytes = APPLICATION) -> Key:
    private = ec.generate_private_key(ec.SECP256R1())
    kind = string(b"sk-ecdsa-sha2-nistp256@openssh.com")

    def sign(data: bytes) -> bytes:
        touch, signed = _touch(data, flags, application)
        return kind + string(_pair(private.sign(signed, ec.ECDSA(hashes.SHA256())))) + touch

    return Key(kind + string(b"nistp256") + string(_point(private)) + string(application), sign)


def _touch(data: bytes, flags: int, application: bytes) -> tuple[bytes, bytes]:
    touch = bytes([flags]) + (77).to_bytes(4, "big")
    return touch, hashlib.sha256(application).digest() + touch + hashlib.sha256(data).digest()


def _pair(der: bytes) -> bytes:
    first, second = utils.decode_dss_signature(der)
    return number(first) + number(second)


def _point(private: ec.EllipticCurvePrivateKey) -> bytes:
    return private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def make_key(path: Path, *options: str, passphrase: str = "") -> Path:
    """Makes a key with ssh-keygen, ed25519 unless told otherwise."""
    kind = options or ("-t", "ed25519")
    command = ["ssh-keygen", "-q", *kind, "-N", passphrase, "-C", "ada@example.com", "-f", str(path)]
    subprocess.run(command, check=True)
    return path


def public_key(path: Path) -> str:
    """Reads the public half of a key, without its comment."""
    return " ".join(path.with_name(f"{path.name}.pub").read_text().split()[:2])


def keygen_sign(key: Path, statement: bytes, namespace: str, *options: str) -> str:
    """Signs with ssh-keygen."""
    command = ["ssh-keygen", "-q", "-Y", "sign", "-n", namespace, *options, "-f", str(key)]
    return subprocess.run(command, input=statement, stdout=subprocess.PIPE, check=True).stdout.decode()


def keygen_verifies(folder: Path, statement: bytes, namespace: str, armored: str, *, key: str) -> bool:
    """Asks ssh-keygen whether a signature is good, and by a key."""
    signature, allowed = folder / "asked.sig", folder / "asked.allowed"
    signature.write_text(armored)
    allowed.write_text(f"ada@example.com {key}\n")
    command: Sequence[str] = ["ssh-keygen", "-q", "-Y", "verify", "-n", namespace, "-I", "ada@example.com"]
    command = [*command, "-f", str(allowed), "-s", str(signature)]
    return subprocess.run(command, input=statement, capture_output=True, check=False).returncode == 0
