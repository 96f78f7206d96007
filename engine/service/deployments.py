"""Deployments: diagrams, forms and decisions are checked together and become available together, all of them or none."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from pathlib import PurePath

from engine import access
from engine.bpmn import describe, start_timers, starters, timers
from engine.bpmn.check import STRICT, CheckContext, DecisionNames, FormNames, check, check_decisions, is_diagram
from engine.bpmn.fields import as_json
from engine.bpmn.xml import read_diagram
from engine.errors import InvalidDiagram, NotFound, StalePage
from engine.feel import codec
from engine.feel.dmn import Decision, DecisionModel, load_decisions
from engine.feel.infer import type_named
from engine.forms import Component, Form, InvalidForm, read_form
from engine.layout import lay_out
from engine.model import (
    Actor,
    Catalogue,
    Choice,
    DefinitionId,
    Deployment,
    DeploymentId,
    Draft,
    Finding,
    ProcessCounts,
    ProcessDefinition,
    ProcessInfo,
    Severity,
    StartTimer,
)
from engine.registers import problems as register_problems
from engine.service.observed import observed
from engine.service.runtime import Runtime
from engine.store import definitions, instances, jobs, people
from engine.store.database import Session, instant, micros
from engine.store.definitions import NewDefinition, NewFile, digest

Files = Mapping[str, bytes]  #: ``{relative path: bytes}``


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bundle:
    """The files of a deployment, read. `diagrams`: ``{file: processes in it}``."""

    diagrams: dict[str, tuple[ProcessInfo, ...]]
    forms: dict[str, tuple[str, Form]]
    decisions: dict[str, tuple[str, Decision]]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Deployed:
    """What was deployed already, for checks: the newest of each.

    Attributes:
        generation: number of the last deployment.
        form_ids, decision_ids: all of them, those too that rules of today would refuse and whose names are not known.
        diagrams: ``{process key: diagram}``.
    """

    generation: int
    form_ids: frozenset[str]
    decision_ids: frozenset[str]
    forms: Mapping[str, FormNames]
    decisions: Mapping[str, DecisionNames]
    diagrams: Mapping[str, bytes]


class Deployments:
    """Commands and queries on what can be run."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._database = runtime.database
        self._known: _Deployed | None = None

    # -- checking
    def check(self, files: Files, *, strict: bool = False) -> tuple[Finding, ...]:
        """Return every problem of diagrams, forms and decisions as they would stand once deployed, the gravest first.

        Args:
            strict: by the letter of the standard, where tools and engines are lenient: a report, not what a deployment is held to.
        """
        with self._database.reading() as session:
            return self._read(session, files, STRICT if strict else {}).findings

    def _read(self, session: Session, files: Files, policy: Mapping[str, Severity | None] = {}) -> _Bundle:
        findings: list[Finding] = []
        forms: dict[str, tuple[str, Form]] = {}
        decisions: dict[str, tuple[str, Decision]] = {}
        for name, body in sorted(files.items()):
            suffix = PurePath(name).suffix
            if suffix == ".form":
                try:
                    form = read_form(body, name)
                except InvalidForm as error:
                    findings += [_finding("form", name, zh, en) for zh, en in error.problems]
                    continue
                findings += [_finding("form", name, zh, en) for zh, en in register_problems(form)]
                if form.id in forms:
                    findings.append(_twice("form", name, "表单", form.id, forms[form.id][0]))
                forms[form.id] = name, form
            elif suffix == ".dmn":
                for decision in self._decisions(name, body, findings):
                    if decision.id in decisions:
                        findings.append(_twice("decision", name, "决策", decision.id, decisions[decision.id][0]))
                    decisions[decision.id] = name, decision
        diagrams = {n: b for n, b in files.items() if is_diagram(n)}
        context = replace(self._context(session, forms, decisions), policy=policy)
        found = tuple(check(diagrams, context))
        findings += found
        broken = {f.file for f in found if f.severity is Severity.ERROR}
        described = {name: tuple(describe(body)) for name, body in sorted(diagrams.items()) if name not in broken}
        given = {info.key for infos in described.values() for info in infos}
        findings += self._broken_by(session, context, frozenset((*forms, *decisions)), given)
        order = [Severity.ERROR, Severity.DRAFT, Severity.WARNING]
        findings.sort(key=lambda f: (order.index(f.severity), f.file, f.line))
        return _Bundle(diagrams=described, forms=forms, decisions=decisions, findings=tuple(findings))

    def _broken_by(
        self, session: Session, context: CheckContext, changed: frozenset[str], given: Collection[str]
    ) -> list[Finding]:
        """Return what is wrong with deployed diagrams since the forms and decisions that they name are other ones."""
        named = {
            f"{key}.bpmn": xml for key, xml in self._deployed(session).diagrams.items()
            if key not in given and any(id.encode() in xml for id in changed)}
        if not named:
            return []
        before = set(check(named, replace(self._context(session, {}, {}), policy=context.policy)))
        return [finding for finding in check(named, context) if finding not in before]

    def _decisions(self, name: str, body: bytes, findings: list[Finding]) -> tuple[Decision, ...]:
        try:
            model: DecisionModel = load_decisions(body)
        except ValueError as error:
            findings.append(_finding("decision", name, f"无法读取决策表：{error}", f"the decisions cannot be read: {error}"))
            return ()
        findings += check_decisions(model, name)
        return model.decisions

    def _context(
        self, session: Session, forms: Mapping[str, tuple[str, Form]], decisions: Mapping[str, tuple[str, Decision]]
    ) -> CheckContext:
        known = self._deployed(session)
        form_names = {**known.forms, **{id: _form_names(form) for id, (_, form) in forms.items()}}
        decision_names = {**known.decisions, **{id: _decision_names(decision) for id, (_, decision) in decisions.items()}}
        handlers = self._runtime.handlers
        return CheckContext(
            job_types=frozenset(handlers),
            groups=frozenset(access.GROUPS),
            forms=known.form_ids | forms.keys(),
            decisions=known.decision_ids | decisions.keys(),
            processes=frozenset(known.diagrams),
            form_names=form_names,
            decision_names=decision_names,
            job_outputs={type: {name: type_named(text) for name, text in handler.gives.items()} for type, handler in handlers.items()},
            deployed=known.diagrams,
            takes_files=lambda ident: (form := self._form(session, forms, ident)) is not None and form.takes_files,
            seals=lambda ident: (form := self._form(session, forms, ident)) is not None and form.seals,
        )

    def _deployed(self, session: Session) -> _Deployed:
        generation = definitions.generation(session)
        known = self._known
        if known is None or known.generation != generation:
            forms, tables = (definitions.newest_artifacts(session, kind) for kind in ("form", "decision"))
            known = self._known = _Deployed(
                generation=generation,
                form_ids=frozenset(forms),
                decision_ids=frozenset(tables),
                forms={id: names for id, body in forms.items() if (names := _names_in_form(body)) is not None},
                decisions={id: reads for id, body in tables.items() if (reads := _names_in_table(body, id)) is not None},
                diagrams=definitions.newest_diagrams(session),
            )
        return known

    def _form(self, session: Session, forms: Mapping[str, tuple[str, Form]], ident: str) -> Form | None:
        """Return a form, given or deployed before."""
        if ident in forms:
            return forms[ident][1]
        body = definitions.artifact(session, "form", ident)
        return None if body is None else read_form(body, ident)

    # -- deploying
    @observed("deployment.deploy")
    def deploy(self, actor: Actor, files: Files, name: str, *, bases: Mapping[str, str] | None = None) -> Deployment:
        """Make diagrams, forms and decisions available: all of them, or none.

        A process gets a new version when its diagram, or a form or decision that it names, has changed; running instances
        keep theirs.

        Args:
            files: ``{relative path: bytes}``: diagrams (``.bpmn``, ``.bpmn20.xml``), ``.form``, ``.dmn``; others are kept beside them.
            bases: ``{process key: SHA-256 of the draft or version that was opened}``: what must still stand.

        Raises:
            AccessDenied
            StalePage: somebody saved or deployed one of `bases` meanwhile; nothing was changed.
            InvalidDiagram: something cannot be deployed; has every finding, nothing was changed.
        """
        access.require(actor, "deploy")
        with self._database.reading() as session:
            read = self._read(session, files)
        fatal = [f for f in read.findings if f.severity is not Severity.WARNING]
        if fatal:
            first = fatal[0]
            where = f"{first.file}:{first.line} " if first.line else f"{first.file} "
            raise InvalidDiagram(read.findings, len(fatal), where + first.zh, where + first.en)
        at = self._runtime.clock.now()
        with self._database.writing() as tx:
            definitions.alone(tx)
            posted = {digest(body) for body in files.values()}
            for key, base in (bases or {}).items():
                self._require_current(tx, key, base, posted)
            deployed = definitions.deployed_shas(tx)
            deployment_id = DeploymentId(self._database.new_id())
            if all(deployed.get(n) == digest(b) for n, b in files.items()):
                last = definitions.last_deployment(tx)
                if last is not None:
                    id, last_name, last_at, by = last
                    return Deployment(
                        id=DeploymentId(id), name=last_name, at=instant(last_at), by=by, definitions=(), findings=read.findings
                    )
            new = self._new_versions(tx, files, read)
            definitions.insert(
                tx,
                deployment_id=deployment_id,
                name=name,
                at=micros(at),
                by=actor.id,
                files=_new_files(files, read),
                definitions=new,
            )
            for n in new:
                self._replace_start_timers(tx, n, files[n.file], at)
            made = tuple(d for n in new if (d := definitions.get(tx, n.id)) is not None)
            for definition in made:
                definitions.delete_draft(tx, definition.key)
        self._runtime.wake()
        return Deployment(id=deployment_id, name=name, at=at, by=actor.id, definitions=made, findings=read.findings)

    def _replace_start_timers(self, tx: Session, definition: NewDefinition, xml: bytes, at: datetime) -> None:
        """Let the timer start events of a new version start instances from now on, and those of older versions no more."""
        key = definition.info.key
        found = start_timers(xml, key, at, self._runtime.settings.time_zone)
        jobs.replace_start_timers(
            tx,
            key,
            [
                (self._database.new_id(), element, micros(timers.due_at(plan)), codec.dump({"version": definition.version, "plan": plan}))
                for element, plan in found
            ],
        )

    def start_timers(self, actor: Actor) -> tuple[StartTimer, ...]:
        """Return which processes start by themselves, and when, soonest first.

        Raises:
            AccessDenied
        """
        access.require(actor, "see definitions")
        with self._database.reading() as session:
            known = {d.key: d for d in definitions.newest(session)}
            return tuple(
                StartTimer(
                    process=key, version=known[key].version, name=known[key].name, element=element, due_at=instant(due)
                )
                for key, element, due in jobs.start_timers(session)
            )

    def _new_versions(self, tx: Session, files: Files, read: _Bundle) -> list[NewDefinition]:
        found: list[NewDefinition] = []
        for file, infos in read.diagrams.items():
            for info in infos:
                print_ = self._fingerprint(tx, files, read, file, info)
                known = definitions.fingerprint(tx, info.key)
                if known is not None and known[1] == print_:
                    continue
                version = 1 if known is None else known[0] + 1
                found.append(
                    NewDefinition(
                        id=self._database.new_id(),
                        version=version,
                        info=info,
                        file=file,
                        fingerprint=print_,
                        starts=tuple(dict.fromkeys(s for s in starters(files[file], info.key) if s[1] != "timer")),
                    )
                )
        return found

    def _fingerprint(self, tx: Session, files: Files, read: _Bundle, file: str, info: ProcessInfo) -> str:
        """Return a hash over the diagram and every form and decision that the process names."""
        parts = sha256(files[file])
        start = [info.start_form] if info.start_form else []
        for kind, idents, given in (
            ("form", sorted({*info.forms, *start}), {k: v[0] for k, v in read.forms.items()}),
            ("decision", sorted(info.decisions), {k: v[0] for k, v in read.decisions.items()}),
        ):
            for ident in idents:
                body = files[given[ident]] if ident in given else definitions.artifact(tx, kind, ident)
                parts.update(f"\0{kind} {ident} {digest(body or b'')}".encode())
        return parts.hexdigest()

    # -- looking
    def definitions(self, actor: Actor) -> tuple[ProcessDefinition, ...]:
        """Return the newest version of every process, by key.

        Raises:
            AccessDenied
        """
        access.require(actor, "see definitions")
        with self._database.reading() as session:
            return tuple(definitions.newest(session))

    def versions(self, actor: Actor, key: str) -> tuple[ProcessDefinition, ...]:
        """Return every version of a process, newest first.

        Raises:
            AccessDenied
            NotFound: no such process.
        """
        access.require(actor, "see definitions")
        with self._database.reading() as session:
            found = tuple(definitions.versions(session, key))
        if not found:
            raise NotFound(what="流程 (process)", id=key)
        return found

    def get(self, actor: Actor, definition_id: DefinitionId) -> ProcessDefinition:
        """Return one version of a process.

        Raises:
            AccessDenied, NotFound
        """
        access.require(actor, "see definitions")
        with self._database.reading() as session:
            found = definitions.get(session, definition_id)
        if found is None:
            raise NotFound(what="流程定义 (definition)", id=definition_id)
        return found

    def counts(self, actor: Actor) -> dict[str, ProcessCounts]:
        """Return ``{process key: how many of its instances run, have ended, wait for a person}``; keys without any are left out.

        Raises:
            AccessDenied
        """
        access.require(actor, "see definitions")
        with self._database.reading() as session:
            return {
                key: ProcessCounts(running=running, finished=finished, incidents=incidents)
                for key, running, finished, incidents in instances.counts(session)
            }

    def diagram(self, actor: Actor, definition_id: DefinitionId) -> bytes:
        """Return the diagram as deployed.

        Raises:
            AccessDenied, NotFound
        """
        access.require(actor, "see definitions")
        with self._database.reading() as session:
            found = definitions.xml(session, definition_id)
        if found is None:
            raise NotFound(what="流程定义 (definition)", id=definition_id)
        return found

    def resource(self, definition_id: DefinitionId, name: str) -> bytes | None:
        """Return a file of the definition's deployment, or of the newest before it that has one of that name."""
        with self._database.reading() as session:
            found = definitions.get(session, definition_id)
            return None if found is None else definitions.resource(session, found.deployment_id, name)

    # -- the modeler
    def fields(self) -> dict[str, object]:
        """Return the table of extension fields that the properties panel draws."""
        return as_json()

    def lay_out(self, xml: bytes) -> bytes:
        """Return the diagram drawn anew; what it means stays as it is.

        Raises:
            InvalidDiagram: not a diagram.
        """
        read_diagram(xml, limit=self._runtime.settings.diagram_limit)
        return lay_out(xml)

    def draft(self, actor: Actor, key: str) -> Draft:
        """Return the diagram as last saved in the modeler; without a draft, the newest version.

        Raises:
            AccessDenied
            NotFound: neither draft nor process.
        """
        access.require(actor, "draw")
        with self._database.reading() as session:
            saved = definitions.draft(session, key)
            if saved is not None:
                return saved
            found = definitions.by_key(session, key)
            xml = None if found is None else definitions.xml(session, found.id)
        if found is None or xml is None:
            raise NotFound(what="流程 (process)", id=key)
        return Draft(
            key=key, xml=xml, sha256=digest(xml), based_on=found.version, saved_at=found.deployed_at, saved_by=found.deployed_by
        )

    @observed("diagram.save_draft")
    def save_draft(self, actor: Actor, key: str, xml: bytes, base_sha256: str | None = None) -> Draft:
        """Keep a diagram as drawn so far; it need not be complete, but must be the language.

        Args:
            base_sha256: of the draft or version that was opened; None for a new process.

        Returns:
            The draft with everything the checker finds.

        Raises:
            AccessDenied
            StalePage: somebody else saved or deployed meanwhile.
            InvalidDiagram: not a diagram, or with findings of severity ERROR.
        """
        access.require(actor, "draw")
        read_diagram(xml, limit=self._runtime.settings.diagram_limit)
        findings = tuple(f for f in self.check({f"{key}.bpmn": xml}))
        errors = [f for f in findings if f.severity is Severity.ERROR]
        if errors:
            raise InvalidDiagram(findings, len(errors), errors[0].zh, errors[0].en)
        at = self._runtime.clock.now()
        with self._database.writing() as tx:
            definitions.alone(tx)
            saved, newest = self._require_current(tx, key, base_sha256, {digest(xml)})
            based_on = saved.based_on if saved is not None else newest.version if newest is not None else None
            definitions.save_draft(tx, key=key, xml=xml, based_on=based_on, at=micros(at), by=actor.id)
            kept = definitions.draft(tx, key)
        assert kept is not None
        return replace(kept, findings=findings)

    def _require_current(
        self, tx: Session, key: str, base: str | None, posted: Collection[str]
    ) -> tuple[Draft | None, ProcessDefinition | None]:
        """Return draft and newest version of a process; raise `StalePage` unless what was opened, or posted, is what stands."""
        saved = definitions.draft(tx, key)
        newest = definitions.by_key(tx, key)
        current = saved.sha256 if saved is not None else newest.sha256 if newest is not None else None
        if current != base and current not in posted:
            raise StalePage(what=f"流程图“{newest.name if newest is not None else key}”")
        return saved, newest

    def catalogue(self, actor: Actor) -> Catalogue:
        """Return what the modeler offers: everything that a diagram may name.

        Raises:
            AccessDenied
        """
        access.require(actor, "draw")
        with self._database.reading() as session:
            forms, decisions = definitions.artifacts(session, "form"), definitions.artifacts(session, "decision")
            processes = definitions.newest(session)
            users = people.everybody(session)
        return Catalogue(
            forms=tuple(Choice(id=i, zh=t or i, en=i) for i, t in forms.items()),
            groups=tuple(Choice(id=g.id, zh=g.zh, en=g.en) for g in access.GROUPS.values()),
            job_types=tuple(Choice(id=h.type, zh=h.title, en=h.type) for h in self._runtime.handlers.values()),
            decisions=tuple(Choice(id=i, zh=t or i, en=i) for i, t in decisions.items()),
            processes=tuple(Choice(id=p.key, zh=p.name, en=p.key) for p in processes),
            users=tuple(Choice(id=u.id, zh=u.name, en=u.id) for u in users if u.active),
        )


def _form_names(form: Form) -> FormNames:
    fields = tuple(form.inputs())
    return FormNames(
        writes=frozenset(field.key for field in fields if field.is_input), reads=tuple(_form_reads(form.components, frozenset())),
        types={field.key: type_ for field in fields if field.is_input and (type_ := field.value_type) is not None},
    )


def _form_reads(components: Iterable[Component], row: frozenset[str]) -> Iterator[tuple[str, str, frozenset[str]]]:
    for component in components:
        name = component.key or component.label
        for rule in (component.rule, component.required_if):
            if rule is not None:
                yield name, rule.text, row
        if component.type == "table" and component.source:
            yield name, component.source, row
        if component.readonly and component.key and component.default is None and not row:
            yield name, component.key, row
        inner = row
        if component.type == "dynamiclist":
            inner = frozenset(each.key for each in Form(id="", components=component.components).inputs())
        yield from _form_reads(component.components, inner)


def _names_in_form(body: bytes) -> FormNames | None:
    try:
        return _form_names(read_form(body))
    except InvalidForm:
        return None


def _names_in_table(body: bytes, id: str) -> DecisionNames | None:
    try:
        return next((_decision_names(each) for each in load_decisions(body).decisions if each.id == id), None)
    except ValueError:
        return None


def _decision_names(decision: Decision) -> DecisionNames:
    return DecisionNames(reads=decision.reads, writes=decision.entries, types=decision.types)


def _new_files(files: Files, read: _Bundle) -> list[NewFile]:
    found: list[NewFile] = []
    for name, body in sorted(files.items()):
        kind = "diagram" if is_diagram(name) else {".form": "form", ".dmn": "decision"}.get(PurePath(name).suffix, "other")
        artifacts: tuple[tuple[str, str], ...] = ()
        if kind == "form":
            artifacts = tuple((ident, form.title) for ident, (file, form) in read.forms.items() if file == name)
        elif kind == "decision":
            artifacts = tuple((ident, decision.name) for ident, (file, decision) in read.decisions.items() if file == name)
        found.append(NewFile(name=name, kind=kind, body=body, artifacts=artifacts))
    return found


def _finding(rule: str, file: str, zh: str, en: str) -> Finding:
    return Finding(
        rule=rule, severity=Severity.ERROR, file=file, element=None, line=0, zh=zh, en=en, mend_zh="请更正该文件后重新部署",
        mend_en="Mend the file and deploy again",
    )  # fmt: skip


def _twice(rule: str, file: str, zh: str, ident: str, other: str) -> Finding:
    return _finding(rule, file, f"{zh}编号 {ident} 与文件 {other} 重复", f"the id {ident} stands in {other} too")
