/** The properties panel: shows the fields of what is selected. Controls stay in place while their element stays, so that the focus does. */
import { getBusinessObject, is } from 'bpmn-js/lib/util/ModelUtil';
import { elementName, typeName } from '../canvas.js';
import { h } from '../dom.js';
import { say } from '../words/index.js';
import { checkControl, listControl, rowsControl, selectControl, textControl } from './controls.js';

const CONTROLS = { text: textControl, check: checkControl, select: selectControl, list: listControl, rows: rowsControl };

export class Panel {
  constructor(modeler, table, root) {
    this.modeler = modeler;
    this.table = table;
    this.root = root;
    this.shape = ''; // which fields are drawn
    this.controls = new Map();
    this.findings = [];
    this.closed = new Set();
    const eventBus = modeler.get('eventBus');
    eventBus.on(['selection.changed', 'root.set', 'import.done'], () => this.refresh());
    eventBus.on('commandStack.changed', () => this.refresh());
  }

  /** What the panel speaks of: the one selected element, else the process of the canvas; null while several are selected. */
  current() {
    const selected = this.modeler.get('selection').get();
    if (selected.length > 1) return null;
    const element = selected[0]?.labelTarget ?? selected[0] ?? this.modeler.get('canvas').getRootElement();
    if (!selected.length && is(element, 'bpmn:Collaboration')) {
      const pools = element.children.filter(e => is(e, 'bpmn:Participant') && e.businessObject.processRef);
      if (pools.length === 1) return pools[0];
    }
    return element;
  }

  showFindings(findings) {
    this.findings = findings;
    this.refresh();
  }

  refresh() {
    const element = this.current();
    if (element === null) {
      this.shape = '';
      this.root.replaceChildren(h('p', { class: 'panel-note' }, say('panel.many')));
      return;
    }
    if (!getBusinessObject(element)?.get) return; // before the first import there is an empty root
    const groups = this.table.of(element);
    const shape = [element.id, ...groups.flatMap(g => [g.title, ...g.fields.map(f => `${f.id} ${f.control}`)])].join('|');
    if (shape !== this.shape) this.build(element, groups, shape);
    for (const field of groups.flatMap(g => g.fields)) {
      const drawn = this.controls.get(field.id);
      drawn.field = field;
      drawn.control.show(field.read());
    }
    this.heading.textContent = elementName(element);
    this.showProblems(element, groups);
  }

  build(element, groups, shape) {
    const focus = document.activeElement?.id;
    const scroll = this.root.scrollTop;
    const same = this.shape.startsWith(`${element.id}|`);
    this.shape = shape;
    this.controls.clear();
    this.heading = h('h2', {});
    this.problems = h('ul', { class: 'panel-problems', hidden: true });
    this.root.replaceChildren(
      h('div', { class: 'panel-head' }, this.heading, h('p', { class: 'muted' }, typeName(element))),
      this.problems,
      ...groups.map(group => {
        const details = h(
          'details',
          { class: 'panel-group', open: !this.closed.has(group.title) },
          h('summary', {}, group.title),
          ...group.fields.map(field => this.draw(element, field)),
        );
        details.addEventListener('toggle', () => {
          if (details.open) this.closed.delete(group.title);
          else this.closed.add(group.title);
        });
        return details;
      }),
    );
    this.root.scrollTop = same ? scroll : 0;
    if (same && focus) document.getElementById(focus)?.focus({ preventScroll: true });
  }

  draw(element, field) {
    const id = `p-${field.id}`;
    const problem = h('p', { class: 'error', id: `${id}-problem`, hidden: true });
    const entry = { field, problem };
    const commit = value => {
      const wrong = entry.field.check?.(value) || '';
      this.mark(entry, wrong);
      if (wrong) return wrong;
      const result = entry.field.write(value);
      const { element: target = element, edits } = Array.isArray(result) ? { edits: result } : result;
      this.modeler.get('commandStack').execute('psmflow.batch', { element: target, edits });
      return '';
    };
    const control = CONTROLS[field.control]({ ...field, id, commit });
    entry.control = control;
    this.controls.set(field.id, entry);
    const hint = field.hint && h('p', { class: 'hint', id: `${id}-hint` }, field.hint);
    control.input.setAttribute('aria-describedby', [hint && `${id}-hint`, `${id}-problem`].filter(Boolean).join(' '));
    const label = h(
      'label',
      { for: id },
      field.label,
      field.feel && h('span', { class: 'tag', title: say('panel.feel') }, 'FEEL'),
    );
    if (field.control === 'check')
      return h('div', { class: 'panel-field check' }, control.node, h('div', {}, label, hint, problem));
    return h('div', { class: 'panel-field' }, label, control.node, hint, problem);
  }

  mark(entry, text, fromServer = false) {
    entry.problem.textContent = text;
    entry.problem.hidden = !text;
    entry.problem.classList.toggle('warning', fromServer === 'warning');
    if (text && fromServer !== 'warning') entry.control.input.setAttribute('aria-invalid', 'true');
    else entry.control.input.removeAttribute('aria-invalid');
  }

  /** A finding stands at the field it names, else at the top of the panel. */
  showProblems(element, groups) {
    const ids = new Set(
      this.table
        .subjects(element)
        .map(s => s.holder.id)
        .concat(element.id),
    );
    const mine = this.findings.filter(f => ids.has(f.element));
    const left = new Set(mine);
    for (const field of groups.flatMap(g => g.fields)) {
      const here = mine.filter(f => left.has(f) && names(f, field));
      for (const finding of here) left.delete(finding);
      this.mark(
        this.controls.get(field.id),
        here.map(f => [f.text, f.mend].filter(Boolean).join(' ')).join(' '),
        here.length && here.every(f => f.severity === 'warning') ? 'warning' : 'server',
      );
    }
    this.problems.hidden = !left.size;
    this.problems.replaceChildren(
      ...[...left].map(f => h('li', { class: `is-${f.severity}` }, h('strong', {}, f.text), f.mend && h('span', {}, f.mend))),
    );
  }
}

/** Whether a finding speaks of this field: by the names the file has for it. */
function names(finding, field) {
  const words = `${finding.rule ?? ''} ${finding.en ?? ''} ${finding.zh ?? ''}`;
  return (field.names ?? []).some(
    name =>
      name.length > 3 &&
      new RegExp(`(^|[^\\w:])(camunda:)?${name.replace(/^camunda:/, '').replaceAll('.', '\\.')}(?![\\w:])`).test(words) &&
      name !== 'name' &&
      name !== 'id',
  );
}
