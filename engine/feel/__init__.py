"""FEEL and DMN (1.1 to 1.5): the language of diagrams, forms and decisions. Safe to run on texts of anybody.

JSON of values is in `engine.feel.codec`.
"""

from engine.feel.check import ExpressionProblem, TableProblem, expression_problems, table_problems
from engine.feel.dmn import Decision, DecisionModel, DecisionResult, load_decisions
from engine.feel.errors import DecisionError, FeelLimit, FeelSyntaxError, Reason, in_both
from engine.feel.expression import CellTests, Explained, Expression, Result, compile_expression, compile_unary_tests
from engine.feel.temporal import YearsMonths

__all__ = [
    "CellTests",
    "Decision",
    "DecisionError",
    "DecisionModel",
    "DecisionResult",
    "Explained",
    "Expression",
    "ExpressionProblem",
    "FeelLimit",
    "FeelSyntaxError",
    "Reason",
    "Result",
    "TableProblem",
    "YearsMonths",
    "compile_expression",
    "compile_unary_tests",
    "expression_problems",
    "in_both",
    "load_decisions",
    "table_problems",
]
