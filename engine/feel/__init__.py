"""FEEL (DMN 1.3 to 1.5): the expression language of diagrams, forms and decisions. Safe to run on texts of anybody.

Dates and decisions: `engine.feel.dmn`; JSON of values: `engine.feel.codec`; checks before anything runs: `engine.feel.check`.
"""

from engine.feel.dmn import DecisionModel, DecisionResult, load_decisions
from engine.feel.errors import DecisionError, FeelLimit, FeelSyntaxError, Reason
from engine.feel.expression import CellTests, Explained, Expression, Result, compile_expression, compile_unary_tests
from engine.feel.temporal import YearsMonths

__all__ = [
    "CellTests",
    "DecisionError",
    "DecisionModel",
    "DecisionResult",
    "Explained",
    "Expression",
    "FeelLimit",
    "FeelSyntaxError",
    "Reason",
    "Result",
    "YearsMonths",
    "compile_expression",
    "compile_unary_tests",
    "load_decisions",
]
