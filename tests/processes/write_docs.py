"""Writes ``docs/processes``: of each process its diagram, roles, steps, forms, decisions, timers and where it comes from.

``python -m tests.processes.write_docs``
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from lxml import etree

from engine.access import GROUPS
from engine.forms import Component, read_form
from engine.layout.picture import draw_svg

ROOT = Path(__file__).parents[2]
PROCESSES, DOCS = ROOT / "processes", ROOT / "docs" / "processes"
_BPMN = "{http://www.omg.org/spec/BPMN/20100524/MODEL}"
_CAMUNDA = "{http://camunda.org/schema/1.0/bpmn}"
_DMN = "{https://www.omg.org/spec/DMN/20191111/MODEL/}"
_STEPS = {
    "userTask": "用户任务", "manualTask": "人工任务", "serviceTask": "服务任务", "sendTask": "发送任务", "receiveTask": "接收任务",
    "scriptTask": "脚本任务", "businessRuleTask": "业务规则任务", "callActivity": "调用流程", "subProcess": "子流程",
}  # fmt: skip
_TYPES = {
    "textfield": "文本", "textarea": "长文本", "number": "数", "select": "单选", "radio": "单选", "checkbox": "是/否", "checklist": "多选",
    "datetime": "日期时间", "dynamiclist": "表", "filepicker": "文件", "table": "表",
}  # fmt: skip
_GENERATED = "由 `python -m tests.processes.write_docs` 从 `processes/` 生成，请勿手改。"


def pages() -> dict[str, bytes]:
    """Return ``{file name in docs/processes: bytes}``."""
    sources = json.loads((PROCESSES / "sources.json").read_text("utf-8"))
    keys = sorted(folder.name for folder in PROCESSES.iterdir() if (folder / f"{folder.name}.bpmn").exists())
    processes = {key: _Process(key, sources.get(key, [])) for key in keys}
    callers: dict[str, list[str]] = {}
    for process in processes.values():
        for called in process.calls:
            callers.setdefault(called, []).append(process.key)
    found = {"README.md": _index(list(processes.values()))}
    for process in processes.values():
        found[f"{process.key}.md"] = ("\n".join(process.page(callers.get(process.key, []), processes)) + "\n").encode()
        found[f"{process.key}.svg"] = draw_svg(process.xml)
    return found


def _index(processes: list[_Process]) -> bytes:
    lines = ["# 流程库", "", _GENERATED, "", "| 流程 | 说明 | 角色 | 用户任务 |", "|---|---|---|---|"]
    for process in processes:
        tasks = sum(1 for _ in process.root.iter(f"{_BPMN}userTask"))
        lines.append(f"| [{process.name}]({process.key}.md) | {_cell(process.purpose)} | {'、'.join(process.roles)} | {tasks} |")
    return ("\n".join(lines) + "\n").encode()


class _Process:
    def __init__(self, key: str, sources: list[str]) -> None:
        self.key, self.sources = key, sources
        self.folder = PROCESSES / key
        self.xml = (self.folder / f"{key}.bpmn").read_bytes()
        self.document = etree.fromstring(self.xml)
        root = self.document.find(f"{_BPMN}process[@id='{key}']")
        assert root is not None, key
        self.root = root
        self.name = root.get("name", key)
        self.purpose = _documentation(root)
        self.roles = [lane.get("name", "") for lane in root.iter(f"{_BPMN}lane")]
        self.calls = sorted({called.get("calledElement", "") for called in root.iter(f"{_BPMN}callActivity")})

    def page(self, callers: list[str], known: dict[str, _Process]) -> Iterator[str]:
        def links(keys: list[str]) -> str:
            return "、".join(f"[{known[k].name}]({k}.md)" if k in known else f"`{k}`" for k in keys) or "—"

        yield from (f"# {self.name}", "", _GENERATED, "", self.purpose, "", f"![{self.name}]({self.key}.svg)", "")
        yield from (
            f"- 标识：`{self.key}`，版本 {self.root.get(f'{_CAMUNDA}versionTag', '—')}", f"- 出处：{'、'.join(self.sources) or '补充设计'}",
            f"- 角色：{'、'.join(self.roles)}", f"- 可由谁发起：{_groups(self.root.get(f'{_CAMUNDA}candidateStarterGroups', ''))}",
            f"- 被谁调用：{links(callers)}", f"- 调用：{links(self.calls)}", "",
        )
        yield from self._steps()
        yield from self._forms()
        yield from self._decisions()
        yield from self._events()
        yield from self._scenarios()

    def _steps(self) -> Iterator[str]:
        yield from ("## 步骤", "", "| 元素 | 种类 | 由谁 | 步骤 | 说明 |", "|---|---|---|---|---|")
        for node in self.root.iter():
            kind = etree.QName(node).localname if isinstance(node.tag, str) else ""
            if kind in _STEPS:
                by = _groups(node.get(f"{_CAMUNDA}candidateGroups", "")) if kind == "userTask" else ""
                by = by or node.get(f"{_CAMUNDA}topic") or node.get(f"{_CAMUNDA}decisionRef") or node.get("calledElement") or ""
                yield f"| `{node.get('id')}` | {_STEPS[kind]} | {_cell(by)} | {_cell(node.get('name', ''))} | {_cell(_documentation(node))} |"
        yield ""

    def _forms(self) -> Iterator[str]:
        files = sorted((self.folder / "forms").glob("*.form"))
        if files:
            yield from ("## 表单", "")
        for file in files:
            form = read_form(file.read_bytes(), file.name)
            yield from (f"### `{file.stem}` {form.title}", "", "| 字段 | 名称 | 类型 | 必填 | 校验 |", "|---|---|---|---|---|")
            yield from (line for component in form.components for line in _rows(component, ""))
            yield ""

    def _decisions(self) -> Iterator[str]:
        for file in sorted((self.folder / "decisions").glob("*.dmn")):
            for decision in etree.fromstring(file.read_bytes()).iter(f"{_DMN}decision"):
                table = decision.find(f"{_DMN}decisionTable")
                if table is None:
                    continue
                heads = [i.get("label") or _text(i.find(f"{_DMN}inputExpression/{_DMN}text")) for i in table.findall(f"{_DMN}input")]
                heads += [f"→ {o.get('label') or o.get('name')}" for o in table.findall(f"{_DMN}output")]
                yield from (f"## 决策 `{decision.get('id')}` {decision.get('name', '')}（{table.get('hitPolicy', 'UNIQUE')}）", "")
                described = _text(decision.find(f"{_DMN}description"))
                if described:
                    yield from (described, "")
                yield from (f"| {' | '.join(map(_cell, heads))} | 说明 |", "|" + "---|" * (len(heads) + 1))
                for rule in table.findall(f"{_DMN}rule"):
                    cells = [_text(e.find(f"{_DMN}text")) for e in (*rule.findall(f"{_DMN}inputEntry"), *rule.findall(f"{_DMN}outputEntry"))]
                    yield f"| {' | '.join(map(_cell, cells))} | {_cell(_text(rule.find(f'{_DMN}description')))} |"
                yield ""

    def _events(self) -> Iterator[str]:
        timers = [
            (event, child) for event in self.root.iter(f"{_BPMN}timerEventDefinition") for child in event if isinstance(child.tag, str)
        ]
        if timers:
            yield from ("## 计时器", "", "| 事件 | 名称 | 时间 | 附在 |", "|---|---|---|---|")
        for definition, when in timers:
            event = definition.getparent()
            assert event is not None
            yield f"| `{event.get('id')}` | {_cell(event.get('name', ''))} | `{_cell(_text(when))}` | {_cell(event.get('attachedToRef', ''))} |"
        if timers:
            yield ""
        ends = [e for e in self.root.iter(f"{_BPMN}endEvent")]
        yield from ("## 结束", "", "| 事件 | 名称 | 结果 |", "|---|---|---|")
        for end in ends:
            outcome = next((p.get("value", "") for p in end.iter(f"{_CAMUNDA}property") if p.get("name") == "outcome"), "")
            yield f"| `{end.get('id')}` | {_cell(end.get('name', ''))} | {_cell(outcome)} |"
        yield ""

    def _scenarios(self) -> Iterator[str]:
        files = sorted((self.folder / "scenarios").glob("*.json"))
        if files:
            yield from ("## 场景", "")
        for file in files:
            scenario = json.loads(file.read_text("utf-8"))
            yield f"- `{file.stem}` {scenario.get('title', '')}"


def _rows(component: Component, within: str) -> Iterator[str]:
    if component.key and component.type in _TYPES:
        kind = _TYPES[component.type] + ("（只读）" if component.readonly else "") + ("（金额，仅授权可见）" if component.price_field else "") + ("（人员）" if component.person is not None else "")
        required = "是" if component.required else "条件" if component.required_if is not None else "否"
        yield f"| `{within}{component.key}` | {_cell(component.label)} | {kind} | {required} | {_cell(component.rule_message)} |"
        within = f"{within}{component.key}." if component.type == "dynamiclist" else within
    for inner in component.components:
        yield from _rows(inner, within)


def _documentation(node: etree._Element) -> str:
    return _text(node.find(f"{_BPMN}documentation"))


def _text(node: etree._Element | None) -> str:
    return " ".join((node.text or "").split()) if node is not None else ""


def _groups(groups: str) -> str:
    return "、".join(GROUPS[g].zh if g in GROUPS else g for g in (g.strip() for g in groups.split(",")) if g)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def main() -> None:
    DOCS.mkdir(parents=True, exist_ok=True)
    made = pages()
    for file in DOCS.iterdir():
        if file.name not in made:
            file.unlink()
    for name, content in made.items():
        (DOCS / name).write_bytes(content)


if __name__ == "__main__":
    main()
