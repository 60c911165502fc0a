from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from hypothesis import given
from hypothesis import strategies as st

from mreg.core.settings.people import Proof, normalise_key
from mreg.stores.signatures.sshsig import verify
from tests.stores import ssh
from tests.stores.ssh import BEGIN, END, Key, armor, number, string, unarmor

STATEMENT = b'{"kind":"approval.mreg","model":"churn"}\n'
NAME = "approval.mreg"
CHANGED = "the signature does not fit: what it was made over was changed, or it is another's"

KEYS: dict[str, Callable[[], Key]] = {
    "ed25519": ssh.ed25519_key,
    "rsa-sha2-512": ssh.rsa_key,
    "rsa-sha2-256": lambda: ssh.rsa_key(3072, "rsa-sha2-256"),
    "ecdsa-256": lambda: ssh.ecdsa_key("256"),
    "ecdsa-384": lambda: ssh.ecdsa_key("384"),
    "ecdsa-521": lambda: ssh.ecdsa_key("521"),
    "sk-ed25519": ssh.sk_ed25519_key,
    "sk-ecdsa": ssh.sk_ecdsa_key,
}
needs_keygen = pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="compares with ssh-keygen")


@pytest.fixture(scope="module", params=KEYS)
def key(request: pytest.FixtureRequest) -> Key:
    return KEYS[request.param]()


@pytest.fixture(scope="module")
def blob(key: Key) -> bytes:
    return key.envelope(STATEMENT, NAME)


@pytest.fixture(scope="module")
def two() -> tuple[bytes, bytes]:
    """Signatures by two keys."""
    return ssh.ed25519_key().envelope(STATEMENT, NAME), ssh.ed25519_key().envelope(STATEMENT, NAME)


def fault(armored: str, *, statement: bytes = STATEMENT, namespace: str = NAME) -> str:
    """Gives the fault of a signature, which must have one."""
    proof = verify(statement, namespace, armored)
    assert not proof.key
    assert proof.fault
    assert "\n" not in proof.fault
    return proof.fault


def test_verify_good_signature_gives_the_key(key: Key, blob: bytes) -> None:
    assert verify(STATEMENT, NAME, armor(blob)) == Proof(key=key.text)
    assert verify(STATEMENT, NAME, armor(blob).rstrip("\n")) == Proof(key=key.text)
    assert normalise_key(f"{key.text} ada@example.com") == key.text


def test_verify_any_width_of_lines_is_one(key: Key, blob: bytes) -> None:
    lines = armor(blob).splitlines()
    assert verify(STATEMENT, NAME, "\n".join([BEGIN, "".join(lines[1:-1]), END])) == Proof(key=key.text)


@pytest.mark.parametrize("statement", [b"", b"\0", b"x" * 1_000_000])
def test_verify_statement_of_any_size(key: Key, statement: bytes) -> None:
    assert verify(statement, NAME, armor(key.envelope(statement, NAME))) == Proof(key=key.text)
    assert fault(armor(key.envelope(statement, NAME)), statement=statement + b"\n") == CHANGED


@needs_keygen
@pytest.mark.parametrize("hash_name", ["sha256", "sha512"])
@pytest.mark.parametrize(
    "options",
    ["-t ed25519", "-t rsa -b 2048", "-t rsa -b 3072", "-t ecdsa -b 256", "-t ecdsa -b 384", "-t ecdsa -b 521"],
)
def test_verify_agrees_with_ssh_keygen_on_its_signatures(tmp_path: Path, options: str, hash_name: str) -> None:
    path = ssh.make_key(tmp_path / "key", *options.split())
    armored = ssh.keygen_sign(path, STATEMENT, NAME, "-O", f"hashalg={hash_name}")
    assert hash_name.encode() in unarmor(armored)
    assert verify(STATEMENT, NAME, armored) == Proof(key=ssh.public_key(path))
    for statement, namespace in ((STATEMENT + b"\n", NAME), (STATEMENT, "transition.mreg")):
        fault(armored, statement=statement, namespace=namespace)
        assert not ssh.keygen_verifies(tmp_path, statement, namespace, armored, key=ssh.public_key(path))


@needs_keygen
@pytest.mark.parametrize("hash_name", ["sha256", "sha512"])
def test_ssh_keygen_agrees_with_verify_on_ours(tmp_path: Path, key: Key, hash_name: str) -> None:
    armored = armor(key.envelope(STATEMENT, NAME, hash_name=hash_name))
    assert verify(STATEMENT, NAME, armored) == Proof(key=key.text)
    assert ssh.keygen_verifies(tmp_path, STATEMENT, NAME, armored, key=key.text)


@needs_keygen
def test_reserved_field_is_refused_though_ssh_keygen_ignores_it(tmp_path: Path) -> None:
    key = ssh.ed25519_key()
    armored = armor(key.envelope(STATEMENT, NAME, reserved=b"anything"))
    assert ssh.keygen_verifies(tmp_path, STATEMENT, NAME, armored, key=key.text)
    assert fault(armored) == "the signature has an extension that is not known"


@needs_keygen
def test_rsa_of_1024_bits_is_refused_though_ssh_keygen_makes_it(tmp_path: Path) -> None:
    armored = ssh.keygen_sign(ssh.make_key(tmp_path / "key", "-t", "rsa", "-b", "1024"), STATEMENT, NAME)
    assert fault(armored) == "the signature is by an RSA key of 1024 bits; 2048 to 16384 are accepted"


def test_each_byte_changed_is_found(blob: bytes) -> None:
    for at in range(len(blob)):
        for bits in (0x01, 0x80, 0xFF):
            fault(armor(blob[:at] + bytes([blob[at] ^ bits]) + blob[at + 1 :]))


def test_each_byte_lost_or_added_is_found(blob: bytes) -> None:
    for at in range(len(blob)):
        fault(armor(blob[:at]))
        fault(armor(blob[:at] + blob[at + 1 :]))
        fault(armor(blob[:at] + b"\0" + blob[at:]))
        fault(armor(blob[:at] + blob[at : at + 1] + blob[at:]))
    fault(armor(blob + b"\0"))


def test_each_character_changed_or_cut_is_found(blob: bytes) -> None:
    text = armor(blob).rstrip("\n")
    for at, was in enumerate(text):
        fault(text[:at])
        for now in {"A", "=", " ", "\n", "\r", "é", "\udc80", "-"} - {was}:
            fault(f"{text[:at]}{now}{text[at + 1 :]}")


@given(data=st.data())
def test_any_mixture_of_two_signatures_is_found(two: tuple[bytes, bytes], data: st.DataObject) -> None:
    first, second = two
    cuts = data.draw(st.tuples(*[st.integers(0, len(first))] * 2).map(sorted))
    mixed = first[: cuts[0]] + second[cuts[0] : cuts[1]] + first[cuts[1] :]
    if mixed not in two:
        fault(armor(mixed))


@given(st.one_of(st.text(), st.text(st.characters(codec=None)), st.text().map(lambda text: f"{BEGIN}\n{text}\n{END}")))
def test_any_text_is_borne(text: str) -> None:
    fault(text)


@given(st.one_of(st.binary(), st.binary().map(lambda data: b"SSHSIG\0\0\0\1" + data)))
def test_any_bytes_are_borne(data: bytes) -> None:
    fault(armor(data))


@given(st.lists(st.binary(max_size=80), min_size=5, max_size=5), st.sampled_from(list(KEYS)))
def test_any_fields_are_borne(fields: list[bytes], kind: str) -> None:
    names = {"ed25519": b"ssh-ed25519", "sk-ed25519": b"sk-ssh-ed25519@openssh.com"}
    name = names.get(kind, b"ssh-rsa" if kind.startswith("rsa") else b"ecdsa-sha2-nistp256")
    blob = string(name) + b"".join(map(string, fields[:3]))
    rest = (blob, NAME.encode(), b"", b"sha512", string(name) + string(fields[3]) + fields[4])
    fault(armor(b"SSHSIG\0\0\0\1" + b"".join(map(string, rest))))


def test_other_statement_is_found(blob: bytes) -> None:
    assert fault(armor(blob), statement=STATEMENT.replace(b"churn", b"fraud")) == CHANGED
    assert fault(armor(blob), statement=b"") == CHANGED


def test_other_key_is_found(key: Key, blob: bytes) -> None:
    other = Key(ssh.ed25519_key().blob, key.sign)
    text = fault(armor(other.envelope(STATEMENT, NAME)))
    assert text == CHANGED or text.endswith("which is not accepted for its kind of key")
    assert verify(STATEMENT, NAME, armor(blob)).key == key.text


@pytest.mark.parametrize(
    "namespace",
    [
        "transition.mreg",
        "git",
        "file",
        "approval.mre",
        "approval.mreg.",
        "Approval.mreg",
        "approval.mreg\0",
        "",
        "\ud800",
    ],
)
def test_namespace_that_differs_is_found(blob: bytes, namespace: str) -> None:
    assert fault(armor(blob), namespace=namespace) == f"the signature was made for {NAME!r}, not for {namespace!r}"


def test_namespace_written_over_is_found() -> None:
    blob = ssh.ed25519_key().envelope(STATEMENT, "transition.mreg")
    assert fault(armor(blob.replace(string(b"transition.mreg"), string(NAME.encode())))) == CHANGED


@pytest.mark.parametrize("namespace", ["", "gi\nt", "x" * 3000, "\u202egit"])
def test_namespace_of_any_form_is_shown_in_one_short_line(namespace: str) -> None:
    text = fault(armor(ssh.ed25519_key().envelope(STATEMENT, namespace)))
    assert text.startswith("the signature was made for '")
    assert text.isprintable()
    assert len(text) < 120


def test_namespace_that_is_empty_is_never_right() -> None:
    blob = ssh.ed25519_key().envelope(STATEMENT, "")
    assert fault(armor(blob), namespace="") == "the signature was made for '', not for ''"


def test_hash_that_is_weak_or_unknown_is_refused() -> None:
    for name in ("md5", "sha1", "sha384"):
        text = fault(armor(ssh.ed25519_key().envelope(STATEMENT, NAME, hash_name=name)))
        assert text == f"the signature names the hash '{name}'; only sha256 and sha512 are accepted"


@pytest.mark.parametrize("version", [0, 2, 0xFFFFFFFF])
def test_version_that_is_unknown_is_refused(version: int) -> None:
    text = fault(armor(ssh.ed25519_key().envelope(STATEMENT, NAME, version=version)))
    assert text == f"the signature has version {version} of the format, and only 1 is known"


def test_rsa_with_sha1_is_refused() -> None:
    blob = ssh.rsa_key(2048, "rsa-sha2-256").envelope(STATEMENT, NAME)
    renamed = blob.replace(string(b"rsa-sha2-256"), string(b"ssh-rsa"))
    shorter = renamed.replace((12 + 4 + 4 + 256).to_bytes(4, "big"), (7 + 4 + 4 + 256).to_bytes(4, "big"))
    assert fault(armor(shorter)) == "the signature uses RSA with SHA-1, which can be forged"


def test_rsa_key_too_large_is_refused() -> None:
    blob = string(b"ssh-rsa") + number(65537) + number((1 << 16384) + 1)
    text = fault(armor(_constant(blob, string(b"rsa-sha2-512") + string(b"x")).envelope(STATEMENT, NAME)))
    assert text == "the signature is by an RSA key of 16385 bits; 2048 to 16384 are accepted"


@pytest.mark.parametrize(
    ("exponent", "modulus"),
    [(0, 0), (1, (1 << 2048) - 1), (2, (1 << 2048) - 1), (3, 1 << 2047), (1 << 2049, 1 << 2048)],
)
def test_rsa_key_that_is_none_is_refused(exponent: int, modulus: int) -> None:
    blob = string(b"ssh-rsa") + number(exponent) + number(modulus)
    for signature in (b"\0" * 256, b"\1" * 256, b"x"):
        fault(armor(_constant(blob, string(b"rsa-sha2-512") + string(signature)).envelope(STATEMENT, NAME)))


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (b"ssh-dss", "the signature is by a 'ssh-dss' key, and such keys are not accepted"),
        (
            b"ssh-ed25519-cert-v01@openssh.com",
            "the signature is by a certificate ('ssh-ed25519-cert-v01@openssh.com'), and such keys are not accepted",
        ),
        (b"", "the signature is by a '' key, and such keys are not accepted"),
        (b"\xff\n", r"the signature is by a '\\xff\n' key, and such keys are not accepted"),
    ],
)
def test_kind_of_key_that_is_not_accepted(kind: bytes, text: str) -> None:
    key = ssh.ed25519_key()
    blob = key.blob.replace(string(b"ssh-ed25519"), string(kind))
    assert fault(armor(Key(blob, key.sign).envelope(STATEMENT, NAME))) == text


@needs_keygen
def test_certificate_of_ssh_keygen_is_not_accepted(tmp_path: Path) -> None:
    authority, path = ssh.make_key(tmp_path / "authority"), ssh.make_key(tmp_path / "key")
    subprocess.run(["ssh-keygen", "-q", "-s", authority, "-I", "ada", "-n", "ada", f"{path}.pub"], check=True)
    armored = ssh.keygen_sign(tmp_path / "key-cert.pub", STATEMENT, NAME)
    assert fault(armored).startswith("the signature is by a certificate (")


@pytest.mark.parametrize("make", [ssh.sk_ed25519_key, ssh.sk_ecdsa_key])
@pytest.mark.parametrize(
    ("flags", "is_good"), [(0x00, False), (0x04, False), (0x80, False), (0x01, True), (0x05, True)]
)
def test_security_key_must_have_been_touched(make: Callable[[int], Key], flags: int, is_good: bool) -> None:
    key = make(flags)
    proof = verify(STATEMENT, NAME, armor(key.envelope(STATEMENT, NAME)))
    assert proof == (Proof(key.text) if is_good else Proof(fault="nobody touched the security key when it signed"))


@pytest.mark.parametrize("make", [ssh.sk_ed25519_key, ssh.sk_ecdsa_key])
def test_security_key_bound_to_another_application_is_another_key(make: Callable[..., Key]) -> None:
    key = make(application=b"ssh:")
    blob = key.blob.replace(string(b"ssh:"), string(b"ssh:mreg"))
    assert fault(armor(Key(blob, key.sign).envelope(STATEMENT, NAME))) == CHANGED


@pytest.mark.parametrize(
    ("plain", "sk"), [(ssh.ed25519_key, "sk-ssh-ed25519"), (ssh.ecdsa_key, "sk-ecdsa-sha2-nistp256")]
)
def test_key_in_a_file_does_not_pass_for_a_security_key(plain: Callable[[], Key], sk: str) -> None:
    key = plain()
    kind = f"{sk}@openssh.com".encode()
    _, rest = _split(key.blob)
    posing = Key(
        string(kind) + rest + string(b"ssh:"), lambda data: string(kind) + _split(key.sign(data))[1] + b"\1\0\0\0\0"
    )
    assert fault(armor(posing.envelope(STATEMENT, NAME))) == CHANGED


def test_key_with_more_behind_it_is_refused(key: Key) -> None:
    text = fault(armor(Key(key.blob + b"\0", key.sign).envelope(STATEMENT, NAME)))
    assert text == "the signature is damaged: 1 bytes in it are out of place"


def test_signature_with_more_behind_it_is_refused(key: Key) -> None:
    text = fault(armor(Key(key.blob, lambda data: key.sign(data) + b"\0").envelope(STATEMENT, NAME)))
    assert text == "the signature is damaged: 1 bytes in it are out of place"


@pytest.mark.parametrize("prefix", [b"\0", b"\0\0"])
def test_rsa_key_in_another_spelling_is_refused(prefix: bytes) -> None:
    key = ssh.rsa_key()
    blob = key.blob.replace(number(65537), string(prefix + b"\1\0\1"))
    text = fault(armor(Key(blob, key.sign).envelope(STATEMENT, NAME)))
    assert text == "the signature is damaged: a number in it is not written as it should be"


@pytest.mark.parametrize("change", [lambda n: b"\0" + n, lambda n: n[1:] if n[0] == 0 else b"\x80" + n, lambda _: b""])
def test_ecdsa_signature_in_another_spelling_is_refused(change: Callable[[bytes], bytes]) -> None:
    key = ssh.ecdsa_key()

    def sign(data: bytes) -> bytes:
        kind, rest = _split(key.sign(data))
        pair, _ = _split(rest)
        first, second = _split(pair)
        return string(kind) + string(string(change(first)) + second)

    fault(armor(Key(key.blob, sign).envelope(STATEMENT, NAME)))


@pytest.mark.parametrize("bits", ["256", "384", "521"])
def test_ecdsa_numbers_out_of_range_are_refused(bits: str) -> None:
    key = ssh.ecdsa_key(bits)
    kind = string(f"ecdsa-sha2-nistp{bits}".encode())
    for first, second in ((0, 0), (1, 0), (1, 1), (1 << 600, 1), (1, 1 << 20_000)):
        forged = _constant(key.blob, kind + string(number(first) + number(second)))
        fault(armor(forged.envelope(STATEMENT, NAME)))


def test_ecdsa_point_in_short_form_or_off_the_curve_is_refused() -> None:
    key = ssh.ecdsa_key()
    point = key.blob[-65:]
    short = bytes([2 + point[-1] % 2]) + point[1:33]
    for other in (short, b"\0", b"", b"\4" + point[1:33], point[:-1] + bytes([point[-1] ^ 1]), point + b"\0"):
        blob = key.blob[:-69] + string(other)
        text = fault(armor(Key(blob, key.sign).envelope(STATEMENT, NAME)))
        assert text == "the signature is damaged: what should be its 'ecdsa-sha2-nistp256' key is none"


def test_ecdsa_key_on_a_curve_that_its_kind_does_not_name_is_refused() -> None:
    key = ssh.ecdsa_key()
    blob = key.blob.replace(string(b"nistp256"), string(b"nistp384"))
    assert "is none" in fault(armor(Key(blob, key.sign).envelope(STATEMENT, NAME)))


def test_ecdsa_signature_has_a_twin_that_is_as_good() -> None:
    # Not wished for: it is why nothing may take a signature for the only one over a statement.
    key = ssh.ecdsa_key()
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

    def sign(data: bytes) -> bytes:
        kind, rest = _split(key.sign(data))
        first, second = (_split(pair := _split(rest)[0])[0], _split(_split(pair)[1])[0])
        return string(kind) + string(string(first) + number(order - int.from_bytes(second, "big")))

    assert verify(STATEMENT, NAME, armor(Key(key.blob, sign).envelope(STATEMENT, NAME))) == Proof(key.text)


def test_ed25519_signature_has_no_twin() -> None:
    key = ssh.ed25519_key()
    order = (1 << 252) + 27742317777372353535851937790883648493

    def sign(data: bytes) -> bytes:
        whole = key.sign(data)
        scalar = int.from_bytes(whole[-32:], "little") + order
        return whole[:-32] + scalar.to_bytes(32, "little")

    assert fault(armor(Key(key.blob, sign).envelope(STATEMENT, NAME))) == CHANGED


@pytest.mark.parametrize("length", [0, 1, 31, 33, 64])
def test_ed25519_parts_of_another_length_are_refused(length: int) -> None:
    key = ssh.ed25519_key()
    blob = string(b"ssh-ed25519") + string(b"\1" * length)
    text = fault(armor(Key(blob, key.sign).envelope(STATEMENT, NAME)))
    assert text == "the signature is damaged: what should be its 'ssh-ed25519' key is none"
    short = _constant(key.blob, string(b"ssh-ed25519") + string(b"\1" * length))
    assert fault(armor(short.envelope(STATEMENT, NAME))) == CHANGED


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda _: "", f"it is not an SSH signature: it does not begin with a line {BEGIN}"),
        (lambda _: "planned", f"it is not an SSH signature: it does not begin with a line {BEGIN}"),
        (lambda good: "\n" + good, f"it is not an SSH signature: it does not begin with a line {BEGIN}"),
        (lambda good: " " + good, f"it is not an SSH signature: it does not begin with a line {BEGIN}"),
        (lambda good: "\ufeff" + good, f"it is not an SSH signature: it does not begin with a line {BEGIN}"),
        (
            lambda good: good.replace("\n", "\r\n"),
            f"it is not an SSH signature: it does not begin with a line {BEGIN}",
        ),
        (
            lambda good: good.replace("SSH SIGNATURE", "PGP SIGNATURE"),
            f"it is not an SSH signature: it does not begin with a line {BEGIN}",
        ),
        (lambda good: good + good, "there are two signatures where one belongs"),
        (lambda good: good + BEGIN, "there are two signatures where one belongs"),
        (lambda good: good.replace(END, END + BEGIN), "there are two signatures where one belongs"),
        (lambda good: good.replace(END, ""), f"the signature is cut off: the line {END} is missing"),
        (lambda _: BEGIN, f"the signature is cut off: the line {END} is missing"),
        (lambda good: good.replace("\n" + END, END), f"the signature is cut off: the line {END} is missing"),
        (lambda good: good + "\n", f"something follows the signature, after the line {END}"),
        (lambda good: good + "x", f"something follows the signature, after the line {END}"),
        (lambda good: good.replace(END, f"{END}\n{END}"), "the signature is damaged: it is not base64"),
        (lambda good: good.replace("\n" + END, "\n\n" + END), "the signature is damaged: there is an empty line in it"),
        (lambda good: good.replace("\n" + END, " \n" + END), "the signature is damaged: it is not base64"),
        (lambda good: good.replace("\n" + END, "\t\n" + END), "the signature is damaged: it is not base64"),
        (lambda good: good.replace("\n" + END, "A\n" + END), "the signature is damaged: it is not base64"),
        (lambda _: f"{BEGIN}\n{END}", "the signature is cut off, or its parts do not fit together"),
        (lambda _: armor(b"GNUSIG" + b"\0" * 40), "it is not an SSH signature, though it is wrapped like one"),
    ],
)
def test_wrapping_that_is_wrong_says_what(two: tuple[bytes, bytes], change: Callable[[str], str], text: str) -> None:
    assert fault(change(armor(two[0]))) == text


def test_base64_with_loose_bits_is_refused() -> None:
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    key = ssh.ed25519_key()
    tried = 0
    for length in (1, 2, 3):
        good = armor(key.envelope(STATEMENT, "n" * length))
        head, last, tail = good.rpartition("\n" + END)
        body = head.rstrip("=")
        if body == head:
            continue
        tried += 1
        loose = digits[digits.index(body[-1]) + 1]
        bad = f"{body[:-1]}{loose}{'=' * (len(head) - len(body))}{last}{tail}"
        assert unarmor(bad) == unarmor(good)
        text = fault(bad, namespace="n" * length)
        assert text == "the signature is damaged: its base64 does not end as it should"
    assert tried == 2


@pytest.mark.parametrize("size", [16 * 1024 + 1, 20_000_000])
def test_signature_too_long_is_not_looked_at(size: int) -> None:
    text = f"the signature is too long: {size} characters; none needs 16384"
    assert fault("A" * size) == text
    assert fault(f"{BEGIN}\n".ljust(size, "A")) == text


@pytest.mark.parametrize("fails", ["load", "check"])
def test_kind_that_this_openssl_lacks_is_a_fault(fails: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Lacking:
        @classmethod
        def from_public_bytes(cls, _: bytes) -> Lacking:
            if fails == "load":
                raise UnsupportedAlgorithm("ed25519 is not supported")
            return cls()

        def verify(self, *_: bytes) -> None:
            raise UnsupportedAlgorithm("ed25519 is not supported")

    monkeypatch.setattr("cryptography.hazmat.primitives.asymmetric.ed25519.Ed25519PublicKey", Lacking)
    key = _constant(string(b"ssh-ed25519") + string(b"\2" * 32), string(b"ssh-ed25519") + string(b"\2" * 64))
    text = fault(armor(key.envelope(STATEMENT, NAME)))
    assert text == "the signature cannot be checked on this machine: ed25519 is not supported"


def test_lengths_that_lie_are_found() -> None:
    for length in (0, 1, 0x7FFFFFFF, 0xFFFFFFFF):
        fault(armor(b"SSHSIG\0\0\0\1" + length.to_bytes(4, "big") + b"x" * 100))


def _constant(blob: bytes, signature: bytes) -> Key:
    """A key that says the same to everything."""
    return Key(blob, lambda _: signature)


def _split(data: bytes) -> tuple[bytes, bytes]:
    """Takes one string off the front."""
    end = 4 + int.from_bytes(data[:4], "big")
    return data[4:end], data[end:]
