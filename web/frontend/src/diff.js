/**
 * Two versions of a diagram side by side, moving together, with a table of what differs.
 *
 * Draws into `#diff`. Config: {a: {title, xmlUrl}, b: {title, xmlUrl}, changes: [{kind, id, name, type, attrs: [{key, label, old, new}]}], title,
 * subtitle, back: {url, label}}; `kind`: removed, added, changed or layout; `label` and the last three may be left out. A page that lists the
 * changes itself (`tr[data-element=ID]`) keeps its table: its rows are made to lead to the diagrams.
 */
import { createViewer, Decoration, elementName, fit, reveal, typeName, zoomButtons } from './canvas.js';
import { drawIcon, h, iconButton, title } from './dom.js';
import { config, fetchText, run } from './page.js';
import { say } from './words/index.js';
import './diff.css';

const KINDS = ['added', 'removed', 'changed', 'layout'];
const SIGNS = { added: '+', removed: '−', changed: '≠', layout: '↔' };
const root = document.getElementById('diff');
const sides = [];
const shown = new Set(KINDS);
const rows = [];
let chosen = -1;

function build() {
  const counts = Object.fromEntries(KINDS.map(kind => [kind, config.changes.filter(c => c.kind === kind).length]));
  const toggles = KINDS.map(kind => {
    const button = h(
      'button',
      {
        type: 'button',
        class: `tool kind ${kind}`,
        'aria-pressed': 'true',
        disabled: !counts[kind],
        onclick: () => {
          if (shown.has(kind)) shown.delete(kind);
          else shown.add(kind);
          button.setAttribute('aria-pressed', String(shown.has(kind)));
          paint();
        },
      },
      h('span', { class: 'sign', 'aria-hidden': 'true' }, SIGNS[kind]),
      say(`diff.${kind}`),
      h('span', { class: 'count' }, counts[kind]),
    );
    return button;
  });
  const pane = side => {
    const canvas = h('div', { class: 'diagram-canvas' });
    sides.push({ ...config[side], canvas });
    return h('section', { class: 'pane', 'aria-label': config[side].title }, h('h2', {}, config[side].title), canvas);
  };
  const listed = new Map(
    [...document.querySelectorAll('tr[data-element]')].map(row => [`${row.dataset.element} ${row.className}`, row]),
  );
  const body = h('tbody', {});
  config.changes.forEach((change, k) => {
    const name = h('button', { type: 'button', class: 'link', onclick: () => go(k) });
    const there = listed.get(`${change.id} change-${change.kind}`);
    if (there) {
      const [cell] = there.cells[1].childNodes;
      cell.replaceWith(name);
      name.append(cell);
      rows.push({ change, row: there, name });
      return;
    }
    name.append(change.name || change.id);
    const row = h(
      'tr',
      { class: `change-${change.kind}` },
      h('td', {}, say(`diff.${change.kind}`)),
      h('td', {}, name),
      h('td', { class: 'muted' }, change.type),
      h('td', {}, attributes(change)),
    );
    rows.push({ change, row, name, own: true });
    body.append(row);
  });
  if (!document.body.classList.contains('workbench')) root.classList.add('diagram-frame');
  const content = [
    h(
      'div',
      { class: 'workbench-bar' },
      config.back &&
        h(
          'a',
          { class: 'tool icon', href: config.back.url, title: config.back.label, 'aria-label': config.back.label },
          drawIcon('back'),
        ),
      title(config.title ?? say('diff.title'), config.subtitle),
      h('div', { class: 'kinds', role: 'group', 'aria-label': say('diff.kinds') }, toggles),
      h('span', { class: 'spring' }),
      h(
        'div',
        { class: 'tool-group', role: 'group', 'aria-label': say('diff.walk') },
        iconButton('up', say('diff.previous'), () => walk(-1), { disabled: !config.changes.length }),
        iconButton('down', say('diff.next'), () => walk(1), { disabled: !config.changes.length }),
      ),
      zoomButtons(() => sides[0].viewer),
    ),
    h('div', { class: 'panes' }, pane('a'), pane('b')),
    !listed.size &&
      h(
        'section',
        { class: 'changes', 'aria-label': say('diff.list'), tabIndex: 0 },
        config.changes.length
          ? h(
              'table',
              { class: 'table compact' },
              h(
                'thead',
                {},
                h(
                  'tr',
                  {},
                  ...['diff.change', 'diff.element', 'diff.type', 'diff.values'].map(key =>
                    h('th', { scope: 'col' }, say(key)),
                  ),
                ),
              ),
              body,
            )
          : h('p', { class: 'panel-note' }, say('diff.same')),
      ),
  ];
  root.replaceChildren(...content.filter(Boolean));
}

function attributes({ attrs = [] }) {
  if (!attrs.length) return '';
  return h(
    'ul',
    { class: 'values' },
    ...attrs.map(a =>
      h(
        'li',
        {},
        h('span', { class: 'key', title: a.key }, a.label ?? labelOf(a.key)),
        a.old !== null && a.old !== undefined && h('del', {}, a.old === '' ? say('diff.empty') : String(a.old)),
        ' ',
        a.new !== null && a.new !== undefined && h('ins', {}, a.new === '' ? say('diff.empty') : String(a.new)),
      ),
    ),
  );
}

/** `extensionElements/camunda:properties/property[2]/@value` → the words for what its last part says. */
function labelOf(key) {
  const last = key
    .split('/')
    .filter(part => !/^@(value|body)$/.test(part))
    .pop()
    .replace(/^@|\[\d+\]$/g, '')
    .replace(/^.*:/, '');
  return say.has(`diff.key.${last}`) ? say(`diff.key.${last}`) : last;
}

const visible = () => rows.map((r, k) => [r, k]).filter(([r]) => shown.has(r.change.kind));

function paint() {
  for (const { change, row } of rows) row.hidden = !shown.has(change.kind);
  sides.forEach((side, n) => {
    const registry = side.viewer.get('elementRegistry');
    const mine = visible()
      .map(([r]) => r.change)
      .filter(c => registry.get(c.id) && (n === 0 ? c.kind !== 'added' : c.kind !== 'removed'));
    side.decoration.show(
      mine.map(c => [c.id, `df-${c.kind}`]),
      mine
        .filter(c => c.kind !== 'layout' && !registry.get(c.id).waypoints)
        .map(c => ({
          element: c.id,
          kind: 'sign',
          look: c.kind,
          text: SIGNS[c.kind],
          title: say(`diff.${c.kind}`),
          position: { top: -11, right: 11 },
        })),
    );
  });
}

function go(k) {
  rows[chosen]?.row.removeAttribute('aria-current');
  chosen = k;
  const { change, row } = rows[k];
  row.setAttribute('aria-current', 'true');
  if (rows[k].own) row.scrollIntoView({ block: 'nearest' });
  else root.scrollIntoView({ block: 'nearest' });
  const last = [...sides].reverse().find(side => reveal(side.viewer, change.id));
  for (const side of sides) if (side !== last) reveal(side.viewer, change.id);
}

function walk(step) {
  const list = visible().map(([, k]) => k);
  if (!list.length) return;
  const at = list.indexOf(chosen);
  go(list[(at < 0 ? (step > 0 ? 0 : list.length - 1) : at + step + list.length) % list.length]);
  rows[chosen].name.focus();
}

/** Both move together. The change event comes late, so a lock would let them drift: each compares and follows. */
function follow(leader, follower) {
  leader.on('canvas.viewbox.changed', ({ viewbox }) => {
    const canvas = follower.get('canvas');
    const own = canvas.viewbox();
    if (Math.abs(own.x - viewbox.x) < 1 && Math.abs(own.y - viewbox.y) < 1 && Math.abs(own.scale - viewbox.scale) < 1e-3)
      return;
    canvas.viewbox({
      x: viewbox.x,
      y: viewbox.y,
      width: own.outer.width / viewbox.scale,
      height: own.outer.height / viewbox.scale,
    });
  });
}

run(root, async () => {
  build();
  await Promise.all(
    sides.map(async side => {
      side.viewer = createViewer(side.canvas);
      await side.viewer.importXML(await fetchText(side.xmlUrl));
      side.decoration = new Decoration(side.viewer);
    }),
  );
  for (const { change, row, name } of rows.filter(r => r.own)) {
    const element =
      sides[1].viewer.get('elementRegistry').get(change.id) ?? sides[0].viewer.get('elementRegistry').get(change.id);
    if (!element) continue;
    if (!change.name) name.textContent = elementName(element);
    row.children[2].textContent = typeName(element);
  }
  paint();
  for (const side of sides) fit(side.viewer);
  follow(sides[0].viewer, sides[1].viewer);
  follow(sides[1].viewer, sides[0].viewer);
});
