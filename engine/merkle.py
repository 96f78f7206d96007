"""Merkle trees as RFC 6962 (Certificate Transparency) has them: one hash for many lines, and short proofs that a line is among them.

Leaves and inner nodes are hashed with different first bytes, so that no inner node can pass for a leaf.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256


def leaf(text: bytes) -> bytes:
    """Return the hash of a line."""
    return sha256(b"\x00" + text).digest()


def node(left: bytes, right: bytes) -> bytes:
    """Return the hash of two subtrees."""
    return sha256(b"\x01" + left + right).digest()


def root(leaves: Iterable[bytes]) -> bytes:
    """Return the hash of the tree over the hashes `leaves`; of no leaves: SHA-256 of nothing."""
    level = list(leaves)
    if not level:
        return sha256(b"").digest()
    while len(level) > 1:
        level = _above(level)
    return level[0]


def path(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """Return the proof that the leaf at `index` is in the tree: the hashes of the subtrees beside its way up, the lowest first.

    Raises:
        IndexError: there is no such leaf.
    """
    if not 0 <= index < len(leaves):
        raise IndexError(index)
    level, found = list(leaves), list[bytes]()
    while len(level) > 1:
        beside = index ^ 1
        if beside < len(level):
            found.append(level[beside])
        level, index = _above(level), index >> 1
    return tuple(found)


def is_in(leaf: bytes, index: int, count: int, path: Sequence[bytes], root: bytes) -> bool:
    """True if `path` proves that the hash `leaf` stands at `index` of the `count` leaves under `root`."""
    if not 0 <= index < count:
        return False
    last, found, left = count - 1, leaf, list(path)
    while last:
        if index & 1 or index < last:  # else it has nothing beside it on this level
            if not left:
                return False
            beside = left.pop(0)
            found = node(beside, found) if index & 1 else node(found, beside)
        index, last = index >> 1, last >> 1
    return not left and found == root


def _above(level: list[bytes]) -> list[bytes]:
    """Return the next level up; what has nothing beside it goes up as it is, which is where RFC 6962 puts it."""
    found = [node(left, right) for left, right in zip(level[::2], level[1::2], strict=False)]
    return found + level[-1:] if len(level) & 1 else found
