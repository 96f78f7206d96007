"""The command line as people meet it: exit status, texts, what is written."""

import hashlib
import json
import secrets
import shutil
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from engine.cli import main
from engine.clock import SystemClock

PROCESSES = Path(__file__).parents[2] / "processes"
DIAGRAM = """<?xml version="1.0" encoding="UTF-8"?>
<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:camunda="http://camunda.org/schema/1.0/bpmn"
    id="d" targetNamespace="urn:test">
  <bpmn:process id="two" name="两步" isExecutable="true">
    <bpmn:startEvent id="begin" name="开始"><bpmn:outgoing>f1</bpmn:outgoing></bpmn:startEvent>
    <bpmn:userTask id="write" name="编写" camunda:candidateGroups="bid_manager">
      <bpmn:incoming>f1</bpmn:incoming><bpmn:outgoing>f2</bpmn:outgoing></bpmn:userTask>
    <bpmn:endEvent id="done" name="完成"><bpmn:incoming>f2</bpmn:incoming></bpmn:endEvent>
    <bpmn:sequenceFlow id="f1" sourceRef="begin" targetRef="write"/>
    <bpmn:sequenceFlow id="f2" sourceRef="write" targetRef="done"/>
  </bpmn:process>
</bpmn:definitions>
"""
SCENARIO = {
    "name": "straight", "title": "一次走完", "clock": "2026-03-02T09:00:00+08:00", "start": {"process": "two", "by": "process_owner"},
    "steps": [{"expect": {"open": ["two.write"]}}, {"advance": "PT1H"}, {"complete": "two.write", "by": "bid_manager"}],
    "expect": {"status": "completed", "ends": ["two.done"]},
}


@pytest.fixture
def library(tmp_path):
    folder = tmp_path / "library" / "two"
    (folder / "scenarios").mkdir(parents=True)
    (folder / "two.bpmn").write_text(DIAGRAM, "utf-8")
    (folder / "scenarios" / "straight.json").write_text(json.dumps(SCENARIO, ensure_ascii=False), "utf-8")
    return tmp_path / "library"


@pytest.fixture
def psmflow(tmp_path, monkeypatch):
    """Run the command line on data of its own; gives the finished run."""
    monkeypatch.setenv("PSMFLOW_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("PSMFLOW_SYNCHRONOUS", "NORMAL")

    def run(*words, input=None):
        return CliRunner().invoke(main, [str(w) for w in words], input=input)

    return run


@pytest.mark.parametrize("command", [name for name in main.commands if name not in ("user", "hold", "heads")])
def test_every_command_explains_itself_with_an_example(psmflow, command):
    result = psmflow(command, "--help")

    assert result.exit_code == 0
    assert f"psmflow {command}" in result.output.split("Example:")[1]


def test_wrong_use_is_told_with_status_2(psmflow, tmp_path):
    assert psmflow("nonsense").exit_code == 2
    assert psmflow("deploy").exit_code == 2
    assert psmflow("rehearse", tmp_path).exit_code == 2
    assert psmflow("check", tmp_path / "absent.bpmn").exit_code == 2


def test_a_sound_diagram_has_no_problems(psmflow, library):
    result = psmflow("check", library / "two" / "two.bpmn")

    assert result.exit_code == 0, result.output
    assert "0 个必须更正的问题" in result.output


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda x: x.replace("<bpmn:definitions", "<!DOCTYPE a [<!ENTITY b 'c'>]><bpmn:definitions"), "DOCTYPE"),
        (lambda x: x.replace("20100524", "19990101"), "BPMN"),
        (lambda x: x[:400], "XML"),
        (lambda x: x.replace('isExecutable="true"', 'isExecutable="false"'), "executable"),
        (lambda x: x.replace('targetRef="done"', 'targetRef="nowhere"'), "nowhere"),
        (lambda x: x.replace('camunda:candidateGroups="bid_manager"', 'camunda:formKey="two.absent"'), "two.absent"),
        (lambda x: x.replace("userTask", "serviceTask").replace('camunda:candidateGroups="bid_manager"', 'camunda:type="external" camunda:topic="no.such"'), "no.such"),
        (lambda x: x.replace('targetRef="done"/>', 'targetRef="done"><bpmn:conditionExpression>amount &gt;</bpmn:conditionExpression></bpmn:sequenceFlow>'), "amount >"),
    ],
    ids=["doctype", "namespace", "truncated", "not executable", "dangling", "missing form", "unknown handler", "broken expression"],
)
def test_a_bad_diagram_is_refused_with_the_place_and_the_way_to_mend_it(psmflow, library, damage, said):
    file = library / "two" / "two.bpmn"
    file.write_text(damage(DIAGRAM), "utf-8")

    checked, deployed = psmflow("check", file), psmflow("deploy", file)

    assert checked.exit_code == 1
    assert said in checked.output
    assert "two.bpmn" in checked.output
    assert deployed.exit_code == 1
    assert "没有" in psmflow("deploy", library, "--name", "x").output or deployed.exit_code == 1


def test_the_strict_report_counts_what_the_letter_of_the_standard_forbids(psmflow, library):
    file = library / "two" / "two.bpmn"
    file.write_text(DIAGRAM.replace("</bpmn:process>", '<bpmn:exclusiveGateway id="lone" /><bpmn:sequenceFlow id="l1" sourceRef="begin" targetRef="lone" /><bpmn:sequenceFlow id="l2" sourceRef="lone" targetRef="done" /></bpmn:process>'), "utf-8")

    lenient, strict = psmflow("check", file), psmflow("check", "--strict", file)

    assert "GW-USELESS" in lenient.output
    assert lenient.exit_code == 0, lenient.output
    assert strict.exit_code == 1
    assert "BPMN 2.0 一致性：须更正" in strict.output
    assert "must be mended" in strict.output


def test_findings_are_json_for_programs(psmflow, library):
    file = library / "two" / "two.bpmn"
    file.write_text(DIAGRAM.replace('targetRef="done"', 'targetRef="nowhere"'), "utf-8")

    found = json.loads(psmflow("check", "--json", file).stdout)

    assert {"rule", "severity", "file", "element", "line", "zh", "en", "mend_zh", "mend_en"} <= set(found[0])


def test_deploying_again_what_did_not_change_makes_no_new_version(psmflow, library):
    assert "two 第 1 版" in psmflow("deploy", library).output
    assert "没有变化" in psmflow("deploy", library).output


def test_a_scenario_passes_and_covers_everything(psmflow, library):
    result = psmflow("rehearse", library / "two", "--json")

    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["scenarios"][0] | {"events": 0} == {
        "name": "straight", "process": "two", "passed": True, "outcome": "done", "events": 0, "failure": ""
    }
    assert report["coverage"] == {"nodes": 1.0, "flows": 1.0, "missing": []}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"steps": [{"complete": "two.other", "by": "bid_manager"}]}, "open are: two.write"),
        ({"steps": [{"complete": "two.write", "by": "legal_counsel"}]}, "step 1"),
        ({"steps": []}, "the instance is active"),
        ({"steps": [{"jump": 1}]}, "unknown step"),
        ({"steps": [{"message": "hello", "by": "bid_manager"}]}, "cannot send the message hello"),
        ({"expect": {"status": "completed", "outcome": "won"}}, "the outcome is 'done'"),
    ],
)
def test_a_scenario_that_goes_otherwise_fails_and_says_how(psmflow, library, change, said):
    (library / "two" / "scenarios" / "straight.json").write_text(json.dumps({**SCENARIO, **change}, ensure_ascii=False), "utf-8")

    result = psmflow("rehearse", library)

    assert result.exit_code == 1
    assert said in result.output


def test_a_scenario_file_that_is_none_is_told(psmflow, library):
    (library / "two" / "scenarios" / "straight.json").write_text("{", "utf-8")

    result = psmflow("rehearse", library)

    assert result.exit_code == 1
    assert "straight.json" in result.output


def test_a_person_is_added_with_roles(psmflow):
    added = psmflow("user", "add", "wang", "--name", "王磊", "--group", "bid_manager", input="geheim-123\ngeheim-123\n")

    assert added.exit_code == 0, added.output
    assert psmflow("user", "add", "wang", "--name", "x", "--group", "nonsense", "--password", "x").exit_code == 2


def test_a_backup_is_told_and_never_overwrites(psmflow, library, tmp_path):
    psmflow("deploy", library)
    copy = tmp_path / "copy.zip"

    made = psmflow("backup", copy)

    assert made.exit_code == 0, made.output
    assert "流程实例 0，事件 0，文件 0" in made.output
    assert hashlib.sha256(copy.read_bytes()).hexdigest() in made.output
    assert psmflow("backup", copy).exit_code == 2


def test_a_restored_house_goes_on_where_the_backup_was(psmflow, library, tmp_path):
    psmflow("deploy", library)
    folder = tmp_path / "backups"
    folder.mkdir()
    assert psmflow("backup", folder).exit_code == 0
    (archive,) = folder.iterdir()

    refused = psmflow("restore", archive)
    assert refused.exit_code == 1
    assert "--force" in refused.output
    restored = psmflow("restore", archive, "--data", tmp_path / "elsewhere")

    assert restored.exit_code == 0, restored.output
    assert "核对无误" in restored.output
    assert "没有变化" in psmflow("deploy", library, "--data", tmp_path / "elsewhere").output


def test_verify_finds_one_changed_byte_in_a_copy(psmflow, library, tmp_path):
    from engine import Actor, open_engine, read_settings

    psmflow("deploy", library)
    engine = open_engine(read_settings({}, data=tmp_path / "data"), dispatching=False)
    owner = Actor(id="po", groups=frozenset({"process_owner", "bid_manager"}))
    instance = engine.instances.start(owner, "two", {"amount": 1000})
    engine.instances.set_variables(owner, instance.id, {"large": secrets.token_hex(2000)}, "stands apart")
    engine.tasks.complete(owner, engine.tasks.of_instance(owner, instance.id)[0].id, {"note": "秘密"})
    engine.close()
    assert psmflow("verify").exit_code == 0

    for table, column in (("event", "body"), ("event", "payloads"), ("event_payload", "body")):
        copy = tmp_path / f"copy-{table}-{column}"
        shutil.copytree(tmp_path / "data", copy)
        with sqlite3.connect(copy / "psmflow.db") as db:
            rowid, body = db.execute(f"select seq, {column} from {table} where length({column}) > 0 order by seq desc").fetchone()
            changed = bytes(body[:-1]) + bytes([body[-1] ^ 1]) if isinstance(body, bytes) else body[:-1] + chr(ord(body[-1]) ^ 1)
            db.execute("drop trigger if exists event_no_update")
            db.execute(f"update {table} set {column} = ? where seq = ?", (changed, rowid))
        db.close()
        result = psmflow("verify", "--data", copy)
        assert result.exit_code == 1, f"{table}: {result.output}"
        assert str(instance.id) in result.output


QUOTE = PROCESSES / "psm040_quotation" / "decisions" / "dmn_quote_approval.dmn"


@pytest.fixture
def variables(tmp_path):
    def write(document):
        file = tmp_path / "variables.json"
        file.write_text(document if isinstance(document, str) else json.dumps(document, ensure_ascii=False), "utf-8")
        return file

    return write


def test_feel_prints_the_value_of_an_expression_over_the_context(psmflow, variables):
    context = variables({"报价金额": 1200000.1, "投标 截止 时间": {"@": "2026-12-10T09:30:00+08:00"}})

    result = psmflow("feel", '报价金额 * 2 > 100 and 投标 截止 时间 - now() = duration("P9D")', "--context", context,
                     "--now", "2026-12-01T09:30:00")

    assert (result.exit_code, result.output) == (0, "true\n")


def test_feel_reads_decimals_exactly(psmflow, variables):
    assert psmflow("feel", "a + 0.2", "--context", variables('{"a": 0.1}')).output == "0.3\n"


def test_feel_explains_every_part(psmflow, variables):
    result = psmflow("feel", "a > 1 and b", "--context", variables({"a": 2, "b": False}), "--explain")

    assert result.output.splitlines() == ["a > 1 and b  =  false", "  a > 1  =  true", "    a  =  2", "  b  =  false"]


def test_feel_says_why_a_value_is_null(psmflow, variables):
    result = psmflow("feel", "报价 > 1", "--context", variables({"报价金额": 1}), "--json")

    said = json.loads(result.stdout)
    assert said["value"] is None
    assert said["reasons"] == [{"zh": "未知的名称“报价”", "en": "unknown name `报价`"}]
    assert "第 1 行第 1 列：没有名为“报价”的变量" in result.stderr


@pytest.mark.parametrize(("words", "said", "status"), [
    (("feel", "a =="), "第 1 行第 3 列", 1),
    (("feel", "1", "--now", "morgen"), "--now", 2),
    (("feel", "for i in 1..1000000000 return i"), "计算步数超过上限", 1),
])
def test_feel_refuses_what_it_cannot_run(psmflow, words, said, status):
    result = psmflow(*words)

    assert result.exit_code == status
    assert said in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("document", ["{", "[1]", '{"a": {"@": "nonsense"}}'])
def test_a_context_that_cannot_be_read_is_named(psmflow, variables, document):
    result = psmflow("feel", "1", "--context", variables(document))

    assert result.exit_code == 2
    assert "variables.json" in result.output


def test_decide_gives_the_result_and_the_rules_that_matched(psmflow, variables):
    inputs = variables({"margin_rate": 0.1, "total_amount": 50000, "nonstandard_terms": False})

    said = json.loads(psmflow("decide", QUOTE, "--input", inputs, "--json").stdout)

    assert said == {"value": "sales_manager,finance_officer,company_leader", "reasons": [], "rules": [2]}


def test_decide_explains_which_cell_decided(psmflow, variables):
    inputs = variables({"margin_rate": 0.1, "total_amount": 50000, "nonstandard_terms": False})

    lines = psmflow("decide", QUOTE, "--input", inputs, "--explain").stdout.splitlines()

    assert "    margin_rate: < 0  =  false" in lines
    assert "    margin_rate: < 0.15  =  true" in lines


def test_decide_names_the_decisions_when_none_is_told(psmflow, tmp_path):
    file = tmp_path / "two.dmn"
    file.write_text("""<definitions xmlns="https://www.omg.org/spec/DMN/20191111/MODEL/" id="d" name="d" namespace="urn:d">
      <decision id="first" name="First"><literalExpression><text>1</text></literalExpression></decision>
      <decision id="second" name="Second"><literalExpression><text>2</text></literalExpression></decision></definitions>""")

    assert "first、second" in psmflow("decide", file).output
    assert psmflow("decide", file, "--decision", "Second").output == "2\n"
    assert "没有决策“third”" in psmflow("decide", file, "--decision", "third").output


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_nobody_works_in_a_demo_whose_clock_was_put_forward(psmflow, tmp_path, monkeypatch, command):
    monkeypatch.delenv("PSMFLOW_DEMO", raising=False)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "demo-clock").write_text("2592000\n")

    result = psmflow(command)

    assert result.exit_code == 1
    assert "不能用于正式工作" in result.output
    assert "Start it with --demo" in result.output
    assert not (tmp_path / "data" / "psmflow.db").exists()


def test_who_looks_at_a_demo_does_so_by_its_clock(psmflow, library, tmp_path):
    from engine import SYSTEM, open_engine, read_settings

    assert psmflow("deploy", library).exit_code == 0
    with open_engine(read_settings(demo=True)) as engine:
        engine.put_clock_forward(SYSTEM, engine.clock.now() + timedelta(days=30))
        engine.instances.start(SYSTEM, "two")

    assert psmflow("verify").exit_code == 0
    assert "clock" not in psmflow("doctor").output
    assert psmflow("incidents").exit_code == 0
    with open_engine(read_settings()) as engine:
        assert engine.clock.now() > SystemClock().now() + timedelta(days=29)
