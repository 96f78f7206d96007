"""Small models of the specification (DMN 1.3 to 1.5): item definitions, requirement graphs, services, tables, boxed expressions.

A model is a list of elements, its answer that of the decision or service `answer`, written in FEEL.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import pytest

from engine.feel.builtins import BUILTINS
from engine.feel.compiler import compile_text
from engine.feel.dmn import load_decisions
from engine.feel.run import Run
from engine.feel.values import to_feel
from tests.feel.tables import HEAD

NOW = datetime(2026, 12, 1, 1, 30, tzinfo=UTC)


def _typed(type_: str) -> str:
    return f" typeRef={quoteattr(type_)}" if type_ else ""


def feel(text: str, type_: str = "") -> str:
    return f"<literalExpression{_typed(type_)}><text>{escape(text)}</text></literalExpression>"


def given(name: str, type_: str = "") -> str:
    return f"<inputData id={quoteattr(name)} name={quoteattr(name)}><variable name={quoteattr(name)}{_typed(type_)}/></inputData>"


def needs(*names: str) -> str:
    """``+f`` is knowledge, ``-d`` a decision, the rest input data."""
    kinds = {"+": ("knowledge", "Knowledge"), "-": ("information", "Decision")}
    parts = []
    for name in names:
        kind, what = kinds.get(name[0], ("information", "Input"))
        parts.append(f'<{kind}Requirement><required{what} href="#{escape(name.lstrip("+-"))}"/></{kind}Requirement>')
    return "".join(parts)


def decision(logic: str, *required: str, name: str = "answer", type_: str = "") -> str:
    logic = logic if logic.startswith("<") else feel(logic)
    return (f"<decision id={quoteattr(name)} name={quoteattr(name)}><variable name={quoteattr(name)}{_typed(type_)}/>"
            f"{needs(*required)}{logic}</decision>")  # fmt: skip


def params(text: str) -> str:
    found = [part.split(":") for part in text.split(",") if part]
    return "".join(f"<formalParameter name={quoteattr(p[0].strip())}{_typed(p[1].strip() if p[1:] else '')}/>" for p in found)


def knowledge(name: str, parameters: str, logic: str, *required: str, type_: str = "") -> str:
    logic = logic if logic.startswith("<") else feel(logic)
    return (f"<businessKnowledgeModel id={quoteattr(name)} name={quoteattr(name)}><variable name={quoteattr(name)}{_typed(type_)}/>"
            f"<encapsulatedLogic>{params(parameters)}{logic}</encapsulatedLogic>{needs(*required)}</businessKnowledgeModel>")  # fmt: skip


def item(name: str, type_: str = "", *components: str, many: bool = False, allowed: str = "", limit: str = "", tag: str = "itemDefinition",
         ) -> str:  # fmt: skip
    inner = f"<typeRef>{escape(type_)}</typeRef>" if type_ else ""
    inner += f"<allowedValues><text>{escape(allowed)}</text></allowedValues>" if allowed else ""
    inner += f"<typeConstraint><text>{escape(limit)}</text></typeConstraint>" if limit else ""
    collection = ' isCollection="true"' if many else ""
    return f"<{tag} name={quoteattr(name)}{collection}>{inner}{''.join(components)}</{tag}>"


def component(name: str, type_: str, **more: Any) -> str:
    return item(name, type_, tag="itemComponent", **more)


def service(name: str, outputs: str, inside: str = "", decisions: str = "", data: str = "", type_: str = "") -> str:
    hrefs = "".join(
        f'<{tag} href="#{escape(one)}"/>'
        for tag, names in (
            ("outputDecision", outputs), ("encapsulatedDecision", inside), ("inputDecision", decisions), ("inputData", data),
        )
        for one in names.split()
    )
    return f"<decisionService id={quoteattr(name)} name={quoteattr(name)}><variable name={quoteattr(name)}{_typed(type_)}/>{hrefs}</decisionService>"


def table(columns: str, outputs: str, *rows: str, policy: str = "UNIQUE") -> str:
    """Columns and outputs parted by ``;``, an output as ``name: type = default ! ranking``; a row's cells parted by ``;``."""
    parts = [f'<decisionTable hitPolicy="{policy.split("+")[0]}"' + (f' aggregation="{policy.split("+")[1]}"' if "+" in policy else "") + ">"]
    width = len([c for c in columns.split(";") if c])
    for column in filter(None, columns.split(";")):
        text, _, allowed = column.partition("!")
        text, _, type_ = text.partition(" : ")
        parts.append(f"<input><inputExpression{_typed(type_.strip())}><text>{escape(text.strip())}</text></inputExpression>"
                     + (f"<inputValues><text>{escape(allowed.strip())}</text></inputValues>" if allowed else "") + "</input>")  # fmt: skip
    for output in outputs.split(";"):
        text, _, ranking = output.partition("!")
        text, _, default = text.partition(" = ")
        name, _, type_ = text.partition(":")
        parts.append(f"<output name={quoteattr(name.strip())}{_typed(type_.strip())}>"
                     + (f"<outputValues><text>{escape(ranking.strip())}</text></outputValues>" if ranking else "")
                     + (f"<defaultOutputEntry><text>{escape(default.strip())}</text></defaultOutputEntry>" if default else "")
                     + "</output>")  # fmt: skip
    for row in rows:
        cells = [cell.strip() for cell in row.split(";")]
        parts.append("<rule>" + "".join(
            f"<{tag}><text>{escape(cell)}</text></{tag}>"
            for place, cell in enumerate(cells) for tag in ["inputEntry" if place < width else "outputEntry"]) + "</rule>")  # fmt: skip
    return "".join(parts) + "</decisionTable>"


def context(*entries: str) -> str:
    """``name: type = text`` or, for the result, the text alone."""
    parts = []
    for entry in entries:
        head, mark, text = entry.partition(" := ")
        name, _, type_ = head.partition(":")
        logic = text if mark else entry
        logic = logic if logic.startswith("<") else feel(logic)
        variable = f"<variable name={quoteattr(name.strip())}{_typed(type_.strip())}/>" if mark else ""
        parts.append(f"<contextEntry>{variable}{logic}</contextEntry>")
    return f"<context>{''.join(parts)}</context>"


def call(function: str, **bindings: str) -> str:
    bound = "".join(f"<binding><parameter name={quoteattr(name)}/>{feel(text)}</binding>" for name, text in bindings.items())
    return f"<invocation>{feel(function)}{bound}</invocation>"


def boxed(tag: str, attributes: str = "", **parts: str) -> str:
    inner = "".join(f"<{name.rstrip('_')}>{feel(text)}</{name.rstrip('_')}>" for name, text in parts.items())
    return f"<{tag} {attributes}>{inner}</{tag}>"


GRADE = item("tGrade", "string", allowed='"A", "B"')
PERSON = item("tPerson", "", component("name", "string"), component("age", "number", allowed="[0..150]"))
NUMBERS = item("tNumbers", "number", many=True)
X = given("x", "number")

MODELS: dict[str, tuple[list[str], dict[str, Any], str]] = {
    # 7.3.2 item definitions; 10.3.2.9.4 conversions
    "an allowed value passes": ([GRADE, given("g", "tGrade"), decision("g", "g")], {"g": "A"}, '"A"'),
    "a value that is not allowed is null": ([GRADE, given("g", "tGrade"), decision("g", "g")], {"g": "C"}, "null"),
    "a result that is not allowed is null": ([GRADE, decision('"C"', type_="tGrade")], {}, "null"),
    "a component of the wrong type makes the whole null": (
        [PERSON, given("p", "tPerson"), decision("p.name", "p")], {"p": {"name": "a", "age": "x"}}, "null"),
    "a component that is not allowed makes the whole null": (
        [PERSON, given("p", "tPerson"), decision("p.name", "p")], {"p": {"name": "a", "age": 151}}, "null"),
    "a component that is missing makes the whole null": (
        [PERSON, given("p", "tPerson"), decision("p.name", "p")], {"p": {"name": "a"}}, "null"),
    "a component may be null": (
        [PERSON, given("p", "tPerson"), decision("p.name", "p")], {"p": {"name": "a", "age": None}}, '"a"'),
    "more components than named conform": (
        [PERSON, given("p", "tPerson"), decision("p.name", "p")], {"p": {"name": "a", "age": 1, "more": 2}}, '"a"'),
    "a collection takes a lone value as its only item": ([NUMBERS, given("n", "tNumbers"), decision("n", "n")], {"n": 1}, "[1]"),
    "a list of one is its item where one is wanted": ([X, decision("x + 1", "x")], {"x": [1]}, "2"),
    "a list of two is null where one is wanted": ([X, decision("x", "x")], {"x": [1, 2]}, "null"),
    "a collection of the wrong items is null": ([NUMBERS, given("n", "tNumbers"), decision("n", "n")], {"n": ["a"]}, "null"),
    "a date is its midnight UTC where a date and time is wanted": (
        [decision('@"2020-01-01"', type_="date and time")], {}, '@"2020-01-01T00:00:00Z"'),
    "a date and time is null where a date is wanted": ([decision('@"2020-01-01T00:00:00"', type_="date")], {}, "null"),
    "a text is null where a number is wanted": ([decision('"1"', type_="number")], {}, "null"),
    "anything conforms to Any": ([decision('"1"', type_="Any")], {}, '"1"'),
    "allowed values of a collection hold for its items": (
        [item("t", "string", many=True, allowed='"A", "B"'), given("g", "t"), decision("g", "g")], {"g": ["A", "C"]}, "null"),
    "a type constraint of a collection holds for the whole": (
        [item("t", "number", many=True, limit="count(?) < 3"), given("g", "t"), decision("g", "g")], {"g": [1, 2, 3]}, "null"),
    "a type constraint of a collection lets the whole pass": (
        [item("t", "number", many=True, limit="count(?) < 3"), given("g", "t"), decision("g", "g")], {"g": [1, 2]}, "[1, 2]"),
    "a type constraint of a single value is tested with the question mark": (
        [item("t", "number", limit="? > 0 and ? < 10"), given("g", "t"), decision("g", "g")], {"g": 11}, "null"),
    "a type of a type has both limits": (
        [item("a", "number", allowed="> 0"), item("b", "a", allowed="< 10"), given("g", "b"), decision("g", "g")], {"g": -1}, "null"),
    # 10.4 requirement graphs, knowledge, services
    "a decision reads what it requires": ([X, decision("x * 2", "x", name="twice"), decision("twice + 1", "-twice")], {"x": 3}, "7"),
    "what is not required is not seen": ([X, decision("1", name="other"), decision("other", "x")], {"x": 3}, "null"),
    "a decision without logic is null": (["<decision id='answer' name='answer'><variable name='answer'/></decision>"], {}, "null"),
    "knowledge is called by place": ([knowledge("f", "a, b", "a - b"), decision("f(5, 3)", "+f")], {}, "2"),
    "knowledge is called by name": ([knowledge("f", "a, b", "a - b"), decision("f(b: 5, a: 3)", "+f")], {}, "-2"),
    "knowledge is called by a boxed invocation": ([knowledge("f", "a, b", "a - b"), decision(call("f", b="5", a="3"), "+f")], {}, "-2"),
    "knowledge calls itself": ([knowledge("f", "n", "if n < 2 then 1 else n * f(n - 1)", "+f"), decision("f(4)", "+f")], {}, "24"),
    "knowledge calls knowledge": (
        [knowledge("g", "n", "n + 1"), knowledge("f", "n", "g(n) * 2", "+g"), decision("f(4)", "+f")], {}, "10"),
    "knowledge is a value": (
        [knowledge("f", "n", "n + 1"), decision("for g in [f] return g(1)", "+f")], {}, "[2]"),
    "a parameter of the wrong type makes the call null": (
        [knowledge("f", "a: number", "1"), decision('f("x")', "+f")], {}, "null"),
    "a parameter is converted": ([knowledge("f", "a: number", "a + 1"), decision("f([2])", "+f")], {}, "3"),
    "the result of knowledge is of its type": ([knowledge("f", "a", "a", type_="string"), decision("f(1)", "+f")], {}, "null"),
    "a table is the logic of knowledge": (
        [knowledge("f", "a", table("a", "r", '< 10; "low"', '>= 10; "high"')), decision("f(10)", "+f")], {}, '"high"'),
    "a service gives its output": (
        [X, decision("x + 1", "x", name="y"), service("answer", "y", data="x")], {"x": 1}, "2"),
    "a service of two outputs gives a context": (
        [X, decision("x + 1", "x", name="y"), decision("x + 2", "x", name="z"), service("answer", "y z", data="x")],
        {"x": 1}, "{y: 2, z: 3}"),
    "a service is called as a function": (
        [X, decision("x + 1", "x", name="y"), service("s", "y", data="x"), decision("s(4)", "+s")], {}, "5"),
    "an input decision of a service is given, not computed": (
        [X, decision("x + 1", "x", name="y"), decision("y * 10", "-y", name="z"), service("s", "z", decisions="y"),
         decision("s(y: 5)", "+s")], {}, "50"),
    "a service takes input data before input decisions": (
        [X, given("w"), decision("x", "x", name="y"), decision("y * 10 + w", "-y", "w", name="z"),
         service("s", "z", decisions="y", data="w"), decision("s(1, 2)", "+s")], {}, "21"),
    "a service computes what it encapsulates": (
        [X, decision("x + 1", "x", name="y"), decision("y * 10", "-y", name="z"), service("s", "z", inside="y", data="x"),
         decision("s(1)", "+s")], {}, "20"),
    "a service knows no variables of its caller": (
        [X, decision("x", "x", name="y"), service("s", "y"), decision("s()", "+s", "x")], {"x": 1}, "null"),
    "a service is called with the wrong number of arguments": (
        [X, decision("x", "x", name="y"), service("s", "y", data="x"), decision("s()", "+s")], {}, "null"),
    "a service's argument of the wrong type": (
        [X, decision("1", "x", name="y"), service("s", "y", data="x"), decision('s("a")', "+s")], {}, "null"),
    # 8 and 10.3.2.10 tables
    "the dash matches null": ([X, decision(table("x", "r", "-; 1"), "x")], {"x": None}, "1"),
    "null is tested for": ([X, decision(table("x", "r", "null; 1", "not(null); 2"), "x")], {"x": None}, "1"),
    "not of several": ([X, decision(table("x", "r", "not(1, 2); 1"), "x")], {"x": 3}, "1"),
    "a cell with a question mark": ([X, decision(table("x", "r", "? * 2 > 5; 1", "? * 2 <= 5; 2"), "x")], {"x": 2}, "2"),
    "a cell may name another input": (
        [X, given("y"), decision(table("x; y", "r", "> y; -; 1", "<= y; -; 2"), "x", "y")], {"x": 2, "y": 1}, "1"),
    "a cell may be a list to be in": ([X, decision(table("x", "r", "[1, 2]; 1"), "x")], {"x": 2}, "1"),
    "a cell of ranges": ([X, decision(table("x", "r", "[1..2], [5..6]; 1"), "x")], {"x": 6}, "1"),
    "a range of the cell that is reversed matches nothing": ([X, decision(table("x", "r", "[6..5]; 1"), "x")], {"x": 5}, "null"),
    "a list is tested by its members with a function": (
        [given("l"), decision(table("l", "r", 'list contains(?, "a"); 1'), "l")], {"l": ["b", "a"]}, "1"),
    "a column of booleans": (
        [given("b", "boolean"), decision(table("b", "r", "true; 1", "false; 2"), "b")], {"b": False}, "2"),
    "a column of dates": (
        [given("d", "date"), decision(table("d", "r", '< date("2020-01-01"); 1', '>= date("2020-01-01"); 2'), "d")],
        {"d": datetime(2020, 1, 1).date()}, "2"),
    "several outputs make a context": ([X, decision(table("x", "a; b", "1; 2; 3"), "x")], {"x": 1}, "{a: 2, b: 3}"),
    "no rule matches": ([X, decision(table("x", "r", "1; 2"), "x")], {"x": 2}, "null"),
    "the default answers when no rule matches": ([X, decision(table("x", "r = 9", "1; 2"), "x")], {"x": 2}, "9"),
    "the defaults of several outputs": ([X, decision(table("x", "a = 8; b = 9", "1; 2; 3"), "x")], {"x": 2}, "{a: 8, b: 9}"),
    "unique rules that match together are null": ([X, decision(table("x", "r", "> 1; 2", "> 2; 2"), "x")], {"x": 3}, "null"),
    "any with equal outputs": ([X, decision(table("x", "r", "> 1; 2", "> 2; 2", policy="ANY"), "x")], {"x": 3}, "2"),
    "any with unequal outputs": ([X, decision(table("x", "r", "> 1; 2", "> 2; 3", policy="ANY"), "x")], {"x": 3}, "null"),
    "first": ([X, decision(table("x", "r", "> 1; 2", "> 2; 3", policy="FIRST"), "x")], {"x": 3}, "2"),
    "priority by output values": ([X, decision(table("x", "r ! 3, 2", "> 1; 2", "> 2; 3", policy="PRIORITY"), "x")], {"x": 3}, "3"),
    "priority by the second output": (
        [X, decision(table("x", "a ! 1; b ! 9, 8", "> 1; 1; 8", "> 2; 1; 9", policy="PRIORITY"), "x")], {"x": 3}, "{a: 1, b: 9}"),
    "output order": ([X, decision(table("x", "r ! 3, 2", "> 1; 2", "> 2; 3", policy="OUTPUT ORDER"), "x")], {"x": 3}, "[3, 2]"),
    "rule order": ([X, decision(table("x", "r", "> 1; 2", "> 2; 3", policy="RULE ORDER"), "x")], {"x": 3}, "[2, 3]"),
    "collect of nothing": ([X, decision(table("x", "r", "> 1; 2", policy="COLLECT"), "x")], {"x": 0}, "[]"),
    "collect with sum": ([X, decision(table("x", "r", "> 1; 2", "> 2; 3", policy="COLLECT+SUM"), "x")], {"x": 3}, "5"),
    "collect with count": ([X, decision(table("x", "r", "> 1; 2", "> 2; 2", policy="COLLECT+COUNT"), "x")], {"x": 3}, "2"),
    "collect with min": ([X, decision(table("x", "r", "> 1; 2", "> 2; 3", policy="COLLECT+MIN"), "x")], {"x": 3}, "2"),
    "collect with max of texts": (
        [X, decision(table("x", "r", '> 1; "a"', '> 2; "b"', policy="COLLECT+MAX"), "x")], {"x": 3}, '"b"'),
    "collect with sum of nothing": ([X, decision(table("x", "r", "> 1; 2", policy="COLLECT+SUM"), "x")], {"x": 0}, "null"),
    "an input value that is not allowed makes the table null": (
        [X, decision(table("x ! 1, 2", "r", "-; 2"), "x")], {"x": 3}, "null"),
    "an output of the wrong type is null": ([X, decision(table("x", "r: number", '-; "a"'), "x")], {"x": 3}, "null"),
    "an output may compute": ([X, decision(table("x", "r", "-; x * 2"), "x")], {"x": 3}, "6"),
    "a table without inputs": ([decision(table("", "r", "1"))], {}, "1"),
    # 10.2.2 boxed expressions
    "a context's entries see those before": ([decision(context("a := 1", "b := a + 1"))], {}, "{a: 1, b: 2}"),
    "a context with a result gives it": ([decision(context("a := 1", "b := a + 1", "a + b"))], {}, "3"),
    "a context's entry of the wrong type is null": ([decision(context('a: number := "x"'))], {}, "{a: null}"),
    "a context's entry is converted": ([decision(context("a: number := [1]"))], {}, "{a: 1}"),
    "a function in a context is a closure": (
        [X, decision(context(f"f := <functionDefinition>{params('n')}{feel('n + x')}</functionDefinition>", "f(1)"), "x")], {"x": 10}, "11"),
    "a function in a context calls itself": (
        [decision(context(f"f := <functionDefinition>{params('n')}{feel('if n < 2 then 1 else n * f(n - 1)')}</functionDefinition>",
                          "f(4)"))], {}, "24"),
    "a list": ([decision(f"<list>{feel('1')}{feel('1 + 1')}</list>")], {}, "[1, 2]"),
    "a relation": (
        [decision(f"<relation><column name='a'/><column name='b c'/><row>{feel('1')}{feel('2')}</row></relation>")], {},
        '[{a: 1, "b c": 2}]'),
    "a conditional": ([X, decision(boxed("conditional", if_="x > 1", then="1", else_="2"), "x")], {"x": None}, "2"),
    "a filter by the item's entries": ([decision(boxed("filter", in_="[{a: 1}, {a: 2}]", match="a > 1"))], {}, "[{a: 2}]"),
    "a filter by item": ([decision(boxed("filter", in_="[1, 2]", match="item > 1"))], {}, "[2]"),
    "a filter of a lone value": ([decision(boxed("filter", in_="5", match="item > 1"))], {}, "[5]"),
    "an iteration": ([decision(boxed("for", "iteratorVariable='i'", in_="[1..3]", return_="i * 2"))], {}, "[2, 4, 6]"),
    "an iteration with what it has so far": (
        [decision(boxed("for", "iteratorVariable='i'", in_="[1, 2, 3]", return_="i + count(partial)"))], {}, "[1, 3, 5]"),
    "some": ([decision(boxed("some", "iteratorVariable='i'", in_="[1, 2]", satisfies="i > 1"))], {}, "true"),
    "every": ([decision(boxed("every", "iteratorVariable='i'", in_="[1, 2]", satisfies="i > 1"))], {}, "false"),
    "names with blanks and operators": (
        [given("a-b"), given("c d"), given("a"), decision("a-b + c d - a", "a-b", "c d", "a")], {"a-b": 10, "c d": 5, "a": 1}, "14"),
    "a member whose name has an operator": (
        [item("t", "", component("a+b", "number")), given("p", "t"), decision("p.a+b + 1", "p")], {"p": {"a+b": 1}}, "2"),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_answers_as_the_standard_says(name: str) -> None:
    elements, inputs, wanted = MODELS[name]
    model = load_decisions((HEAD + "".join(elements) + "</definitions>").encode(), strict=False)

    answer = model.decide_in_feel("answer", {key: to_feel(value) for key, value in inputs.items()}, NOW)

    expected = compile_text(wanted).closure({None: Run(NOW)})
    assert BUILTINS["is"].call([answer, expected], None, Run(NOW)) is True, f"{answer!r} instead of {expected!r}"
    assert not model.problems


def file(namespace: str, *elements: str, imports: str = "") -> bytes:
    """`imports`: ``name=namespace`` parted by blanks; the name may be empty."""
    head = HEAD.replace('namespace="urn:m"', f'namespace="{namespace}"')
    dmn = "https://www.omg.org/spec/DMN/20191111/MODEL/"
    named = (part.split("=") for part in imports.split())
    return (head + "".join(f'<import name="{name}" namespace="{ns}" importType="{dmn}"/>' for name, ns in named)
            + "".join(elements) + "</definitions>").encode()  # fmt: skip


def of(namespace: str, element: str) -> str:
    """The element, with its requirements in another file."""
    return element.replace('href="#', f'href="{namespace}#')


LIBRARY = file(
    "urn:lib", item("tPositive", "number", allowed="> 0"), given("x", "tPositive"), decision("x * 2", "x", name="twice"),
    knowledge("half", "n", "n / 2"), decision("x", "x", name="own"), service("times", "twice", data="x"))  # fmt: skip

IMPORTS: dict[str, tuple[bytes, dict[str, bytes], dict[str, Any], str]] = {
    "imported knowledge": (
        file("urn:m", of("urn:lib", decision("lib.half(4)", "+half")), imports="lib=urn:lib"), {"lib": LIBRARY}, {}, "2"),
    "an imported decision": (
        file("urn:m", of("urn:lib", decision("lib.twice + 1", "-twice")), imports="lib=urn:lib"), {"lib": LIBRARY}, {"x": 2}, "5"),
    "imported input data, given by its import's name": (
        file("urn:m", of("urn:lib", decision("lib.x", "x")), imports="lib=urn:lib"), {"lib": LIBRARY}, {"lib.x": 2}, "2"),
    "imported input data, given as a context": (
        file("urn:m", of("urn:lib", decision("lib.x", "x")), imports="lib=urn:lib"), {"lib": LIBRARY}, {"lib": {"x": 2}}, "2"),
    "an imported service": (
        file("urn:m", of("urn:lib", decision("lib.times(3)", "+times")), imports="lib=urn:lib"), {"lib": LIBRARY}, {}, "6"),
    "an imported service by the name of its argument": (
        file("urn:m", of("urn:lib", decision("lib.times(x: 3)", "+times")), imports="lib=urn:lib"), {"lib": LIBRARY}, {}, "6"),
    "an imported service in a boxed invocation": (
        file("urn:m", of("urn:lib", decision(call("lib.times", x="3"), "+times")), imports="lib=urn:lib"), {"lib": LIBRARY}, {}, "6"),
    "an imported type": (
        file("urn:m", decision("-1", type_="lib.tPositive"), imports="lib=urn:lib"), {"lib": LIBRARY}, {}, "null"),
    "an instance of an imported type": (
        file("urn:m", decision("1 instance of lib.tPositive"), imports="lib=urn:lib"), {"lib": LIBRARY}, {}, "true"),
    "a component of an imported type": (
        file("urn:m", item("t", "", component("n", "lib.tPositive")), decision("{n: -1}", type_="t"), imports="lib=urn:lib"),
        {"lib": LIBRARY}, {}, "null"),
    "a parameter of an imported type": (
        file("urn:m", knowledge("f", "a: lib.tPositive", "a"), decision("f(-1)", "+f"), imports="lib=urn:lib"), {"lib": LIBRARY}, {}, "null"),
    "an import's name of several parts": (
        file("urn:m", of("urn:lib", decision("a.b.half(4)", "+half")), imports="a.b=urn:lib"), {"lib": LIBRARY}, {}, "2"),
    "an import without a name": (
        file("urn:m", of("urn:lib", decision("half(4)", "+half")), imports="=urn:lib"), {"lib": LIBRARY}, {}, "2"),
    "a type of an import without a name": (
        file("urn:m", decision("-1", type_="tPositive"), imports="=urn:lib"), {"lib": LIBRARY}, {}, "null"),
    "two imports without names": (
        file("urn:m", of("urn:lib", decision("half(4) + 1", "+half", name="a")),
             of("urn:two", decision("third(9)", "+third", name="b")), decision("a + b", "-a", "-b"), imports="=urn:lib =urn:two"),
        {"lib": LIBRARY, "two": file("urn:two", knowledge("third", "n", "n / 3"))}, {}, "6"),
    "two imports with elements of one id": (
        file("urn:m", of("urn:lib", decision("one.half(4)", "+half", name="a")),
             of("urn:two", decision("two.half(9)", "+half", name="b")), decision("a + b", "-a", "-b"), imports="one=urn:lib two=urn:two"),
        {"lib": LIBRARY, "two": file("urn:two", knowledge("half", "n", "n / 3"))}, {}, "5"),
    "an import of an import": (
        file("urn:m", of("urn:mid", decision("mid.four + 1", "-four")), imports="mid=urn:mid"),
        {"mid": file("urn:mid", of("urn:lib", decision("lib.half(8)", "+half", name="four")), imports="lib=urn:lib"), "lib": LIBRARY},
        {}, "5"),
    "names with blanks in an import": (
        file("urn:m", of("urn:two", decision("two.the rate(9)", "+the rate")), imports="two=urn:two"),
        {"two": file("urn:two", knowledge("the rate", "n", "n / 3"))}, {}, "3"),
    "a name with an operator in an import": (
        file("urn:m", of("urn:two", decision("two.a-b(9) - 1", "+a-b")), imports="two=urn:two"),
        {"two": file("urn:two", knowledge("a-b", "n", "n / 3"))}, {}, "2"),
    "a service over imported decisions": (
        file("urn:m", of("urn:lib", service("s", "twice", data="x")), decision("s(5)", "+s"), imports="lib=urn:lib"),
        {"lib": LIBRARY}, {}, "10"),
    "an input decision of a service that is imported": (
        file("urn:m", of("urn:lib", decision("lib.own + 1", "-own", name="z")),
             service("s", "z").replace("</decisionService>", '<inputDecision href="urn:lib#own"/></decisionService>'),
             decision("s(own: 5)", "+s"), imports="lib=urn:lib"), {"lib": LIBRARY}, {}, "6"),
    "imported knowledge handed on as a value": (
        file("urn:m", of("urn:lib", decision("for f in [lib.half] return f(4)", "+half")), imports="lib=urn:lib"), {"lib": LIBRARY}, {}, "[2]"),
}


@pytest.mark.parametrize("name", IMPORTS)
def test_a_model_with_imports_answers_as_the_standard_says(name: str) -> None:
    main, others, inputs, wanted = IMPORTS[name]
    model = load_decisions(main, others, strict=False)

    answer = model.decide_in_feel("answer", {key: to_feel(value) for key, value in inputs.items()}, NOW)

    expected = compile_text(wanted).closure({None: Run(NOW)})
    assert BUILTINS["is"].call([answer, expected], None, Run(NOW)) is True, f"{answer!r} instead of {expected!r}"
    assert not model.problems


@pytest.mark.parametrize(("elements", "inputs", "reason"), [
    ([GRADE, given("g", "tGrade"), decision("g", "g")], {"g": "C"}, 'g = "C" is not allowed by tGrade ("A", "B")'),
    ([GRADE, decision('"C"', type_="tGrade")], {}, 'answer = "C" is not allowed by tGrade ("A", "B")'),
    ([GRADE, given("g", "tGrade"), decision("g", "g")], {"g": 1}, "g must be tGrade, not 1 (number)"),
    ([PERSON, given("p", "tPerson"), decision("p", "p")], {"p": {"name": "a"}}, 'p must be tPerson, not {name: "a"} (context)'),
    ([X, decision("x", "x")], {"x": "a"}, 'x must be number, not "a" (string)'),
    ([X, decision(table("x ! 1, 2", "r", "-; 2"), "x")], {"x": 3}, "x = 3 is not among the input values of `answer`"),
    ([decision(table("", "r: number", '"a"'))], {}, 'r must be number, not "a" (string)'),
])  # fmt: skip
def test_a_value_that_is_not_of_its_type_says_so(elements: list[str], inputs: dict[str, Any], reason: str) -> None:
    result = load_decisions((HEAD + "".join(elements) + "</definitions>").encode()).decide("answer", inputs, NOW)

    assert result.value is None
    assert reason in result.reasons
