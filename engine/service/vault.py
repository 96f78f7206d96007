"""Envelopes of sealed prices, and the keys that close and open them. Knows no tables and no processes.

    fingerprint = SHA-256(salt of 16 bytes + canonical JSON of the value); the salt lies in the envelope
    envelope    = nonce of 12 bytes + AES-256-GCM(salt + length of the value in 4 bytes + value + zeros up to a multiple of 4,096)

Each field of an instance has a key of its own, which is kept encrypted with the installation's. Every encryption is bound to the
instance, field, version and fingerprint: an envelope that was put into another's place does not open.
"""

from __future__ import annotations

import base64
import binascii
import os
import tempfile
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from engine.clock import salt
from engine.errors import EngineError
from engine.feel import codec
from engine.model import Value

_BLOCK, _SALT, _NONCE, _SIZE = 4096, 16, 12, 4


class SealingKeyWrong(EngineError):
    """The key file is not the one that the prices of this installation are sealed with."""

    code = "sealing_key"
    status = 503
    zh = "密封报价的密钥文件 {file} {reason}。请系统管理员放回原来的密钥文件（PSMFLOW_SEALING_KEY_FILE），权限 600。"
    en = "The key file of sealed prices {file} {reason_en}. Put the file of before back (PSMFLOW_SEALING_KEY_FILE), mode 600."


class SealBroken(EngineError):
    """An envelope does not hold what its fingerprint in the history says."""

    code = "seal_broken"
    status = 409
    zh = "密封报价“{field}”第 {number} 版与历史中的指纹不符或已被改动，不能开封。请保留现场，联系合规专员与审计员核查。"
    en = "Version {number} of the sealed price “{field}” is not what its fingerprint in the history says; it was not opened. Keep everything as it is and call compliance and the auditor."


class Vault:
    """Closes and opens envelopes. Knows the installation's key; knows no tables."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def key(self, known: str | None) -> tuple[bytes, str]:
        """Return the installation's key and its id; it is made on first use.

        Args:
            known: id of the key that prices were sealed with before; None: none was.

        Raises:
            SealingKeyWrong: it is gone, another one, or readable by others than its owner.
        """
        if known is None and not self.path.exists():
            self._make()
        try:
            with self.path.open("rb") as file:
                mode, text = os.fstat(file.fileno()).st_mode, file.read(200)
        except FileNotFoundError:
            raise self._wrong("不存在", "is not there") from None
        except OSError as error:
            raise self._wrong(f"无法读取（{error.strerror}）", f"cannot be read ({error.strerror})") from error
        if mode & 0o077:
            raise self._wrong(f"的权限是 {mode & 0o777:o}，其他用户也能读", f"has the mode {mode & 0o777:o}; others can read it")
        try:
            key = base64.b64decode(text.strip(), validate=True)
        except binascii.Error:
            key = b""
        if len(key) != 32:
            raise self._wrong("的内容不是密钥", "holds no key")
        id = sha256(b"psmflow sealing key " + key).hexdigest()[:16]
        if known not in (None, id):
            raise self._wrong("不是本系统封存报价时所用的密钥", "is not the key that the prices were sealed with")
        return key, id

    def _wrong(self, reason: str, reason_en: str) -> SealingKeyWrong:
        return SealingKeyWrong(file=self.path, reason=reason, reason_en=reason_en)

    def _make(self) -> None:
        """Write a new key, whole or not at all; of several processes that begin together one makes it."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=self.path.parent, prefix=".sealing-")  # mode 600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(base64.b64encode(_new_key()) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileExistsError):
                os.link(temporary, self.path)
        finally:
            Path(temporary).unlink(missing_ok=True)


def make_key(installation: bytes, instance_id: int, field: str) -> tuple[bytes, bytes]:
    """Return a new key of a field, and the same key encrypted with the installation's."""
    own = _new_key()
    return own, _encrypt(installation, own, _of_key(instance_id, field))


def unwrap(installation: bytes, wrapped: bytes | None, instance_id: int, field: str, number: int) -> bytes:
    """Return the key of a field.

    Raises:
        SealBroken: it is gone or was changed.
    """
    return _decrypt(installation, wrapped or b"", _of_key(instance_id, field), field, number)


def close(own: bytes, instance_id: int, field: str, number: int, value: Value) -> tuple[str, bytes]:
    """Return the fingerprint of a value, in hex, and the envelope that holds it."""
    mine, canonical = salt(), codec.dump(value)
    plain = mine + len(canonical).to_bytes(_SIZE, "big") + canonical
    plain += bytes(-len(plain) % _BLOCK)  # the size of an envelope must not tell that of a price
    fingerprint = sha256(mine + canonical).hexdigest()
    return fingerprint, _encrypt(own, plain, _of_envelope(instance_id, field, number, fingerprint))


def open_envelope(own: bytes, envelope: bytes, instance_id: int, field: str, number: int, fingerprint: str) -> Value:
    """Return the value in an envelope.

    Raises:
        SealBroken: it is not what was sealed with this fingerprint.
    """
    plain = _decrypt(own, envelope, _of_envelope(instance_id, field, number, fingerprint), field, number)
    begin = _SALT + _SIZE
    canonical = plain[begin : begin + int.from_bytes(plain[_SALT:begin], "big")]
    if sha256(plain[:_SALT] + canonical).hexdigest() != fingerprint:
        raise SealBroken(field=field, number=number)
    return codec.load(canonical)


# The cipher's library takes 9 MB of every process that imports it: it is loaded where a price is sealed or opened.
def _new_key() -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM.generate_key(256)


def _encrypt(key: bytes, plain: bytes, about: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = salt()[:_NONCE]
    return nonce + AESGCM(key).encrypt(nonce, plain, about)


def _decrypt(key: bytes, closed: bytes, about: bytes, field: str, number: int) -> bytes:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        return AESGCM(key).decrypt(closed[:_NONCE], closed[_NONCE:], about)
    except (InvalidTag, ValueError):  # changed, or cut short
        raise SealBroken(field=field, number=number) from None


def _of_key(instance_id: int, field: str) -> bytes:
    return f"psmflow sealed key 1\n{instance_id}\n{field}".encode()


def _of_envelope(instance_id: int, field: str, number: int, fingerprint: str) -> bytes:
    return f"psmflow sealed price 1\n{instance_id}\n{field}\n{number}\n{fingerprint}".encode()
