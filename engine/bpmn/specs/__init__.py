"""What each element of a diagram does: SpiffWorkflow task specs, all behaviour of an element in its class.

SpiffWorkflow predicts the tasks that may follow and prunes them later; joins then reason about the predicted tree. Nothing is
predicted here: a task exists only once its token arrived, so a join counts waiting tokens and reads the diagram.
"""

from engine.bpmn.specs.events import (
    BoundaryEvent,
    Catching,
    EndEvent,
    EventSubProcess,
    IntermediateCatchEvent,
    IntermediateThrowEvent,
    ReceiveTask,
    SendTask,
    StartEvent,
    Throwing,
)
from engine.bpmn.specs.gateways import (
    ComplexGateway,
    EventBasedGateway,
    ExclusiveGateway,
    InclusiveGateway,
    Join,
    ParallelGateway,
)
from engine.bpmn.specs.loops import Implicit, MultiInstance, MultiInstanceFields, StandardLoop
from engine.bpmn.specs.node import Activity, Flow, Mapping, Node
from engine.bpmn.specs.process import ProcessSpec
from engine.bpmn.specs.subprocesses import AdHocSubProcess, CallActivity, SubProcess, Transaction
from engine.bpmn.specs.tasks import BusinessRuleTask, JobTask, ScriptTask, Task, UserTask, UserTaskFields
from engine.bpmn.specs.values import Formula, Text

__all__ = [
    "Activity",
    "AdHocSubProcess",
    "BoundaryEvent",
    "BusinessRuleTask",
    "CallActivity",
    "Catching",
    "ComplexGateway",
    "EndEvent",
    "EventBasedGateway",
    "EventSubProcess",
    "ExclusiveGateway",
    "Flow",
    "Formula",
    "Implicit",
    "InclusiveGateway",
    "IntermediateCatchEvent",
    "IntermediateThrowEvent",
    "JobTask",
    "Join",
    "Mapping",
    "MultiInstance",
    "MultiInstanceFields",
    "Node",
    "ParallelGateway",
    "ProcessSpec",
    "ReceiveTask",
    "ScriptTask",
    "SendTask",
    "StandardLoop",
    "StartEvent",
    "SubProcess",
    "Task",
    "Text",
    "Throwing",
    "Transaction",
    "UserTask",
    "UserTaskFields",
]
