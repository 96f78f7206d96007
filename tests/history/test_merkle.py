"""The tree of RFC 6962 by its recursive definition, and proofs that hold for nothing else."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.merkle import is_in, leaf, path, root

lines = st.lists(st.binary(max_size=12), min_size=1, max_size=70)
#: Source: test vectors of the reference implementation of Certificate Transparency.
KNOWN = [
    b"", b"\x00", b"\x10", b"\x20\x21", b"\x30\x31", b"\x40\x41\x42\x43", bytes(range(0x50, 0x58)), bytes(range(0x60, 0x70)),
]  # fmt: skip
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c", "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]  # fmt: skip


def by_definition(texts: list[bytes]) -> bytes:
    if len(texts) == 1:
        return sha256(b"\x00" + texts[0]).digest()
    k = 1
    while k * 2 < len(texts):
        k *= 2
    return sha256(b"\x01" + by_definition(texts[:k]) + by_definition(texts[k:])).digest()


@pytest.mark.parametrize("count", range(1, 9))
def test_the_roots_are_those_of_certificate_transparency(count: int) -> None:
    assert root(map(leaf, KNOWN[:count])).hex() == ROOTS[count - 1]


def test_a_tree_without_leaves_has_the_hash_of_nothing() -> None:
    assert root([]) == sha256(b"").digest()


@given(lines)
def test_the_root_is_that_of_the_recursive_definition(texts: list[bytes]) -> None:
    assert root(map(leaf, texts)) == by_definition(texts)


@given(lines, st.data())
def test_every_leaf_is_proved(texts: list[bytes], data: st.DataObject) -> None:
    leaves = [leaf(text) for text in texts]
    at = data.draw(st.integers(0, len(leaves) - 1))

    proof = path(leaves, at)

    assert is_in(leaves[at], at, len(leaves), proof, root(leaves))
    assert len(proof) <= max(len(leaves) - 1, 0).bit_length()


@given(lines, st.data())
def test_nothing_else_is_proved(texts: list[bytes], data: st.DataObject) -> None:
    leaves = [leaf(text) for text in texts]
    at = data.draw(st.integers(0, len(leaves) - 1))
    proof, top = path(leaves, at), root(leaves)
    other = data.draw(st.binary(max_size=12).filter(lambda text: text not in texts))

    assert not is_in(leaf(other), at, len(leaves), proof, top)
    assert not is_in(leaves[at], at, len(leaves), (*proof, top), top)
    assert not is_in(leaves[at], at, len(leaves), proof, leaf(top))
    assert not is_in(leaves[at], len(leaves), len(leaves), proof, top)
    assert not is_in(leaves[at], -1, len(leaves), proof, top)
    if proof:
        flipped = bytes([proof[0][0] ^ 1]) + proof[0][1:]
        assert not is_in(leaves[at], at, len(leaves), (flipped, *proof[1:]), top)
        assert not is_in(leaves[at], at, len(leaves), proof[1:], top)
    elsewhere = data.draw(st.integers(0, len(leaves) - 1))
    if leaves[elsewhere] != leaves[at]:
        assert not is_in(leaves[at], elsewhere, len(leaves), path(leaves, elsewhere), top)


def test_there_is_no_path_to_a_leaf_that_is_not_there() -> None:
    with pytest.raises(IndexError):
        path([leaf(b"a")], 1)
