"""Random walks over the diagrams of others: nothing that people, systems and time do at random breaks what must hold."""

from __future__ import annotations

import pytest

from tests.conformance.suite import CONFORMANCE, known

if not CONFORMANCE.is_dir():
    pytest.skip("the cases of others are not beside this folder", allow_module_level=True)

from tests.conformance.foreign import DeployError
from tests.conformance.walk import Ground, Walker, grounds

FOUND = list(grounds())


@pytest.mark.parametrize("ground", FOUND, ids=[ground.name for ground in FOUND])
def test_rows_history_and_state_agree_after_every_step_of_a_walk(ground: Ground) -> None:
    walker = Walker(ground, "0")

    try:
        walker.walk(12)
    except DeployError:
        assert ground.name in known() or ground.name.endswith(("_Zero", "_NegativeLoopMaximum"))  # to be refused, says the suite
