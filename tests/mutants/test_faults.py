"""The list of faults is current: each applies, compiles and has a test that notices it. `make mutants` runs them."""

from __future__ import annotations

import pytest

from tests.mutants.faults import FAULTS, Fault, killers, names_of_tests


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_applies_compiles_and_names_the_test_that_notices_it(fault: Fault) -> None:
    fault.compiled()
    file, _, test = killers()[fault.name].partition("::")

    assert test in names_of_tests(file)


def test_faults_have_names_of_their_own() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    assert set(killers()) == {fault.name for fault in FAULTS}
