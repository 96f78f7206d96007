"""Settings that all tests share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from playwright.sync_api import Browser, sync_playwright

from tests.databases import BOTH

# No test asserts a time; in CI the examples are the same each run, at home they are new ones.
settings.register_profile("home", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("home"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "home")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what asks for it on each database, or on the one that it is about."""
    if "on_each" in metafunc.fixturenames:
        only = metafunc.definition.get_closest_marker("only_on")
        metafunc.parametrize("on_each", BOTH if only is None else only.args, indirect=True)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One real browser for all tests of a worker: its driver runs once in a process."""
    found = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("CI must have a Chromium: .ci/run installs it")
        pytest.skip("no Chromium here; .ci/run installs one")
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=quiet)
        yield browser
        browser.close()
