"""The DMN Technology Compatibility Kit, as far as it is given beside the clone (levels 2 and 3): nothing may be lost."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from lxml import etree

from tests.conformance.dmn_adapter import DecisionAdapter

SUITE = Path(__file__).parents[3] / "shared" / "conformance"
FOLDERS = sorted((SUITE / "files" / "dmn").glob("*/*"))


@pytest.fixture(scope="module")
def runner() -> ModuleType:
    spec = importlib.util.spec_from_file_location("run_dmn", SUITE / "run_dmn.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def results(runner: ModuleType, folder: Path) -> Iterator[tuple[str, Any, Any]]:
    """Yield case, what came and what was wanted, for every result of a folder."""
    files = {path.name: path.read_bytes() for path in folder.glob("*.dmn")}
    for test in sorted(folder.glob("*.xml")):
        root = etree.parse(test).getroot()
        for case in root.findall(runner.T + "testCase"):
            is_service = case.get("type") == "decisionService"
            inputs = {str(node.get("name")): runner.value(node) for node in case.findall(runner.T + "inputNode")}
            for node in case.findall(runner.T + "resultNode"):
                name = str(case.get("invocableName") if is_service else node.get("name"))
                is_error = node.get("errorResult") == "true"
                want = None if is_error else runner.value(node.find(runner.T + "expected"))
                adapter = DecisionAdapter()
                adapter.load(files, (root.findtext(runner.T + "modelName") or "").strip())
                yield f"{test.name} {case.get('id')} {name}", adapter.evaluate(name, inputs, service=is_service), want


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_result_of_the_folder_is_right(runner: ModuleType, folder: Path) -> None:
    wrong = [(case, got, want) for case, got, want in results(runner, folder) if not runner.same(got, want)]

    assert wrong == []


def test_no_result_of_the_suite_was_left_out(runner: ModuleType) -> None:
    counts = {"compliance-level-2": 0, "compliance-level-3": 0}
    for folder in FOLDERS:
        for test in folder.glob("*.xml"):
            counts[folder.parent.name] += len(etree.parse(test).getroot().findall(f".//{runner.T}resultNode"))

    assert counts == {"compliance-level-2": 55, "compliance-level-3": 2406}


def test_the_suites_models_load_without_a_problem() -> None:
    from engine.feel.dmn import load_decisions

    for folder in FOLDERS:
        for path in folder.glob("*.dmn"):
            others = {other.name: other.read_bytes() for other in folder.glob("*.dmn") if other != path}
            assert load_decisions(path.read_bytes(), others).decisions is not None
