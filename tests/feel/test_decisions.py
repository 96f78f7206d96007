"""DMN decisions over Python's values: hit policies, graphs, what an audit needs, and what a file may not hold."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from engine.feel import DecisionError, Explained, FeelLimit
from engine.feel.dmn import DecisionResult, load_decisions
from tests.feel.tables import HEAD, literal, table

NOW = datetime(2026, 12, 1, 1, 30, tzinfo=UTC)


def decide(xml: bytes, **variables: Any) -> DecisionResult:
    model = load_decisions(xml)
    return model.decide(model.decisions[-1].id, variables, NOW)


RULES = [["< 10", '"low"'], ["[5..20]", '"middle"'], ["> 15", '"high"']]
RANKED = '"high", "middle", "low"'


# ------------------------------------------------------------------------------------------------------------ hit policies
@pytest.mark.parametrize(
    ("policy", "amount", "value", "rules"),
    [
        ("UNIQUE", 1, "low", (1,)),
        ("UNIQUE", 7, None, (1, 2)),
        ("FIRST", 7, "low", (1,)),
        ("ANY", 7, None, (1, 2)),
        ("PRIORITY", 7, "middle", (1, 2)),
        ("PRIORITY", 17, "high", (2, 3)),
        ("OUTPUT ORDER", 7, ["middle", "low"], (1, 2)),
        ("RULE ORDER", 7, ["low", "middle"], (1, 2)),
        ("COLLECT", 7, ["low", "middle"], (1, 2)),
    ],
)
def test_a_hit_policy_picks_among_the_rules(policy: str, amount: int, value: Any, rules: tuple[int, ...]) -> None:
    result = decide(table({"amount": "number"}, RULES, policy=policy, output_values=[RANKED]), amount=amount)

    assert result.value == value
    assert result.rules == rules


@pytest.mark.parametrize(("aggregation", "value"), [("SUM", 3), ("MIN", 1), ("MAX", 2), ("COUNT", 2)])
def test_collected_outputs_are_aggregated(aggregation: str, value: int) -> None:
    rules = [["< 10", "1"], ["[5..20]", "2"], ["> 15", "4"]]

    assert decide(table({"amount": "number"}, rules, policy="COLLECT", aggregation=aggregation), amount=7).value == value


def test_two_matches_under_unique_are_an_error_that_names_the_rules() -> None:
    result = decide(table({"amount": "number"}, RULES), amount=7)

    assert result.reasons == ("the rules 1, 2 of `rating` match together, but UNIQUE allows one",)
    assert "规则 1, 2" in result.reasons[0].zh


def test_the_same_outputs_agree_under_any() -> None:
    assert decide(table({"amount": "number"}, [["< 10", "1"], ["< 20", "1"]], policy="ANY"), amount=7).value == 1


@pytest.mark.parametrize(
    ("policy", "aggregation", "value"),
    [("UNIQUE", "", None), ("FIRST", "", None), ("ANY", "", None), ("PRIORITY", "", None), ("RULE ORDER", "", []),
     ("OUTPUT ORDER", "", []), ("COLLECT", "", []), ("COLLECT", "SUM", None), ("COLLECT", "COUNT", 0)],
)  # fmt: skip
def test_without_a_match_the_answer_is_empty(policy: str, aggregation: str, value: Any) -> None:
    result = decide(table({"amount": "number"}, [["< 10", "1"]], policy=policy, aggregation=aggregation), amount=70)

    assert result.value == value
    assert bool(result.reasons) is (value is None)


def test_without_a_match_the_reason_shows_the_inputs() -> None:
    result = decide(table({"amount": "number"}, [["< 10", "1"]]), amount=70)

    assert result.reasons == ("no rule of `rating` matches amount = 70",)


def test_without_a_match_defaults_are_taken() -> None:
    xml = table({"amount": "number"}, [["< 10", "1", "2"]], outputs=["a", "b"], defaults=["8", "9"])

    assert decide(xml, amount=70).value == {"a": 8, "b": 9}


def test_several_outputs_are_a_context() -> None:
    xml = table({"amount": "number"}, [["-", '"总经理"', 'duration("P2D")']], outputs=["审批人", "时限"])

    assert decide(xml, amount=1).value == {"审批人": "总经理", "时限": timedelta(days=2)}


def test_a_value_outside_the_input_values_matches_nothing() -> None:
    result = decide(table({"region": "string"}, [["-", "1"]], allowed={"region": '"north", "south"'}), region="west")

    assert result.value is None
    assert result.reasons == ('region = "west" is not among the input values of `rating`',)


def test_an_input_of_another_type_is_null_with_a_reason() -> None:
    result = decide(table({"amount": "number"}, [["< 10", "1"]]), amount="7")

    assert result.reasons[0] == 'amount must be number, not "7" (string)'


def test_names_in_a_table_may_be_chinese_and_hold_blanks() -> None:
    assert decide(table({"报价 金额": "number"}, [["> 100", '"大"'], ["<= 100", '"小"']]), **{"报价 金额": 101}).value == "大"


# ------------------------------------------------------------------------------------------------------------ for the audit
def test_a_result_tells_what_was_read_and_what_matched() -> None:
    xml = table({"amount": "number", "vip": "boolean"}, [["< 10", "-", "1"], [">= 10", "true", "2"]])

    result = decide(xml, amount=Decimal("12.5"), vip=True, unread=9)

    assert result.inputs == {"amount": Decimal("12.5"), "vip": True}
    assert result.rules == (2,)
    [hit] = result.tables
    assert (hit.decision, dict(hit.inputs), hit.rules) == ("rating", {"amount": Decimal("12.5"), "vip": True}, (2,))


GRAPH = (
    HEAD
    + """
<inputData id="i" name="amount"><variable name="amount" typeRef="number"/></inputData>
<inputData id="j" name="margin"><variable name="margin" typeRef="number"/></inputData>
<businessKnowledgeModel id="k" name="fac"><variable name="fac"/><encapsulatedLogic>
  <formalParameter name="n" typeRef="number"/>
  <literalExpression><text>if n &lt; 2 then 1 else n * fac(n - 1)</text></literalExpression>
</encapsulatedLogic></businessKnowledgeModel>
<decision id="risk" name="Risk level"><variable name="Risk level"/>
  <informationRequirement><requiredInput href="#j"/></informationRequirement>
  <decisionTable hitPolicy="FIRST"><input><inputExpression><text>margin</text></inputExpression></input><output/>
    <rule><inputEntry><text>&lt; 0.1</text></inputEntry><outputEntry><text>"high"</text></outputEntry></rule>
    <rule><inputEntry><text>-</text></inputEntry><outputEntry><text>"low"</text></outputEntry></rule>
  </decisionTable></decision>
<decision id="approval" name="Approval"><variable name="Approval"/>
  <informationRequirement><requiredInput href="#i"/></informationRequirement>
  <informationRequirement><requiredDecision href="#risk"/></informationRequirement>
  <knowledgeRequirement><requiredKnowledge href="#k"/></knowledgeRequirement>
  <context>
    <contextEntry><variable name="is large"/><literalExpression>
      <text>amount &gt; fac(5)</text></literalExpression></contextEntry>
    <contextEntry><variable name="by"/><literalExpression>
      <text>if is large or Risk level = "high" then "director" else "manager"</text></literalExpression></contextEntry>
  </context></decision>
<decisionService id="s" name="Approve"><variable name="Approve"/><outputDecision href="#approval"/>
  <encapsulatedDecision href="#risk"/><inputData href="#i"/><inputData href="#j"/></decisionService>
</definitions>"""
).encode()


def test_a_decision_evaluates_what_it_requires() -> None:
    model = load_decisions(GRAPH)

    result = model.decide("approval", {"amount": 100, "margin": 0.05}, NOW)

    assert result.value == {"is large": False, "by": "director"}
    assert result.rules == ()
    assert [(hit.decision, hit.rules) for hit in result.tables] == [("risk", (1,))]
    assert result.inputs == {"amount": 100, "margin": 0.05}


def test_a_decision_is_found_by_id_or_name_and_so_is_a_service() -> None:
    model = load_decisions(GRAPH)

    assert [(d.id, d.name, d.inputs, d.is_table) for d in model.decisions] == [
        ("risk", "Risk level", ("margin",), True),
        ("approval", "Approval", ("amount", "margin"), False),
    ]
    assert model.decide("Risk level", {"margin": 1}, NOW).value == "low"
    assert model.decide("Approve", {"amount": 121, "margin": 1}, NOW).value == {"is large": True, "by": "director"}
    with pytest.raises(DecisionError, match="there is no decision `x`"):
        model.decide("x", {}, NOW)


def test_an_input_that_is_not_given_is_null_with_a_reason() -> None:
    result = load_decisions(GRAPH).decide("risk", {}, NOW)

    assert result.value == "low"
    assert result.reasons == ("the input `margin` is not given",)


def test_a_file_without_input_data_reads_the_variables() -> None:
    xml = table({"amount": "number"}, [["> limit", '"big"'], ["<= limit", '"small"']], declare_inputs=False)

    result = decide(xml, amount=5, limit=3, other=1)

    assert result.value == "big"
    assert result.inputs == {"amount": 5, "limit": 3}


def test_a_decision_knows_the_time_it_is_given() -> None:
    assert decide(literal("today()")).value == date(2026, 12, 1)


def test_another_files_elements_are_seen_under_the_imports_name() -> None:
    library = literal("6 * 7", name="answer").replace(b'namespace="urn:m"', b'namespace="urn:lib"')
    main = literal(
        "lib.answer + 1",
        name="next",
        declarations='<import name="lib" namespace="urn:lib" importType="https://www.omg.org/spec/DMN/20191111/MODEL/"/>',
        requires='<informationRequirement><requiredDecision href="urn:lib#answer"/></informationRequirement>',
    )

    assert load_decisions(main, {"lib.dmn": library}).decide("next", {}, NOW).value == 43
    with pytest.raises(DecisionError, match="`lib` was not given"):
        load_decisions(main)


def test_a_name_that_nothing_gives_is_warned_of() -> None:
    misspelt = GRAPH.replace(b"amount &gt; fac(5)", b"amout &gt; fak(5)")

    assert load_decisions(GRAPH).warnings == ()
    assert [(w.element, w.line, w.en.partition(",")[0]) for w in load_decisions(misspelt).warnings] == [
        ("approval", 20, "`Approval` reads `amout`"),
        ("approval", 20, "`Approval` reads `fak`"),
    ]
    assert "amout" in load_decisions(misspelt).warnings[0].zh


def test_an_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="`now` needs a time zone"):
        load_decisions(GRAPH).decide("risk", {"margin": 1}, datetime(2026, 12, 1))


def test_threads_share_a_model() -> None:
    model = load_decisions(GRAPH)
    wrong: list[Any] = []

    def work(amount: int) -> None:
        for _ in range(50):
            if model.decide("approval", {"amount": amount, "margin": 1}, NOW).value["is large"] is not (amount > 120):
                wrong.append(amount)

    threads = [threading.Thread(target=work, args=(amount,)) for amount in (1, 119, 121, 500)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


# --------------------------------------------------------------------------------------------------------- what is refused
@pytest.mark.parametrize(
    ("xml", "message", "line"),
    [
        (b"", "the file is no XML", None),
        (b"<a>", "the file is no XML", None),
        (b"<a/>", "the file holds no DMN definitions", 1),
        (b'<!DOCTYPE d [<!ENTITY e "x">]>' + literal("1"), "a DOCTYPE is not allowed", 1),
        (literal("1 +"), "an expression expected, but the text ends (line 1, column 4 of the text)", 1),
        (literal("1 ==\n 2"), "`==` is no FEEL: write `=`", 1),
        (table({"a": "number"}, [["-", "1"], ["< < 1", "2"]]), "`< 1` cannot stand here", 3),
        (table({"a": "number"}, [["-", "1", "2"]]), "rule 1 has not one cell per column", 2),
        (table({"a": "nonsense"}, [["-", "1"]]), "there is no type `nonsense`", 1),
        (table({"a": "number"}, [["-", "1"]], policy="BEST"), "there is no hit policy BEST", 1),
        (table({"a": "number"}, [["-", "1"]], policy="COLLECT", aggregation="AVG"), "there is no hit policy COLLECT AVG", 1),
        (
            literal("1").replace(b"<literalExpression>", b'<literalExpression expressionLanguage="juel">'),
            "the expression language juel is not run here, only FEEL",
            1,
        ),
        (
            literal("1", requires='<informationRequirement><requiredInput href="#gone"/></informationRequirement>'),
            "`answer` requires #gone, which is not there",
            1,
        ),
        (
            literal("1", requires='<informationRequirement><requiredDecision href="#answer"/></informationRequirement>'),
            "`answer` requires itself",
            1,
        ),
        (b"<definitions>" + b" " * 5_000_000, "the file is too large", 0),
    ],
)
def test_a_file_that_cannot_run_right_is_refused_with_its_line(xml: bytes, message: str, line: int | None) -> None:
    with pytest.raises(DecisionError) as refused:
        load_decisions(xml)

    assert refused.value.message.startswith(message)
    assert refused.value.zh != refused.value.message
    assert line is None or refused.value.line == line


def test_an_entity_is_not_read_from_the_machine() -> None:
    with pytest.raises(DecisionError):
        load_decisions(b'<!DOCTYPE d [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + literal("&e;"))


def test_without_strictness_what_is_wrong_is_null_and_the_rest_runs() -> None:
    xml = table({"a": "number"}, [["< < 1", "1"], ["-", "2"]])

    model = load_decisions(xml, strict=False)

    assert [problem.element for problem in model.problems] == ["rating"]
    assert model.decide("rating", {"a": 0}, NOW).value == 2


def test_a_decision_that_would_not_end_is_stopped() -> None:
    with pytest.raises(FeelLimit):
        decide(literal("for i in 1..100000000 return i"))


def test_external_functions_exist_only_when_they_are_given() -> None:
    text = '{f: function(x) external {java: {class: "m", method signature: "g(int)"}}, r: f(20)}.r'

    without = load_decisions(literal(text)).decide("answer", {}, NOW)
    given = load_decisions(literal(text), external={"m.g(int)": lambda x: x + 1}).decide("answer", {}, NOW)

    assert (without.value, without.reasons) == (None, ("external functions are not available",))
    assert given.value == 21


# ---------------------------------------------------------------------------------------------------------------- explain
def told(tree: Explained) -> list[str]:
    return list(tree.lines())


def test_explain_shows_the_required_decisions_and_inputs() -> None:
    xml = (
        f'{HEAD}<inputData id="a" name="a"><variable name="a"/></inputData>'
        '<decision id="base" name="base"><variable name="base"/><informationRequirement><requiredInput href="#a"/>'
        "</informationRequirement><literalExpression><text>a * 2</text></literalExpression></decision>"
        '<decision id="fee" name="fee"><variable name="fee"/><informationRequirement><requiredDecision href="#base"/>'
        "</informationRequirement><context><contextEntry><variable name='rate'/><literalExpression><text>0.1</text>"
        "</literalExpression></contextEntry><contextEntry><literalExpression><text>base * rate</text></literalExpression>"
        "</contextEntry></context></decision></definitions>"
    ).encode()

    assert told(load_decisions(xml).explain("fee", {"a": 10}, NOW)) == [
        "fee  =  2",
        "  base  =  20",
        "    a  =  10",
        "    a * 2  =  20",
        "      a  =  10",
        "  {…}  =  2",
        "    rate  =  0.1",
        "    base * rate  =  2",
        "      base  =  20",
        "      rate  =  0.1",
    ]


def test_explain_shows_each_rule_up_to_the_cell_that_failed() -> None:
    xml = table({"a": "number", "b": "string"}, [["< 10", '"x"', "1"], ["< 10", '"y"', "a + 1"], ["> 10", "-", "3"]])

    tree = load_decisions(xml).explain("rating", {"a": 5, "b": "y"}, NOW)

    assert told(tree)[3:] == [
        "  a  =  5",
        "  b  =  \"y\"",
        "  rating 1  =  false",
        "    a: < 10  =  true",
        '    b: "x"  =  false',
        "  rating 2  =  true",
        "    a: < 10  =  true",
        '    b: "y"  =  true',
        "  rating 3  =  false",
        "    a: > 10  =  false",
        "  a + 1  =  6",
        "    a  =  5",
    ]


def test_explain_and_decide_agree() -> None:
    xml = table({"a": "number"}, [row for row in RULES], policy="COLLECT")

    model = load_decisions(xml)

    assert model.explain("rating", {"a": 7}, NOW).value == model.decide("rating", {"a": 7}, NOW).value


def test_a_long_table_is_explained_by_its_first_rules_and_those_that_match() -> None:
    xml = table({"a": "number"}, [[str(n), str(n)] for n in range(1000)])

    tree = load_decisions(xml).explain("rating", {"a": 990}, NOW)

    rules = [child.text for child in tree.children if child.text.startswith("rating ")]
    assert (rules[0], rules[-1], len(rules)) == ("rating 1", "rating 991", 201)
