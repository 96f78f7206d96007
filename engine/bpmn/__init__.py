"""BPMN: what a diagram may say, and how it runs.

`compile_definition` reads the diagrams of a process once; `advance` takes an instance one command further, `Run` several
commands. All are pure: no clock, no database, no threads. SpiffWorkflow executes, behind these names and nowhere else.
"""

from engine.bpmn.collaboration import KEYED, fits, keys_carried, shown_key
from engine.bpmn.definition import Definition
from engine.bpmn.explain import explain
from engine.bpmn.reader import DiagramCannotRun, compile_definition, describe, start_timers, starters
from engine.bpmn.specs.tasks import PLACE
from engine.bpmn.step import (
    Answer,
    Run,
    Serve,
    advance,
    answered,
    form_of_start,
    open_elements,
    scopes_of_visible,
    values_named,
    visible_variables,
)

__all__ = [
    "KEYED",
    "PLACE",
    "Answer",
    "Definition",
    "DiagramCannotRun",
    "Run",
    "Serve",
    "advance",
    "answered",
    "compile_definition",
    "describe",
    "explain",
    "fits",
    "form_of_start",
    "keys_carried",
    "open_elements",
    "scopes_of_visible",
    "shown_key",
    "start_timers",
    "starters",
    "values_named",
    "visible_variables",
]
