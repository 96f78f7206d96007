"""The library is what the process catalogue asks for, and its documentation is what the library is."""

from __future__ import annotations

import json
import os

import pytest

from tests.processes import catalogue, write_docs

beside = pytest.mark.skipif(
    not catalogue.CATALOGUE.exists() and not os.environ.get("CI"), reason="the process catalogue is not beside the repository"
)


def _core() -> list[str]:
    return sorted(catalogue.core()) if catalogue.CATALOGUE.exists() else []


@beside
@pytest.mark.parametrize("key", _core())
def test_a_core_process_is_as_the_catalogue_says(key: str) -> None:
    assert catalogue.lacking(key) == []


@beside
def test_all_core_processes_are_compared() -> None:
    assert len(_core()) == 36


@beside
def test_what_is_missing_is_noticed() -> None:
    """The comparison itself must be able to fail: an entry that asks for more than there is."""
    entry = json.loads(json.dumps(catalogue.core()["bid_bond"]))
    entry["steps"][1]["form"].append({"field": "never_there", "label": "x", "type": "text", "required": True, "validation": ""})
    entry["steps"].append({"id": "no_such_step", "element": "userTask", "lane": "finance_officer", "label": "x", "form": []})
    entry["decisions"].append({"head": "dmn_never|FIRST|a=>b", "rows": []})
    entry["steps"][2]["lane"] = "legal_counsel"

    found = "\n".join(catalogue._lacking(entry))

    assert all(word in found for word in ("never_there", "no_such_step", "dmn_never", "lane_legal_counsel"))


@beside
def test_sources_are_those_of_the_catalogue() -> None:
    named = json.loads((write_docs.PROCESSES / "sources.json").read_text("utf-8"))

    for key, entry in catalogue.core().items():
        assert [name[:3] for name in named[key]] == [s for s in entry["sources"] if s.isdecimal()], key


def test_the_documentation_is_of_the_library_as_it_is() -> None:
    """If this fails: ``python -m tests.processes.write_docs``."""
    made = write_docs.pages()
    kept = {file.name: file.read_bytes() for file in write_docs.DOCS.iterdir()}

    assert sorted(kept) == sorted(made)
    assert [name for name in made if made[name] != kept[name]] == []
