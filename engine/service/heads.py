"""Signed heads: once a day, the ends of all chains of history under one hash and one signature, to be kept outside the house.

Whoever can write the whole database can compute whole new chains; against a head file that lies elsewhere that shows. A file lists
what has changed since the one before it, and the first of a month everything; so the ends of every day can be put together again.

    leaf       = "<instance> <seq> <head in hex>", of every instance that is there or archived, by number
    root       = hash of the tree over them (RFC 6962)
    statement  = what is signed (Ed25519): time, count, root, hash of the head file before
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import orjson

from engine import access, history, merkle
from engine.clock import first_id
from engine.errors import BadHeads, EngineError
from engine.feel import codec
from engine.model import Actor, Break, InstanceId, JobKind
from engine.service.runtime import Runtime
from engine.store import chain, jobs, keep, registers
from engine.store.copies import sync_folder
from engine.store.database import Session, micros
from engine.store.jobs import JobRow
from engine.store.keep import Stub

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

#: ``{instance: (seq, head)}``
Ends = Mapping[int, tuple[int, bytes]]
#: An instance whose number was given out so long before a signing is in the tables by then.
_UNDER_WAY = timedelta(hours=1)
_TICK = timedelta(milliseconds=1)


class HeadsNotSent(EngineError):
    """Head files could not be copied out of the house."""

    code = "heads_not_sent"
    status = 503
    zh = "链头文件已签名并保存，但未能送到 {place}：{reason}。修复后再运行 psmflow heads sign，会补送缺少的文件。"
    en = "The head file is signed and kept, but could not be brought to {place}: {reason}. Once that is mended, psmflow heads sign brings what is missing."


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """A head file. `ends`: what it lists, all (`is_full`) or what changed since `previous` (name, root, SHA-256); `gone`: what is
    no longer there; `sha256`: of the file."""

    name: str
    at: datetime
    count: int
    root: bytes
    previous: tuple[str, str, str] | None
    is_full: bool
    ends: Ends
    gone: tuple[int, ...]
    key: str
    signature: str
    sha256: str

    @property
    def statement(self) -> bytes:
        before = "-" if self.previous is None else f"{self.previous[1]} {self.previous[2]}"
        return f"psmflow heads 1\nat {self.at.isoformat()}\ncount {self.count}\nroot {self.root.hex()}\nprevious {before}\n".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadsChecked:
    """What `Heads.verify` found. `key`: by which the signature was checked; `key_is_own`: it is the one that lies in this house."""

    signing: Signing
    signature: bool
    key: str
    key_is_own: bool
    breaks: tuple[Break, ...]


def leaf(instance: int, seq: int, head: bytes) -> bytes:
    """Return the hash of the end of a chain as a leaf of the tree."""
    return merkle.leaf(f"{instance} {seq} {head.hex()}".encode())


def root_of(ends: Ends) -> bytes:
    return merkle.root(leaf(id, *ends[id]) for id in sorted(ends))


# ------------------------------------------------------------------------------------------------------------------- the files
def _dump(s: Signing) -> bytes:
    previous = None if s.previous is None else dict(zip(("file", "root", "sha256"), s.previous, strict=True))
    return json.dumps({
        "psmflow_heads": 1, "at": s.at.isoformat(), "count": s.count, "root": s.root.hex(), "previous": previous, "key": s.key,
        "signature": s.signature, "full": s.is_full, "gone": [str(id) for id in s.gone],
        "ends": [[str(id), seq, head.hex()] for id, (seq, head) in sorted(s.ends.items())],
    }, separators=(",", ":")).encode() + b"\n"  # fmt: skip


def read_heads(path: Path) -> Signing:
    """Return a head file as it stands there; nothing in it is checked.

    Raises:
        BadHeads
    """
    try:
        text = path.read_bytes()
        found = orjson.loads(text)
        if found["psmflow_heads"] != 1:
            raise ValueError("version")
        was = found["previous"]
        return Signing(
            name=path.name, at=datetime.fromisoformat(found["at"]), count=int(found["count"]), root=bytes.fromhex(found["root"]),
            previous=None if was is None else (str(was["file"]), str(was["root"]), str(was["sha256"])), is_full=bool(found["full"]),
            ends={int(id): (int(seq), bytes.fromhex(head)) for id, seq, head in found["ends"]}, gone=tuple(int(id) for id in found["gone"]),
            key=str(found["key"]), signature=str(found["signature"]), sha256=sha256(text).hexdigest(),
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadHeads(file=path.name, reason=str(error)) from error


def ends_at(path: Path) -> tuple[Signing, dict[int, tuple[int, bytes]]]:
    """Return a head file and every end at its time, put together from it and those before it in its folder.

    Raises:
        BadHeads: one is lacking, was changed, or the whole has another root than the file says.
    """
    asked = at = read_heads(path)
    files = [asked]
    while not at.is_full:
        if at.previous is None or "/" in at.previous[0]:
            raise BadHeads(file=at.name, reason="它之前的文件没有写明 (it does not name the file before it)")
        before = read_heads(path.with_name(at.previous[0]))
        if before.sha256 != at.previous[2]:
            raise BadHeads(file=before.name, reason=f"它与 {at.name} 中记录的 SHA-256 不符 (it is not the file that {at.name} names)")
        files.append(before)
        at = before
    ends: dict[int, tuple[int, bytes]] = {}
    for each in reversed(files):
        for id in each.gone:
            ends.pop(id, None)
        ends.update(each.ends)
    if len(ends) != asked.count or root_of(ends) != asked.root:
        raise BadHeads(file=asked.name, reason="其中的链头与所签的根不符 (the ends in it do not have the root that was signed)")
    return asked, ends


def read_public_key(text: str) -> Ed25519PublicKey:
    """Return a public key of 64 hex letters, or of a file that holds them.

    Raises:
        BadHeads: it is none.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # large: see `engine.service.vault`

    word = text.strip()
    try:
        if not re.fullmatch(r"[0-9a-fA-F]{64}", word):
            word = Path(word).read_text("ascii").split()[0]
        return Ed25519PublicKey.from_public_bytes(bytes.fromhex(word))
    except (OSError, ValueError, IndexError) as error:
        raise BadHeads(file=text, reason=f"不是公钥 (no public key: {error})") from error


def _hex(key: Ed25519PublicKey) -> str:
    return key.public_bytes_raw().hex()


# ----------------------------------------------------------------------------------------------------------------- the service
class Heads:
    """Signs the ends of all chains, brings the files out of the house, and compares the database with them."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._database = runtime.database
        self.folder = runtime.settings.data / "heads"

    # -- signing
    def public_key(self) -> str:
        """Return the public key in hex, made on first use: whoever keeps it can check signatures later."""
        return _hex(self._key().public_key())

    def _key(self) -> Ed25519PrivateKey:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        path = self._runtime.settings.data / "heads.key"
        if not path.exists():
            made = Ed25519PrivateKey.generate().private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            _put(path, made)
        key = serialization.load_pem_private_key(path.read_bytes(), None)
        assert isinstance(key, Ed25519PrivateKey)
        return key

    def files(self) -> tuple[Signing, ...]:
        """Return the head files in the house, the oldest first; one that cannot be read is left out."""
        found = list[Signing]()
        for path in sorted(self.folder.glob("*.json")):
            try:
                found.append(read_heads(path))
            except BadHeads:
                continue
        return tuple(found)

    def sign(self) -> tuple[Signing, tuple[Break, ...]]:
        """Write and sign a head file, and bring it, and what did not get there before, to where `heads_to` says.

        Returns:
            The file, and what is no more as the file before it had it: an instance that is gone, or whose chain became shorter or
            another; that file itself, when it cannot be read any more.

        Raises:
            HeadsNotSent: it is signed and kept, but could not be copied.
        """
        with self._locked():
            signing, breaks = self._sign()
        self._send()
        return signing, breaks

    def _sign(self) -> tuple[Signing, tuple[Break, ...]]:
        now = self._runtime.clock.now()
        last = max(self.folder.glob("*.json"), default=None)
        before: dict[int, tuple[int, bytes]] = {}
        previous: Signing | None = None
        torn = list[Break]()
        if last is not None:
            try:
                previous, before = ends_at(last)
            except BadHeads as error:  # begin again with everything; the gap shows
                torn = [_break(0, 0, "removed", error.text("zh"), error.text("en"))]
        if previous is not None:
            now = max(now, previous.at + _TICK)  # names sort by time, also when the clock was put back
        with self._database.snapshot() as session:
            ends = {id: (seq, bytes(head)) for id, seq, head in keep.heads(session)}
        is_full = previous is None or (previous.at.year, previous.at.month) != (now.year, now.month)
        key = self._key()
        unsigned = Signing(
            name=f"{now:%Y-%m-%dT%H-%M-%S}.{now.microsecond // 1000:03}Z.json", at=now, count=len(ends), root=root_of(ends),
            previous=None if previous is None else (previous.name, previous.root.hex(), previous.sha256), is_full=is_full,
            ends=ends if is_full else {id: end for id, end in ends.items() if before.get(id) != end},
            gone=() if is_full else tuple(sorted(before.keys() - ends.keys())), key=_hex(key.public_key()), signature="", sha256="",
        )  # fmt: skip
        signed = replace(unsigned, signature=key.sign(unsigned.statement).hex())
        _put(self.folder / signed.name, _dump(signed))
        with self._database.snapshot() as session:
            grown = (id for id in before if id not in ends or ends[id] != before[id])
            return read_heads(self.folder / signed.name), (*torn, *self._differing(session, ((id, *before[id]) for id in grown)))

    def daily(self) -> None:
        """Sign if nothing was signed today.

        Raises:
            HeadsNotSent
        """
        zone = ZoneInfo(self._runtime.settings.time_zone)
        last = max(self.folder.glob("*.json"), default=None)
        try:
            signed_at = None if last is None else read_heads(last).at
        except BadHeads:
            signed_at = None
        if signed_at is None or signed_at.astimezone(zone).date() < self._runtime.clock.now().astimezone(zone).date():
            self.sign()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    # -- out of the house
    def _send(self) -> None:
        for place in self._runtime.settings.heads_to:
            if place.startswith("/"):
                self._copy(Path(place))
            else:
                self._mail(place)

    def _copy(self, folder: Path) -> None:
        """Copy every head file that is not there yet; a share that is not mounted must not become a folder of this machine."""
        if not folder.is_dir():
            raise HeadsNotSent(place=folder, reason="文件夹不存在，或未挂载 (there is no such folder, or it is not mounted)")
        for path in sorted(self.folder.glob("*.json")):
            text, there = path.read_bytes(), folder / path.name
            try:
                if not there.exists():
                    _put(there, text, 0o644)
                elif there.read_bytes() != text:
                    raise HeadsNotSent(place=there, reason="那里的同名文件内容不同：两者之一被改动 (another file of this name is there: one of them was changed)")
            except OSError as error:
                raise HeadsNotSent(place=folder, reason=error.strerror or str(error)) from error

    def _mail(self, address: str) -> None:
        """Send the statement and the signature of the last file; the mail is a job and is tried again."""
        last = max(self.folder.glob("*.json"))
        signing = read_heads(last)
        body = (
            "请保存此邮件：它可证明流程历史此后是否被改动。\nKeep this mail: it tells later whether the history was changed.\n\n"
            f"{signing.statement.decode()}key {signing.key}\nsignature {signing.signature}\nfile {signing.name}\nsha256 {signing.sha256}\n"
        )
        now = micros(self._runtime.clock.now())
        job = JobRow(
            id=self._database.new_id(), kind=JobKind.NOTIFICATION.value, instance_id=None, token=None, process="", element="", type="mail",
            due_at=now, attempts=0, retries=8, backoff=30_000_000, fence=0,
            body=codec.dump({
                "channel": "mail", "recipients": [address], "once": signing.sha256, "to": {address: address}, "body": body,
                "subject": f"psmflow 链头签名 (signed heads) {signing.at:%Y-%m-%d} {signing.root.hex()[:16]}",
            }),
        )  # fmt: skip
        with self._database.writing() as tx:
            jobs.insert(tx, [job], held=False)

    # -- comparing
    def verify(self, path: Path, key: str | None = None) -> HeadsChecked:
        """Compare every instance with what was signed: each chain must still hold the signed end as it was, and be intact.

        Args:
            key: public key, in hex or in a file, that was kept elsewhere; else the one in this house, which an insider could have
                replaced together with the file.

        Raises:
            BadHeads
        """
        from cryptography.exceptions import InvalidSignature

        signing, ends = ends_at(path)
        public = read_public_key(key) if key is not None else self._key().public_key()
        try:
            public.verify(bytes.fromhex(signing.signature), signing.statement)
            is_signed = True
        except (InvalidSignature, ValueError):
            is_signed = False
        with self._database.snapshot() as session:
            breaks = [*self._differing(session, ((id, *end) for id, end in sorted(ends.items()))), *self._inserted(session, signing, ends)]
        return HeadsChecked(signing=signing, signature=is_signed, key=_hex(public), key_is_own=key is None, breaks=tuple(breaks))

    def _differing(self, session: Session, ends: Iterable[tuple[int, int, bytes]]) -> Iterator[Break]:
        """Give the instances whose chains do not hold the signed ends any more."""
        now = {id: (seq, bytes(head)) for id, seq, head in chain.heads(session, None)}
        of_registers = {id: (seq, head) for id, _name, seq, head in registers.heads(session)}
        archived: dict[str, dict[int, tuple[Stub, int, bytes]]] = {}
        for id, seq, head in ends:
            if id in now:
                told = judged(id, [history.Entry(*row) for row in chain.read(session, id)], now[id], seq, head)
                if told is not None:
                    yield told
            elif id in of_registers:
                told = judged(id, [history.Entry(*row) for row in registers.records(session, id)], of_registers[id], seq, head)
                if told is not None:
                    yield told
            elif (stub := keep.stub(session, id)) is not None:
                archived.setdefault(stub.file, {})[id] = stub, seq, head
            else:
                yield _break(id, 0, "removed", "实例已被删除，也没有归档登记。", "The instance was removed, and was not archived.")
        for file, wanted in archived.items():  # each file is read once
            try:
                for record in self._runtime.archives.records(file):
                    if record.id in wanted:
                        stub, seq, head = wanted.pop(record.id)
                        told = judged(record.id, list(record.entries), (stub.seq, bytes(stub.head)), seq, head)
                        if told is not None:
                            yield told
                zh, en = "实例不在其归档文件中。", "The instance is not in its archive file."
            except EngineError as error:
                zh, en = error.text("zh"), error.text("en")
            for id in wanted:
                yield _break(id, 0, "removed", zh, en)

    def _inserted(self, session: Session, signing: Signing, ends: Ends) -> Iterator[Break]:
        """Give the instances that say they began before the signing, and were not there."""
        before = first_id(signing.at - _UNDER_WAY)
        for id, _seq, _head in keep.heads(session):
            if id < before and id not in ends:
                yield _break(id, 0, "inserted", "签名时没有这个实例，编号却更早。", "It was not there when this was signed, although its number is older.")

    # -- proving
    def proof(self, actor: Actor, instance_id: InstanceId) -> bytes | None:
        """Return a line that proves, with the newest head file alone, that an instance is in it; None when nothing is signed yet, or
        it began later. It is appended to an export.

        Raises:
            AccessDenied
        """
        access.require(actor, "see variables")
        last = max(self.folder.glob("*.json"), default=None)
        if last is None:
            return None
        signing, ends = ends_at(last)
        if instance_id not in ends:
            return None
        ids = sorted(ends)
        index = ids.index(instance_id)
        path = merkle.path([leaf(id, *ends[id]) for id in ids], index)
        seq, head = ends[instance_id]
        return json.dumps({"psmflow_proof": {
            "heads": signing.name, "sha256": signing.sha256, "root": signing.root.hex(), "count": signing.count, "index": index, "seq": seq,
            "head": head.hex(), "path": [part.hex() for part in path],
        }}).encode() + b"\n"  # fmt: skip


def judged(id: int, entries: list[history.Entry], end: tuple[int, bytes], seq: int, head: bytes) -> Break | None:
    """Return how a chain differs from one that had the end `seq`, `head` once; None: it holds that end, and is intact."""
    kinds = {b.kind for b in history.verify(id, entries, *end)}
    signed = next((entry for entry in entries if entry.seq == seq), None)
    if signed is not None and signed.hash == head and not kinds:
        return None
    if kinds - {"tail"}:
        return _break(id, seq, "changed", f"签名时的 {seq} 条记录中有改动。", f"Something in the {seq} events that were signed was changed.")
    if end[0] < seq or (signed is None and (not entries or max(e.seq for e in entries) < seq)):
        return _break(id, seq, "cut", f"签名时有 {seq} 条，现在只有 {end[0]} 条：末尾被截去。", f"It had {seq} events, now {end[0]}: its end was cut off.")
    if signed is None or signed.hash != head:
        return _break(id, seq, "recomputed", "整条链被重新计算：它自身完好，但不是当时签名的那一条。",
                      "The whole chain was computed anew: it is sound in itself, but not the one that was signed.")  # fmt: skip
    return _break(id, seq, "changed", "签名之后的记录不完整。", "What was added after the signing is not intact.")


def _break(id: int, seq: int, kind: str, zh: str, en: str) -> Break:
    return Break(instance_id=InstanceId(id), seq=seq, kind=kind, zh=zh, en=en)


def _put(path: Path, text: bytes, mode: int = 0o600) -> None:
    """Write a file whole or not at all, on the disk when this returns; one that is there stays."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            pass  # somebody else was faster, and theirs counts
        except OSError:  # many a network share knows no links
            os.rename(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)
    with suppress(OSError):
        sync_folder(path.parent)
