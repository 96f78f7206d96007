"""Deliberate faults of the core, and the tests that notice them: `make mutants`."""
