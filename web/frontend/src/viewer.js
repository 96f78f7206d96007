/**
 * Where a process instance stands: its diagrams with counts of tokens, incidents and completions.
 *
 * Draws into `#viewer`. Config: {diagrams: [{key, name, version, xmlUrl}], tokens, incidents, done: {key: {element: count}}}.
 */
import { calledKey, closeUp, createViewer, Decoration, elementName, fit, reveal, typeName, zoomButtons } from './canvas.js';
import { h } from './dom.js';
import { config, fetchText, run } from './page.js';
import { say } from './words/index.js';
import './viewer.css';

const root = document.getElementById('viewer');
const views = new Map(); // key -> {viewer, decoration, panel, list, tab, loaded}
let current = null;
const READABLE = 0.75; // below this zoom labels cannot be read

const counts = (kind, key) => Object.entries(config[kind]?.[key] ?? {}).filter(([, n]) => n > 0);
const total = (kind, key) => counts(kind, key).reduce((sum, [, n]) => sum + n, 0);
const diagramOf = key => config.diagrams.find(d => d.key === key);

/** The diagrams as their tabs stand: the instance's own, then those where something goes on, then the others. */
const inOrder = () => {
  const [own, ...called] = config.diagrams;
  const busy = called.filter(d => total('tokens', d.key) + total('incidents', d.key) > 0);
  return [own, ...busy, ...called.filter(d => !busy.includes(d))];
};

function build() {
  const many = config.diagrams.length > 1;
  const tabs = inOrder().map(({ key, name, version }) => {
    const active = total('tokens', key);
    const broken = total('incidents', key);
    const tab = h(
      'button',
      {
        type: 'button',
        role: 'tab',
        id: `tab-${key}`,
        'aria-controls': `diagram-${key}`,
        'aria-selected': 'false',
        tabIndex: -1,
        onclick: () => show(key),
        title: say('version', { n: version }),
      },
      name || key,
      !many && h('span', { class: 'sub' }, say('version', { n: version })),
      active > 0 && h('span', { class: 'count', title: say('tokens.count', { n: active }) }, active),
      broken > 0 && h('span', { class: 'count bad', title: say('incidents.count', { n: broken }) }, broken),
    );
    const canvas = h('div', { class: 'diagram-canvas', role: 'group', 'aria-label': say('diagram.of', { name: name || key }) });
    const list = h('ul', { class: 'element-states' });
    const panel = h(
      'div',
      { role: many ? 'tabpanel' : 'group', id: `diagram-${key}`, 'aria-labelledby': `tab-${key}`, hidden: true },
      canvas,
      h('details', { class: 'as-list' }, h('summary', {}, say('diagram.as.list')), list),
    );
    views.set(key, { tab, panel, canvas, list });
    return tab;
  });
  const tablist = h(
    'div',
    { class: 'tabs', role: many ? 'tablist' : undefined, 'aria-label': say('diagrams') },
    many ? tabs : h('strong', { id: `tab-${config.diagrams[0].key}` }, ...tabs[0].childNodes),
  );
  tablist.addEventListener('keydown', event => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step || !many) return;
    const order = inOrder();
    const index = order.findIndex(d => d.key === current) + step;
    const next = order[(index + order.length) % order.length].key;
    show(next);
    views.get(next).tab.focus();
  });
  const legend = h(
    'p',
    { class: 'legend' },
    ...[
      ['active', 'token'],
      ['passed', 'done'],
      ['incident', 'incident'],
    ].map(([state, sign]) =>
      h(
        'span',
        { class: 'key' },
        h(
          'span',
          { class: `on-diagram ${sign}`, 'aria-hidden': 'true' },
          state === 'incident' ? '!' : state === 'passed' ? '×2' : '1',
        ),
        say(`legend.${state}`),
      ),
    ),
  );
  root.classList.add('diagram-frame');
  root.replaceChildren(
    h(
      'div',
      { class: 'diagram-bar' },
      tablist,
      h(
        'div',
        { class: 'row' },
        h('button', { type: 'button', class: 'tool', onclick: locate }, say('locate')),
        zoomButtons(() => views.get(current).viewer),
      ),
    ),
    ...[...views.values()].map(v => v.panel),
    legend,
  );
}

async function show(key, element) {
  const view = views.get(key);
  current = key;
  for (const [other, { tab, panel }] of views) {
    panel.hidden = other !== key;
    tab.setAttribute('aria-selected', String(other === key));
    tab.tabIndex = other === key ? 0 : -1;
  }
  view.loaded ??= load(key, view);
  await view.loaded;
  if (element) reveal(view.viewer, element);
}

async function load(key, view) {
  view.viewer = createViewer(view.canvas, { embedded: true });
  const { viewer } = view;
  await viewer.importXML(await fetchText(diagramOf(key).xmlUrl));
  begin(viewer, key);
  view.decoration = new Decoration(viewer);
  decorate(key, view);
  viewer.on('element.click', ({ element }) => {
    const called = calledKey(element);
    if (called && diagramOf(called)) show(called);
  });
  fillList(key, view);
}

/** Show all of a diagram; of one too large to be read that way, the place where something goes on. */
function begin(viewer, key) {
  const canvas = viewer.get('canvas');
  fit(viewer);
  const place = placesOf(viewer, key)[0];
  if (canvas.zoom() < READABLE && place) closeUp(viewer, place, READABLE);
}

// A phone that is turned, a window that is pulled: begin anew, unless the reader has gone somewhere in the drawing.
let moved = false;
const hand = () => {
  moved = true;
};
root.addEventListener('pointerdown', hand);
root.addEventListener('wheel', hand, { passive: true });
root.addEventListener('keydown', hand);
new ResizeObserver(() => {
  const view = views.get(current);
  if (!view?.decoration || !view.canvas.clientWidth) return;
  view.viewer.get('canvas').resized();
  if (!moved) begin(view.viewer, current);
}).observe(root);

/** How often a gateway was passed tells nobody anything. */
const countable = (viewer, id) => !/Gateway$/.test(viewer.get('elementRegistry').get(id)?.type ?? 'Gateway');

/** Elements where something goes on, those that are stuck first. */
const placesOf = (viewer, key) =>
  [...counts('incidents', key), ...counts('tokens', key)].map(([id]) => id).filter(id => viewer.get('elementRegistry').get(id));

/** Go to the next place where something is going on, near enough to read. */
function locate() {
  const { viewer } = views.get(current);
  const places = placesOf(viewer, current);
  if (!places.length) return;
  const next = places[(places.indexOf(viewer.get('selection').get()[0]?.id) + 1) % places.length];
  if (viewer.get('canvas').zoom() < 0.8) viewer.get('canvas').zoom(0.9);
  reveal(viewer, next);
}

function decorate(key, { viewer, decoration }) {
  const markers = [];
  const overlays = [];
  const busy = new Set([...counts('tokens', key), ...counts('incidents', key)].map(([id]) => id));
  for (const [id, n] of counts('done', key)) {
    if (!busy.has(id)) markers.push([id, 'is-passed']);
    if (n > 1 && countable(viewer, id))
      overlays.push({
        element: id,
        kind: 'done',
        text: `×${n}`,
        title: say('done.count', { n }),
        position: { bottom: 11, right: 14 },
      });
  }
  for (const [id, n] of counts('tokens', key)) {
    markers.push([id, 'is-active']);
    overlays.push({
      element: id,
      kind: 'token',
      text: String(n),
      title: say('tokens.count', { n }),
      position: { top: -11, left: -11 },
    });
  }
  for (const [id, n] of counts('incidents', key)) {
    markers.push([id, 'is-incident']);
    overlays.push({
      element: id,
      kind: 'incident',
      text: n > 1 ? `! ${n}` : '!',
      title: say('incidents.count', { n }),
      position: { top: -11, right: 11 },
    });
  }
  for (const element of viewer.get('elementRegistry').filter(e => diagramOf(calledKey(e)))) {
    markers.push([element.id, 'opens-diagram']);
    const name = diagramOf(calledKey(element)).name;
    overlays.push({
      element: element.id,
      kind: 'open',
      text: say('open.short'),
      title: say('open.diagram', { name }),
      position: { bottom: -4, left: 4 },
      onclick: () => show(calledKey(element)),
    });
  }
  decoration.show(markers, overlays);
}

/** The same facts as the drawing, for those who cannot see or point at it. */
function fillList(key, { viewer, list }) {
  const states = new Map();
  for (const kind of ['incidents', 'tokens', 'done']) {
    for (const [id, n] of counts(kind, key)) states.set(id, [...(states.get(id) ?? []), say(`${kind}.count`, { n })]);
  }
  const registry = viewer.get('elementRegistry');
  const items = [...states].map(([id, words]) => [registry.get(id), words]).filter(([e]) => e && !e.waypoints);
  list.replaceChildren(
    ...items.map(([element, words]) => {
      const called = diagramOf(calledKey(element));
      return h(
        'li',
        {},
        h('button', { type: 'button', class: 'link', onclick: () => reveal(viewer, element.id) }, elementName(element)),
        h('span', { class: 'muted' }, ` ${typeName(element)} · ${words.join(say('comma'))}`),
        called &&
          h(
            'button',
            { type: 'button', class: 'link', onclick: () => show(called.key) },
            say('open.diagram', { name: called.name }),
          ),
      );
    }),
  );
  if (!items.length) list.replaceChildren(h('li', { class: 'muted' }, say('diagram.untouched')));
}

run(root, async () => {
  build();
  const busiest = config.diagrams.find(d => total('incidents', d.key)) ?? config.diagrams[0];
  await show(config.show ?? busiest.key);
});
