"""What an erasure takes out of texts, and what it has to leave: pure, for the database and for archive files alike.

A commitment covers a payload as a whole. So of a payload that holds something to be erased everything goes, and what is left of it
is written into the event that tells of the erasure (`PayloadsErased.kept`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from engine import events as e
from engine import history
from engine.errors import EngineError
from engine.events import Recorded
from engine.model import ERASED
from engine.service.sight import DATA

#: Parts of payloads that quote data in sentences.
_SENTENCES = frozenset({"reason", "subject", "message", "name", "properties"})
#: Open parts of events, which the chain covers: they stay as long as the chain does.
_OPEN = ("name", "business_key", "outcome", "correlation_key")


class NothingToErase(EngineError):
    code = "nothing_to_erase"
    status = 422
    zh = "{id} 中没有要清除的内容：{what}。请核对字段名和文件编号。"
    en = "There is nothing of the kind in {id}: {what}. Check the names of the fields and the numbers of the files."


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """A place where something stays that was to be erased, and why, in both languages."""

    zh: str
    en: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be erased: `fields` by name, wherever they are; `documents` by id; or `everything` that people typed."""

    fields: frozenset[str] = frozenset()
    documents: frozenset[int] = frozenset()
    everything: bool = False


@dataclass(slots=True, kw_only=True)
class Erasure:
    """What becomes of one instance.

    Attributes:
        entries: those whose payloads change, as they are after it.
        seqs: of the events whose payloads go; `kept`: ``{seq: what is left of its payload}``.
        texts: what stood in the erased fields and is long enough to be looked for in sentences.
        hashes: SHA-256 of the bytes of erased files.
    """

    entries: list[history.Entry] = field(default_factory=list)
    seqs: tuple[int, ...] = ()
    kept: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    texts: frozenset[str] = frozenset()
    documents: frozenset[int] = frozenset()
    hashes: frozenset[str] = frozenset()
    left: list[Left] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        return not (self.seqs or self.documents)

    def cleaned(self, text: str) -> str:
        """Return a sentence without what was erased."""
        return without_texts(text, self.texts)


def plan(
    instance_id: int, entries: Sequence[history.Entry], wish: Wish, files: Mapping[int, tuple[str, str]] = MappingProxyType({})
) -> Erasure:
    """Return what an erasure does to the history of an instance, or to what the chain of a register says of an entry.

    Args:
        files: ``{number: (name, SHA-256)}`` of files that no event attached.
    """
    recorded = history.restored(r for entry in entries for r in history.unseal(instance_id, entry))
    there = {seq for entry in entries for seq in history.payloads(entry)}
    attached = {r.event.document: r.event for r in recorded if isinstance(r.event, e.DocumentAttached)}
    known = {**files, **{d: (event.name, event.sha256) for d, event in attached.items()}}
    documents = frozenset(wish.documents) & known.keys()
    found = Erasure(documents=documents, hashes=frozenset(known[d][1] for d in documents))
    if wish.everything:
        found.seqs = tuple(sorted(r.seq for r in recorded if r.seq in there and _was_typed(r)))
        # why something was erased before is told on, what it had left is not
        found.kept = {str(r.seq): {"reason": r.event.reason} for r in recorded if r.seq in found.seqs and isinstance(r.event, e.PayloadsErased)}
    else:
        _choose(found, recorded, there, wish.fields, documents, {known[d][0] for d in documents})
    gone = set(found.seqs)
    found.entries = [new for entry in entries if (new := history.without(entry, gone)) is not entry]
    return found


def _was_typed(recorded: Recorded) -> bool:
    match recorded.event:
        case e.PayloadsErased(kept=kept):
            return bool(kept)
        case e.LegalHoldPlaced() | e.LegalHoldLifted():
            return False
    return True


def _choose(
    found: Erasure, recorded: Sequence[Recorded], there: set[int], names: frozenset[str], documents: frozenset[int], file_names: set[str]
) -> None:
    contents = {r.seq: {name: getattr(r.event, name) for name in r.event.payload} for r in recorded if r.event.payload}
    texts, short = set[str](), 0
    for payload in contents.values():
        for value in _values_of(payload, names):
            for text in _leaves(value):
                if _is_telling(text):
                    texts.add(text)
                else:
                    short += 1
    texts |= {name for name in file_names if _is_telling(name)}
    found.texts = frozenset(texts)
    if short:
        found.left.append(Left(
            zh=f"{short} 处值太短(数字、是否、两三个字母)，没有在其他文字中查找其副本。",
            en=f"{short} values were too short (figures, truths, a few letters) to look for copies of them in other texts.",
        ))  # fmt: skip
    events = {r.seq: r.event for r in recorded}

    def cleaned(seq: int, payload: Mapping[str, Any]) -> dict[str, Any]:
        after, event = _cleaned(payload, names, documents, found.texts), events[seq]
        if isinstance(event, e.PayloadsErased):  # what an earlier erasure left is cleaned where it stands
            after["kept"] = {earlier: cleaned(int(earlier), part) for earlier, part in payload.get("kept", {}).items()}
        if isinstance(event, e.DocumentAttached) and event.document in documents:
            after["name"] = ERASED
        return after

    seqs = list[int]()
    after = {seq: cleaned(seq, payload) for seq, payload in contents.items()}
    for r in recorded:
        if r.seq in there and after[r.seq] != contents[r.seq]:
            seqs.append(r.seq)
            found.kept[str(r.seq)] = after[r.seq]
    found.seqs = tuple(seqs)
    found.left += _left(recorded, after, names, found.texts)


def _left(
    recorded: Sequence[Recorded], after: Mapping[int, Mapping[str, Any]], names: frozenset[str], texts: frozenset[str]
) -> Iterator[Left]:
    """Give what the history goes on saying: open parts of events, the same text under another name, what was told to others.

    Args:
        after: ``{seq: payload as it is after the erasure}``
    """
    elsewhere: dict[str, int] = {}
    for r in recorded:
        event = r.event
        for part in _OPEN:
            value = getattr(event, part, None)
            if part not in event.payload and isinstance(value, str) and _quotes(value, texts):
                yield Left(
                    zh=f"第 {r.seq} 条记录的“{part}”含有相同文字；它受历史链保护，不能清除。",
                    en=f"The part “{part}” of event {r.seq} says the same; the chain covers it and it cannot be erased.",
                )  # fmt: skip
        if isinstance(event, e.SignalThrown) and any(True for _ in _values_of(event.values, names)):
            yield Left(
                zh=f"第 {r.seq} 条：信号“{event.name}”带有该内容；它受历史链保护，不能清除。",
                en=f"Event {r.seq}: the signal “{event.name}” carries it; the chain covers it and it cannot be erased.",
            )  # fmt: skip
        for part in DATA:
            if part in event.payload:
                for name, text in _named_leaves(after[r.seq].get(part), part):
                    if _quotes(text, texts):
                        elsewhere.setdefault(name, r.seq)
        if isinstance(event, e.MessageThrown) and not event.inside and any(True for _ in _values_of({"values": event.values}, names)):
            yield Left(
                zh=f"第 {r.seq} 条：消息“{event.name}”已把该内容带给其他流程实例，请对它们也执行清除。",
                en=f"Event {r.seq}: the message “{event.name}” took it to other process instances; erase it there too.",
            )  # fmt: skip
    for name, seq in elsewhere.items():
        yield Left(
            zh=f"变量或字段“{name}”(第 {seq} 条)也含有相同文字；如需清除，请把它加入要清除的字段。",
            en=f"The variable or field “{name}” (event {seq}) says the same; name it too if it is to be erased.",
        )  # fmt: skip


# -------------------------------------------------------------------------------------------------------------------- values
def _values_of(value: Any, names: frozenset[str]) -> Iterator[Any]:
    """Give every value under one of `names`, however deep."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            if key in names:
                yield part
            else:
                yield from _values_of(part, names)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _values_of(part, names)


def _leaves(value: Any) -> Iterator[str]:
    for _, text in _named_leaves(value, ""):
        yield text


def _named_leaves(value: Any, name: str) -> Iterator[tuple[str, str]]:
    """Give ``(name it stands under, text)`` of texts and numbers, however deep."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _named_leaves(part, str(key))
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _named_leaves(part, name)
    elif isinstance(value, (int, Decimal, float)) and not isinstance(value, bool):
        yield name, str(value)
    elif isinstance(value, str):
        yield name, value


def _is_telling(text: str) -> bool:
    """True if a text is one that hardly stands somewhere else by chance: two Chinese letters, four others, six figures."""
    letters = text.strip()
    if letters.isascii():
        return len(letters) >= (6 if letters.replace(".", "").isdecimal() else 4)
    return len(letters) >= 2


def _quotes(text: str, texts: Collection[str]) -> bool:
    return any(part in text for part in texts)


def without_texts(text: str, texts: Iterable[str]) -> str:
    """Return a text with a mark in place of each of `texts`, the longest first."""
    for part in sorted(texts, key=len, reverse=True):
        text = text.replace(part, ERASED)
    return text


def _cleaned(payload: Mapping[str, Any], names: frozenset[str], documents: frozenset[int], texts: frozenset[str]) -> dict[str, Any]:
    """Return a payload without the fields `names`, the names of `documents`, and `texts` in its sentences."""
    return {
        part: _in_sentences(value, texts) if part in _SENTENCES else _without(value, names, documents) for part, value in payload.items()
    }


def _in_sentences(value: Any, texts: frozenset[str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _in_sentences(part, texts) for key, part in value.items()}
    return without_texts(value, texts) if isinstance(value, str) else value


def _without(value: Any, names: frozenset[str], documents: frozenset[int]) -> Any:
    if isinstance(value, Mapping):
        kept = {key: _without(part, names, documents) for key, part in value.items() if key not in names}
        if "sha256" in value and "name" in value and str(value.get("id")) in {str(d) for d in documents}:
            kept["name"] = ERASED
        return kept
    if isinstance(value, (list, tuple)):
        return [_without(part, names, documents) for part in value]
    return value
