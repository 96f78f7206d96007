"""Builds DMN files for tests: name what matters, the rest is filled in."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

HEAD = '<definitions xmlns="https://www.omg.org/spec/DMN/20191111/MODEL/" id="d" name="m" namespace="urn:m">'


def table(
    inputs: dict[str, str],
    rules: Sequence[Sequence[str]],
    *,
    outputs: Sequence[str] = ("result",),
    policy: str = "UNIQUE",
    aggregation: str = "",
    defaults: Sequence[str] = (),
    output_values: Sequence[str] = (),
    allowed: dict[str, str] | None = None,
    decision: str = "rating",
    declare_inputs: bool = True,
    extra: str = "",
) -> bytes:
    """Return a file with one decision table. `inputs`: ``{input data: type}``; a rule is its input cells, then its outputs."""
    parts = [HEAD, extra]
    for name, type_ in inputs.items() if declare_inputs else ():
        parts.append(f'<inputData id={quoteattr("i_" + name)} name={quoteattr(name)}><variable name={quoteattr(name)} '
                     f'typeRef={quoteattr(type_)}/></inputData>')  # fmt: skip
    parts.append(f'<decision id="{decision}" name="{decision}"><variable name="{decision}"/>')
    for name in inputs if declare_inputs else ():
        parts.append(f'<informationRequirement><requiredInput href={quoteattr("#i_" + name)}/></informationRequirement>')
    parts.append(f'<decisionTable hitPolicy="{policy}"' + (f' aggregation="{aggregation}"' if aggregation else "") + ">")
    for name, type_ in inputs.items():
        values = (allowed or {}).get(name)
        limits = f"<inputValues><text>{escape(values)}</text></inputValues>" if values else ""
        column = f"<inputExpression typeRef={quoteattr(type_)}><text>{escape(name)}</text></inputExpression>"
        parts.append(f"<input>{column}{limits}</input>")
    for place, name in enumerate(outputs):
        parts.append(f"<output name={quoteattr(name)}>")
        if place < len(output_values):
            parts.append(f"<outputValues><text>{escape(output_values[place])}</text></outputValues>")
        if place < len(defaults):
            parts.append(f"<defaultOutputEntry><text>{escape(defaults[place])}</text></defaultOutputEntry>")
        parts.append("</output>")
    for cells in rules:
        row = [f"<inputEntry><text>{escape(cell)}</text></inputEntry>" for cell in cells[: len(inputs)]]
        row += [f"<outputEntry><text>{escape(cell)}</text></outputEntry>" for cell in cells[len(inputs) :]]
        parts.append("\n<rule>" + "".join(row) + "</rule>")
    parts.append("</decisionTable></decision></definitions>")
    return "".join(parts).encode()


def literal(text: str, *, requires: str = "", declarations: str = "", name: str = "answer") -> bytes:
    """Return a file with one decision of one FEEL text."""
    return (
        f'{HEAD}{declarations}<decision id="{name}" name="{name}"><variable name="{name}"/>{requires}'
        f"<literalExpression><text>{escape(text)}</text></literalExpression></decision></definitions>"
    ).encode()
