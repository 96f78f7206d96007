"""SpiffWorkflow 3.2, the library that executes: the classes that this engine extends, imported here and nowhere else.

They carry no types, so they are `Any` to the checker. Private names of 3.2 are used (`Task._set_state`, `Task._ready`,
`TaskSpec._update` and its hooks): the version is pinned, and another one is a change of this package.
"""

from __future__ import annotations

from typing import Any

from SpiffWorkflow.bpmn.specs import event_definitions, mixins
from SpiffWorkflow.bpmn.specs.bpmn_process_spec import BpmnProcessSpec as _BpmnProcessSpec
from SpiffWorkflow.bpmn.specs.event_definitions.base import EventDefinition as _EventDefinition
from SpiffWorkflow.bpmn.specs.event_definitions.timer import TimerEventDefinition as _TimerEventDefinition
from SpiffWorkflow.bpmn.util.subworkflow import BpmnSubWorkflow as _BpmnSubWorkflow
from SpiffWorkflow.bpmn.workflow import BpmnWorkflow as _BpmnWorkflow
from SpiffWorkflow.task import Task as _Task
from SpiffWorkflow.util.task import TaskState

_definitions: Any = event_definitions
_mixins: Any = mixins

Task: Any = _Task
BpmnWorkflow: Any = _BpmnWorkflow
BpmnSubWorkflow: Any = _BpmnSubWorkflow
BpmnProcessSpec: Any = _BpmnProcessSpec
BpmnSpecMixin: Any = _mixins.BpmnSpecMixin
UserTaskMixin: Any = _mixins.UserTaskMixin
EventDefinition: Any = _EventDefinition
TimerEventDefinition: Any = _TimerEventDefinition
CancelEventDefinition: Any = _definitions.CancelEventDefinition
ConditionalEventDefinition: Any = _definitions.ConditionalEventDefinition
ErrorEventDefinition: Any = _definitions.ErrorEventDefinition
EscalationEventDefinition: Any = _definitions.EscalationEventDefinition
MessageEventDefinition: Any = _definitions.MessageEventDefinition
SignalEventDefinition: Any = _definitions.SignalEventDefinition
TerminateEventDefinition: Any = _definitions.TerminateEventDefinition

FUTURE: int = TaskState.FUTURE
WAITING: int = TaskState.WAITING
READY: int = TaskState.READY
STARTED: int = TaskState.STARTED
COMPLETED: int = TaskState.COMPLETED
CANCELLED: int = TaskState.CANCELLED
FINISHED: int = TaskState.FINISHED_MASK


def state_name(state: int) -> str:
    return str(TaskState.get_name(state))  # type: ignore[no-untyped-call]
