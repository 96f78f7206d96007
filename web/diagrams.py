"""Pages around diagrams: process definitions, their pictures and differences, and the modeler with its drafts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import generate_csrf

from engine import access, events
from engine.errors import NotFound, StalePage
from engine.events import Recorded
from engine.model import DefinitionId, Draft, Finding, Incident, ProcessDefinition, ProcessInstance, Severity
from web.context import actor, engine, known_names, web
from web.difference import BPMN, CAMUNDA, Change, differences, parse
from web.guard import drawing_board, engine_problem, finding_json, takes_diagram
from web.language import gettext

bp = Blueprint("diagrams", __name__)

_OUTCOME = "outcome "
_LABELS_KEPT = 500
_STAGE = re.compile(r"psm\d{3}")
_KEY = re.compile(r"[a-z][a-z0-9_]{1,59}")


# ------------------------------------------------------------------------------------------------ what other pages need
def names(definitions: Sequence[ProcessDefinition]) -> dict[tuple[str, str], str]:
    """Return ``{(process key, element id): label}`` of every named element, ``{("", outcome): label}`` of the first's ends."""
    found = {(d.key, element): label for d in definitions for element, label in _labels(d.id).items()}
    for element, label in _labels(definitions[0].id).items() if definitions else ():
        if element.startswith(_OUTCOME):
            found["", element.removeprefix(_OUTCOME)] = label
    return found


def outcome(instance: ProcessInstance) -> str:
    """Return how an instance ended: the label of the end event with that outcome, a person's reason as it was written."""
    ended = instance.outcome or ""
    labels = _labels(instance.definition_id)
    return labels.get(_OUTCOME + ended) or labels.get(ended) or ended


def _labels(definition_id: DefinitionId) -> Mapping[str, str]:
    """Return ``{element id: label, "outcome <value>": label of the end event}``; a deployed diagram never changes."""
    kept = web().labels
    found = kept.get(definition_id)
    if found is None:
        root = parse(engine().deployments.diagram(actor(), definition_id))
        found = {str(e.get("id")): str(e.get("name")) for e in root.iter() if e.get("id") and e.get("name")}
        for end in root.iter(f"{{{BPMN}}}endEvent"):
            for field in end.iter(f"{{{CAMUNDA}}}property"):
                if field.get("name") == "outcome" and end.get("name"):
                    found[_OUTCOME + (field.get("value") or "")] = str(end.get("name"))
        if len(kept) >= _LABELS_KEPT:
            kept.clear()
        kept[definition_id] = found
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where an instance stands. Both: ``{(process key, element id): count}``."""

    tokens: Mapping[tuple[str, str], int]
    done: Mapping[tuple[str, str], int]


def standing(history: Iterable[Recorded]) -> Standing:
    """Fold the history into the tokens on each element and how often each was completed.

    The instances of a loop or multi-instance activity stand where their host stands: they are counted, the host is not.
    """
    where: dict[int, tuple[str, str]] = {}
    hosts: dict[int, int] = {}
    with_instances: set[int] = set()
    done: dict[tuple[str, str], int] = {}
    for recorded in history:
        match recorded.event:
            case events.ActivityStarted(token=token, process=process, element=element, host=host):
                where[token] = (process, element)
                if host is not None:
                    hosts[token] = host
                    with_instances.add(host)
            case events.ActivityCompleted(token=token, process=process, element=element):
                where.pop(token, None)
                if token not in with_instances:
                    done[process, element] = done.get((process, element), 0) + 1
            case events.ActivityCancelled(token=token) | events.TokenJoined(token=token):
                where.pop(token, None)
    tokens: dict[tuple[str, str], int] = {}
    counted_by_instances = {host for token, host in hosts.items() if where.get(token) == where.get(host)}
    for number, place in where.items():
        if number not in counted_by_instances:
            tokens[place] = tokens.get(place, 0) + 1
    return Standing(tokens=tokens, done=done)


def by_process(counts: Mapping[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    """Return ``{process key: {element id: count}}``, as the scripts want it."""
    found: dict[str, dict[str, int]] = {}
    for (process, element), count in counts.items():
        found.setdefault(process, {})[element] = count
    return found


def viewer_config(
    definitions: Sequence[ProcessDefinition], history: Iterable[Recorded] = (), incidents: Iterable[Incident] = (), *,
    show: str | None = None,
) -> dict[str, Any]:
    """Return what the viewer script draws: the diagrams, the tokens, what is done and what is stuck."""
    stands = standing(history)
    stuck: dict[tuple[str, str], int] = {}
    for incident in incidents:
        stuck[incident.process, incident.element] = stuck.get((incident.process, incident.element), 0) + 1
    config: dict[str, Any] = {
        "diagrams": diagrams_config(definitions), "tokens": by_process(stands.tokens), "incidents": by_process(stuck),
        "done": by_process(stands.done),
    }
    if show in {d.key for d in definitions}:
        config["show"] = show
    return config


def diagrams_config(definitions: Iterable[ProcessDefinition]) -> list[dict[str, Any]]:
    """Return the diagrams as every script names them."""
    return [{"key": d.key, "name": d.name, "version": d.version, "xmlUrl": url_for("diagrams.xml", id=d.id)} for d in definitions]


# -------------------------------------------------------------------------------------------------------- definitions
def stage(definition: ProcessDefinition) -> tuple[int, str]:
    """Return where a process stands in the order of the work: 0 the pre-sales process, 1 its stages, 2 bidding, 3 the rest."""
    head = definition.key.split("_")[0]
    rank = 0 if head == "psm" else 1 if _STAGE.fullmatch(head) else 2 if head == "bid" else 3
    return rank, definition.key


def stage_name(definition: ProcessDefinition) -> str:
    """Return the name of a process with the code of its stage before it, ``PSM010 现场交流``."""
    code = definition.key.split("_")[0]
    shown = code.upper() if _STAGE.fullmatch(code) else ""
    return definition.name if not shown or definition.name.startswith(shown) else f"{shown} {definition.name}"


@bp.get("/definitions")
def definitions() -> ResponseReturnValue:
    found = sorted(engine().deployments.definitions(actor()), key=stage)
    counts = engine().deployments.counts(actor())
    return render_template(
        "definitions.html", definitions=found, counts=counts, may_draw=access.may(actor(), "draw"),
        next_starts={t.process: t.due_at for t in reversed(engine().deployments.start_timers(actor()))},
    )


@bp.get("/definitions/<key>", defaults={"version": None})
@bp.get("/definitions/<key>/<int:version>")
def definition(key: str, version: int | None) -> ResponseReturnValue:
    versions = _versions(key)
    chosen = _version(versions, key, version)
    known_names(v.deployed_by for v in versions)
    return render_template(
        "definition.html", definition=chosen, versions=versions, timers=timed_starts(key), viewer=viewer_config([chosen]), may_draw=access.may(actor(), "draw"),
        sides=[(str(v.version), _side_title(str(v.version))) for v in versions]
        + ([("draft", _side_title("draft"))] if access.may(actor(), "draw") else []),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedStart:
    """A process that will start by itself. `label`: of the start event."""

    process: str
    version: int
    name: str
    label: str
    due_at: datetime


def timed_starts(key: str | None = None) -> list[TimedStart]:
    """Return which processes (or which events of one) start by themselves, soonest first."""
    found = [t for t in engine().deployments.start_timers(actor()) if key is None or t.process == key]
    newest = {d.key: d for d in engine().deployments.definitions(actor())} if found else {}
    return [
        TimedStart(process=t.process, version=t.version, name=t.name, label=_labels(newest[t.process].id).get(t.element, t.element), due_at=t.due_at)
        for t in found
    ]


def _versions(key: str) -> tuple[ProcessDefinition, ...]:
    return tuple(sorted(engine().deployments.versions(actor(), key), key=lambda v: -v.version))


def _version(versions: Sequence[ProcessDefinition], key: str, version: int | None) -> ProcessDefinition:
    chosen = versions[0] if version is None else next((v for v in versions if v.version == version), None)
    if chosen is None:
        raise NotFound(what=gettext("流程版本"), id=f"{key} {version}")
    return chosen


@bp.get("/api/diagrams/<id:id>")
def xml(id: DefinitionId) -> ResponseReturnValue:
    response = _xml(engine().deployments.diagram(actor(), id))
    response.headers["Cache-Control"] = "private, max-age=86400, immutable"
    return response


def _xml(data: bytes, sha256: str | None = None) -> Response:
    response = Response(data, mimetype="application/xml")
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    if sha256 is not None:
        response.set_etag(sha256)
    return response


# --------------------------------------------------------------------------------------------------------- conformance
@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """What the report of conformance finds at one element. `name`: its label, else empty; `element` None: the file itself."""

    element: str | None
    name: str
    findings: tuple[Finding, ...]


@bp.get("/definitions/<key>/<int:version>/conformance")
def conformance(key: str, version: int) -> ResponseReturnValue:
    """Tell how far a deployed version keeps to the letter of BPMN 2.0."""
    chosen = _version(_versions(key), key, version)
    return _conformance_page(
        key, engine().deployments.diagram(actor(), chosen.id), name=chosen.name, side=str(version),
        back=url_for(".definition", key=key, version=version),
    )


@bp.get("/modeler/<key>/conformance")
def draft_conformance(key: str) -> ResponseReturnValue:
    """Tell it of the diagram as last saved in the modeler."""
    found = engine().deployments.draft(actor(), key)
    return _conformance_page(key, found.xml, name=key, side="draft", back=url_for(".modeler", key=key))


def _conformance_page(key: str, diagram: bytes, *, name: str, side: str, back: str) -> ResponseReturnValue:
    found = engine().deployments.check({f"{key}.bpmn": diagram}, strict=True)
    return render_template(
        "conformance.html", key=key, name=name, side=_side_title(side), back=back, groups=grouped(found, parse(diagram)),
        counts=severity_counts(found), severities=tuple(Severity), severity_name=severity_name, severity_tones=_SEVERITY_TONES,
    )


def severity_counts(found: Iterable[Finding]) -> dict[str, int]:
    """Return ``{severity: how many}``, every severity named."""
    kinds = [f.severity for f in found]
    return {each.value: kinds.count(each) for each in Severity}


def grouped(found: Iterable[Finding], root: Any) -> list[Group]:
    """Return the findings by element, the gravest first, then as the diagram has them."""
    labels = {str(e.get("id")): " ".join(str(e.get("name")).split()) for e in root.iter() if e.get("id") and e.get("name")}
    groups: dict[str | None, list[Finding]] = {}
    rank = list(Severity).index
    for finding in sorted(found, key=lambda f: (rank(f.severity), f.line)):
        groups.setdefault(finding.element, []).append(finding)
    return [Group(element=e, name=labels.get(e or "", ""), findings=tuple(fs)) for e, fs in groups.items()]


_SEVERITY_TONES = {Severity.ERROR: "bad", Severity.DRAFT: "bad", Severity.WARNING: "warn"}


def severity_name(severity: Severity) -> str:
    """Return a severity in words."""
    return {Severity.ERROR: gettext("错误"), Severity.DRAFT: gettext("须更正"), Severity.WARNING: gettext("提醒")}[severity]


# --------------------------------------------------------------------------------------------------------- differences
@bp.get("/diff/<key>")
def diff(key: str) -> ResponseReturnValue:
    """Compare two versions; ``draft`` names the draft."""
    versions = _versions(key)
    before = request.args.get("a") or str(versions[min(1, len(versions) - 1)].version)
    after = request.args.get("b") or str(versions[0].version)
    (old, old_url), (new, new_url) = _side(versions, key, before), _side(versions, key, after)
    changes = differences(old, new)
    config = {
        "a": {"title": _side_title(before), "xmlUrl": old_url}, "b": {"title": _side_title(after), "xmlUrl": new_url},
        "changes": [_change_json(c) for c in changes], "title": gettext("比较版本：%(name)s", name=versions[0].name),
        "subtitle": f"{_side_title(before)} → {_side_title(after)}",
        "back": {"url": url_for(".definition", key=key), "label": gettext("返回流程")},
    }
    return render_template("diff.html", changes=changes, config=config, type_name=type_name)


def _side_title(side: str) -> str:
    return gettext("草稿") if side == "draft" else gettext("版本 %(version)s", version=side)


def type_name(type: str) -> str:
    """Return the kind of a BPMN element in words."""
    return {
        "process": gettext("流程"), "collaboration": gettext("协作"), "participant": gettext("泳池"), "lane": gettext("泳道"),
        "sequenceFlow": gettext("顺序流"), "messageFlow": gettext("消息流"), "association": gettext("关联"),
        "textAnnotation": gettext("注释"), "userTask": gettext("用户任务"), "manualTask": gettext("人工任务"),
        "serviceTask": gettext("服务任务"), "sendTask": gettext("发送任务"), "receiveTask": gettext("接收任务"),
        "scriptTask": gettext("脚本任务"), "businessRuleTask": gettext("业务规则任务"), "task": gettext("任务"),
        "startEvent": gettext("开始事件"), "endEvent": gettext("结束事件"), "boundaryEvent": gettext("边界事件"),
        "intermediateCatchEvent": gettext("中间捕获事件"), "intermediateThrowEvent": gettext("中间抛出事件"),
        "exclusiveGateway": gettext("排他网关"), "parallelGateway": gettext("并行网关"), "inclusiveGateway": gettext("包容网关"),
        "eventBasedGateway": gettext("事件网关"), "complexGateway": gettext("复杂网关"), "callActivity": gettext("调用活动"),
        "subProcess": gettext("子流程"), "transaction": gettext("事务子流程"), "message": gettext("消息"), "signal": gettext("信号"),
        "error": gettext("错误"), "escalation": gettext("升级"), "group": gettext("分组"), "dataObject": gettext("数据对象"),
        "dataObjectReference": gettext("数据对象"), "dataStoreReference": gettext("数据存储"),
    }.get(type, type)


def _side(versions: Sequence[ProcessDefinition], key: str, side: str) -> tuple[bytes, str]:
    if side == "draft":
        return engine().deployments.draft(actor(), key).xml, url_for(".draft", key=key)
    chosen = _version(versions, key, int(side) if side.isdecimal() and len(side) < 9 else -1)
    return engine().deployments.diagram(actor(), chosen.id), url_for(".xml", id=chosen.id)


def _change_json(change: Change) -> dict[str, Any]:
    return {
        "kind": change.kind.value, "id": change.id, "name": change.name, "type": change.type,
        "attrs": [{"key": a.path, "old": a.old, "new": a.new} for a in change.attributes],
    }


# ------------------------------------------------------------------------------------------------------------- modeler
@bp.route("/modeler/new", methods=["GET", "POST"])
def new_process() -> ResponseReturnValue:
    access.require(actor(), "draw")
    key, error = request.form.get("key", "").strip(), ""
    if request.method == "POST":
        if _KEY.fullmatch(key):
            return redirect(url_for(".modeler", key=key), 303)
        error = gettext("流程标识须以小写字母开头，只含小写字母、数字和下划线，最多 60 个。")
    return render_template("modeler_new.html", typed=request.form, error=error), 422 if error else 200


@bp.get("/modeler/<key>")
@drawing_board
def modeler(key: str) -> ResponseReturnValue:
    access.require(actor(), "draw")
    found = _draft_or_none(key)
    if found is None and not _KEY.fullmatch(key):
        raise NotFound(what=gettext("流程"), id=key)
    catalogue = engine().deployments.catalogue(actor())
    deployed = next((d for d in engine().deployments.definitions(actor()) if d.key == key), None)
    config = {
        "key": key, "version": found.based_on if found else None, "name": deployed.name if deployed else key,
        "sha256": found.sha256 if found else None, "csrf": generate_csrf(),
        "back": {"url": url_for(".definition", key=key) if deployed else url_for(".definitions"), "label": gettext("返回流程")},
        "fields": engine().deployments.fields(),
        "catalogue": {
            "forms": _choices(catalogue.forms), "groups": _choices(catalogue.groups), "jobTypes": _choices(catalogue.job_types),
            "decisions": _choices(catalogue.decisions), "processes": _choices(catalogue.processes), "users": _choices(catalogue.users),
        },
        "draftUrl": url_for(".draft", key=key), "conformanceUrl": url_for(".draft_conformance", key=key), "checkUrl": url_for(".check"), "layoutUrl": url_for(".layout"),
        "deployUrl": url_for(".deploy", key=key) if access.may(actor(), "deploy") else None,
        "diffUrl": url_for(".diff", key=key, a=deployed.version, b="draft") if deployed else None,
    }
    return render_template("modeler.html", config=config)


def _draft_or_none(key: str) -> Draft | None:
    """Return the draft or newest version of a process, None for a new one, which the modeler begins by itself."""
    try:
        return engine().deployments.draft(actor(), key)
    except NotFound:
        return None


def _choices(choices: Iterable[Any]) -> list[dict[str, str]]:
    return [{"id": c.id, "zh": c.zh, "en": c.en} for c in choices]


def _posted_diagram() -> bytes:
    access.require(actor(), "draw")
    return request.get_data(cache=False)


@bp.route("/api/draft/<key>", methods=["GET", "PUT"])
@takes_diagram
def draft(key: str) -> ResponseReturnValue:
    if request.method == "GET":
        found = engine().deployments.draft(actor(), key)
        return _xml(found.xml, found.sha256)
    posted = _posted_diagram()
    # Without If-Match nobody has seen a draft: right for a new process, refused as stale for any other.
    base = _base()
    try:
        saved = engine().deployments.save_draft(actor(), key, posted, base)
    except StalePage as error:
        return engine_problem(error, 412)
    response = jsonify(sha256=saved.sha256, savedAt=saved.saved_at.isoformat(), findings=[finding_json(f) for f in saved.findings])
    response.set_etag(saved.sha256)
    return response


def _base() -> str | None:
    """Return the hash of the draft that a script's diagram was made from."""
    return next(iter(request.if_match.as_set(include_weak=True)), None) or None


@bp.post("/api/check")
@takes_diagram
def check() -> ResponseReturnValue:
    posted = _posted_diagram()
    strict = request.args.get("strict") == "1"  # a report of conformance, not what a deployment is held to
    found = engine().deployments.check({f"{request.args.get('key') or 'diagram'}.bpmn": posted}, strict=strict)
    return jsonify(findings=[finding_json(f) for f in found], counts=severity_counts(found))


@bp.post("/api/layout")
@takes_diagram
def layout() -> ResponseReturnValue:
    return _xml(engine().deployments.lay_out(_posted_diagram()))


@bp.post("/api/deploy/<key>")
@takes_diagram
def deploy(key: str) -> ResponseReturnValue:
    posted, base = _posted_diagram(), _base()
    try:
        made = engine().deployments.deploy(
            actor(), {f"{key}.bpmn": posted}, request.args.get("name") or key, bases={key: base} if base is not None else None,
        )
    except StalePage as error:
        return engine_problem(error, 412)
    version = next((d.version for d in made.definitions if d.key == key), None)
    return jsonify(
        deployment=str(made.id), version=version, findings=[finding_json(f) for f in made.findings],
        url=url_for(".definition", key=key, version=version) if version else None,
    )
