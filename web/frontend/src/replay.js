/**
 * Plays the history of a process instance on its diagrams.
 *
 * Draws into `#replay`. Config: {diagrams: [{key, name, version, xmlUrl}], eventsUrl, title, subtitle, back: {url, label}, deadline}; eventsUrl
 * answers {events: […]} as replay/fold.js describes; the last four may be left out.
 */
import { createViewer, Decoration, elementName, fit, zoomButtons } from './canvas.js';
import { drawIcon, h, iconButton, svg, title } from './dom.js';
import { config, fetchJson, fetchText, run } from './page.js';
import { flowsBetween, fold, nextStop, prepare, restAt } from './replay/fold.js';
import { clockText, dayText, durationText, instantText } from './time.js';
import { say } from './words/index.js';
import './replay.css';

const root = document.getElementById('replay');
const calm = matchMedia('(prefers-reduced-motion: reduce)');
const deadline = config.deadline ? Date.parse(config.deadline) : NaN;
const views = new Map(); // process → {panel, tab, canvas, viewer, decoration, loaded}
const parts = {};
let events = [];
let rows = []; // list item of each event, undefined where it says nothing
let index = -1;
let painted = -1;
let current = null;
let pinned = false;
let heat = false;
let playing = 0; // the timer, 0 when resting
let speed = 1;

// ------------------------------------------------------------------------------------------------------------ the page
function build() {
  const tool = (icon, label, action) => iconButton(icon, label, action);
  const toggle = (name, label, action) =>
    (parts[name] = h('button', { type: 'button', class: 'tool', 'aria-pressed': 'false', onclick: action }, label));
  parts.play = h(
    'button',
    { type: 'button', class: 'tool primary play', onclick: () => (playing ? rest() : play()) },
    drawIcon('play'),
    h('span', {}, say('play')),
  );
  parts.speed = h(
    'select',
    {
      id: 'speed',
      onchange: event => {
        speed = Number(event.target.value);
      },
    },
    ...[0.5, 1, 2, 5, 20].map(n => h('option', { value: n, selected: n === 1 }, `${n}×`)),
  );
  parts.slider = h('input', {
    type: 'range',
    min: -1,
    max: 0,
    step: 1,
    value: -1,
    'aria-label': say('replay.slider'),
    oninput: event => {
      rest();
      go(Number(event.target.value));
    },
  });
  parts.now = h('output', { class: 'now' });
  parts.left = h('span', { class: 'left' });
  parts.strip = svg('svg', { class: 'strip', 'aria-hidden': 'true', preserveAspectRatio: 'none', viewBox: '0 0 1000 24' });
  parts.ends = h('div', { class: 'ends', 'aria-hidden': 'true' });
  parts.list = h('ol', { class: 'steps-list', 'aria-label': say('replay.steps') });
  parts.people = h('select', { id: 'people', onchange: filter });
  parts.stage = h('div', { class: 'stage-canvases' });
  const many = config.diagrams.length > 1;
  parts.tabs = h('div', { class: 'tabs', role: many ? 'tablist' : undefined, 'aria-label': say('diagrams'), hidden: !many });
  for (const { key, name, version } of config.diagrams) {
    const canvas = h('div', { class: 'diagram-canvas' });
    const tab = h(
      'button',
      {
        type: 'button',
        role: 'tab',
        id: `tab-${key}`,
        'aria-controls': `diagram-${key}`,
        onclick: () => {
          pin(true);
          show(key);
        },
      },
      name || key,
      h('span', { class: 'sub' }, say('version', { n: version })),
    );
    const panel = h(
      'div',
      {
        class: 'stage-panel',
        role: many ? 'tabpanel' : 'group',
        id: `diagram-${key}`,
        'aria-label': say('diagram.of', { name: name || key }),
        hidden: true,
      },
      canvas,
    );
    views.set(key, { panel, tab, canvas });
    parts.tabs.append(tab);
    parts.stage.append(panel);
  }
  root.replaceChildren(
    h(
      'div',
      { class: 'workbench-bar' },
      config.back &&
        h(
          'a',
          { class: 'tool icon', href: config.back.url, title: config.back.label, 'aria-label': config.back.label },
          drawIcon('back'),
        ),
      title(config.title, config.subtitle),
      h('span', { class: 'spring' }),
      toggle('heat', say('replay.heat'), () => {
        heat = !heat;
        parts.heat.setAttribute('aria-pressed', String(heat));
        paint();
      }),
      many && toggle('pin', say('replay.pin'), () => pin(!pinned)),
      zoomButtons(() => views.get(current).viewer),
    ),
    h(
      'div',
      { class: 'player' },
      h(
        'div',
        { class: 'transport' },
        tool('first', say('replay.first'), () => {
          rest();
          go(-1);
        }),
        tool('back', say('replay.previous'), () => {
          rest();
          go(nextStop(events, index, -1));
        }),
        parts.play,
        tool('forward', say('replay.next'), () => {
          rest();
          go(nextStop(events, index, 1), true);
        }),
        tool('last', say('replay.last'), () => {
          rest();
          go(events.length - 1);
        }),
        h('label', { for: 'speed', class: 'speed' }, say('replay.speed'), parts.speed),
      ),
      h(
        'div',
        { class: 'track' },
        h('div', { class: 'track-words' }, parts.now, parts.left),
        parts.slider,
        parts.strip,
        parts.ends,
      ),
    ),
    parts.tabs,
    h(
      'div',
      { class: 'stage' },
      parts.stage,
      h(
        'section',
        { class: 'steps', 'aria-label': say('replay.steps') },
        h(
          'div',
          { class: 'steps-head' },
          h('h2', {}, say('replay.steps')),
          h('label', { for: 'people', class: 'visually-hidden' }, say('replay.people')),
          parts.people,
        ),
        parts.list,
      ),
    ),
  );
  parts.strip.addEventListener('pointerdown', seek);
  parts.strip.addEventListener('pointermove', event => {
    if (event.buttons & 1) seek(event);
  });
  addEventListener('keydown', event => {
    if (event.target.closest('input, select, button, a, textarea, summary') || event.ctrlKey || event.metaKey || event.altKey)
      return;
    if (event.key === ' ') {
      event.preventDefault();
      if (playing) rest();
      else play();
    }
    if (event.key === 'ArrowRight') {
      event.preventDefault();
      rest();
      go(nextStop(events, index, 1), true);
    }
    if (event.key === 'ArrowLeft') {
      event.preventDefault();
      rest();
      go(nextStop(events, index, -1));
    }
  });
}

function fillList() {
  const people = [...new Set(events.map(e => e.actor).filter(Boolean))];
  parts.people.replaceChildren(
    h('option', { value: '' }, say('replay.everybody')),
    ...people.map(name => h('option', { value: name }, name)),
  );
  parts.people.hidden = people.length < 2;
  let day = '';
  const items = [];
  rows = events.map((event, k) => {
    if (!event.text) return undefined;
    const today = dayText(event.ms);
    if (today !== day) items.push(h('li', { class: 'day' }, (day = today)));
    const row = h(
      'li',
      { class: `step future ${tone(event)}`, dataset: { actor: event.actor ?? '' } },
      h(
        'button',
        { type: 'button', value: k },
        h('time', { dateTime: event.at }, clockText(event.ms)),
        h('span', { class: 'what' }, event.text),
        event.actor && !event.text.includes(event.actor) && h('span', { class: 'who' }, event.actor),
        event.said && h('span', { class: 'said' }, event.said),
      ),
    );
    items.push(row);
    return row;
  });
  parts.list.replaceChildren(...items);
  parts.list.addEventListener('click', event => {
    const button = event.target.closest('button');
    if (!button) return;
    rest();
    go(Number(button.value));
  });
}

function filter() {
  const name = parts.people.value;
  for (const row of rows) if (row) row.hidden = Boolean(name) && row.dataset.actor !== name;
}

/** How an event is coloured in list and strip; the sentence says the same. */
function tone({ type, tone: given }) {
  if (given) return given;
  if (/Incident(Opened)|Failed|ErrorThrown|Denied/.test(type)) return 'bad';
  if (/Cancelled|Fired|Escalation|Suspended|Reminded|Moved/.test(type)) return 'warn';
  if (/Completed|Resolved/.test(type)) return 'ok';
  return 'plain';
}

// --------------------------------------------------------------------------------------------------------- time strip
const span = () => [events[0].ms, Math.max(events[events.length - 1].ms, deadline || 0, events[0].ms + 1)];

function drawStrip() {
  const [from, to] = span();
  const x = ms => (((ms - from) / (to - from)) * 1000).toFixed(1);
  const ticks = new Map();
  for (const event of events) if (event.text) ticks.set(tone(event), `${ticks.get(tone(event)) ?? ''}M${x(event.ms)},7V17`);
  parts.strip.replaceChildren(
    svg('rect', { x: 0, y: 11, width: 1000, height: 2, class: 'axis' }),
    ...[...ticks].map(([kind, d]) => svg('path', { d, class: `tick ${kind}` })),
  );
  if (!Number.isNaN(deadline)) parts.strip.append(svg('path', { d: `M${x(deadline)},0V24`, class: 'tick deadline' }));
  parts.head = svg('path', { d: 'M0,0V24', class: 'head' });
  parts.strip.append(parts.head);
  const last = h('span', {}, instantText(events[events.length - 1].ms));
  const close = Number.isNaN(deadline)
    ? ''
    : h('span', { class: 'deadline' }, say('replay.deadline', { at: instantText(deadline) }));
  parts.ends.replaceChildren(h('span', {}, instantText(from)), ...(deadline >= to ? [close] : [close, last]));
}

function seek(event) {
  const box = parts.strip.getBoundingClientRect();
  const [from, to] = span();
  const ms = from + ((event.clientX - box.left) / box.width) * (to - from);
  rest();
  let k = events.findIndex(e => e.ms > ms);
  if (k < 0) k = events.length;
  go(k - 1);
}

// ------------------------------------------------------------------------------------------------------------ diagrams
async function show(key) {
  if (!views.has(key)) return;
  const view = views.get(key);
  current = key;
  for (const [other, { panel, tab }] of views) {
    panel.hidden = other !== key;
    tab.setAttribute('aria-selected', String(other === key));
  }
  view.loaded ??= load(key, view);
  await view.loaded;
  if (current === key) paint();
}

async function load(key, view) {
  view.viewer = createViewer(view.canvas);
  await view.viewer.importXML(await fetchText(config.diagrams.find(d => d.key === key).xmlUrl));
  fit(view.viewer);
  view.decoration = new Decoration(view.viewer);
  view.viewer.on('element.click', ({ element }) => {
    const of = e => e.process === key && (e.element === element.id || e.flow === element.id) && e.text;
    let k = events.findIndex((e, n) => n > index && of(e));
    if (k < 0) k = events.findIndex(of);
    if (k < 0) return;
    rest();
    go(k);
  });
}

function pin(on) {
  pinned = on;
  parts.pin?.setAttribute('aria-pressed', String(on));
  if (!on && events[index] && events[index].process !== current) show(events[index].process);
}

function paint() {
  const view = views.get(current);
  const state = fold(events, index);
  if (view?.decoration) {
    const diagram = state.diagrams.get(current);
    const registry = view.viewer.get('elementRegistry');
    const markers = [];
    const overlays = [];
    if (diagram) {
      for (const id of diagram.flows.keys()) markers.push([id, 'is-passed']);
      for (const [id, n] of diagram.done) {
        if (!diagram.tokens.has(id)) markers.push([id, 'is-passed']);
        if (n > 1 && !/Gateway$/.test(registry.get(id)?.type ?? ''))
          overlays.push({
            element: id,
            kind: 'done',
            text: `×${n}`,
            title: say('done.count', { n }),
            position: { bottom: 11, right: 14 },
          });
      }
      for (const id of diagram.cancelled.keys()) markers.push([id, 'is-cancelled']);
      for (const [id, n] of diagram.tokens) {
        markers.push([id, 'is-active']);
        overlays.push({
          element: id,
          kind: 'token',
          text: String(n),
          title: say('tokens.count', { n }),
          position: { top: -11, left: -11 },
        });
      }
      for (const [id, n] of diagram.incidents) {
        markers.push([id, 'is-incident']);
        overlays.push({
          element: id,
          kind: 'incident',
          text: '!',
          title: say('incidents.count', { n }),
          position: { top: -11, right: 11 },
        });
      }
      const event = events[index];
      if (event?.process === current && registry.get(event.element)) markers.push([event.element, 'is-now']);
    }
    drawHeat(view, heat && diagram ? diagram.spent : new Map(), overlays);
    view.decoration.show(markers, overlays);
  }
  for (const [key, { tab }] of views) tab.classList.toggle('is-alive', (state.diagrams.get(key)?.tokens.size ?? 0) > 0);

  const event = events[index];
  parts.now.textContent = event ? instantText(event.ms, true) : say('replay.before');
  parts.left.textContent =
    event && !Number.isNaN(deadline)
      ? say(deadline >= event.ms ? 'deadline.left' : 'deadline.past', { duration: durationText(Math.abs(deadline - event.ms)) })
      : '';
  parts.left.classList.toggle('is-late', Boolean(event) && deadline < event.ms);
  parts.slider.value = index;
  parts.slider.setAttribute(
    'aria-valuetext',
    event
      ? say('replay.step', { n: index + 1, total: events.length, at: parts.now.textContent, text: event.text || '' })
      : say('replay.before'),
  );
  const [from, to] = span();
  parts.head.setAttribute('d', `M${(((event ? event.ms - from : 0) / (to - from)) * 1000).toFixed(1)},0V24`);
  for (let k = Math.min(painted, index) + 1; k <= Math.max(painted, index); k += 1)
    rows[k]?.classList.toggle('future', k > index);
  markRow();
  painted = index;
}

let marked = null;
function markRow() {
  let k = index;
  while (k >= 0 && !rows[k]) k -= 1;
  if (marked === rows[k]) return;
  marked?.removeAttribute('aria-current');
  marked = rows[k];
  if (!marked) {
    parts.list.scrollTop = 0;
    return;
  }
  marked.setAttribute('aria-current', 'step');
  parts.list.scrollTop = marked.offsetTop - parts.list.clientHeight / 2;
}

/** Time spent, laid over the shapes like ink on paper: the warmer the longer, and the figure beside it. */
function drawHeat({ viewer }, spent, overlays) {
  const layer = viewer.get('canvas').getLayer('heat', 1);
  const registry = viewer.get('elementRegistry');
  const items = [...spent]
    .map(([id, s]) => [registry.get(id), s])
    .filter(([e, s]) => e && /Task|Activity|SubProcess|CatchEvent/.test(e.type) && s.ms > 0);
  const most = Math.max(1, ...items.map(([, s]) => s.ms));
  const gradients = svg('defs');
  layer.classList.add('heat-layer');
  layer.replaceChildren(gradients);
  for (const [element, { ms, count }] of items) {
    const share = Math.sqrt(ms / most);
    const colour = `hsl(${Math.round(215 - 215 * share)} 90% 50%)`;
    gradients.append(
      svg(
        'radialGradient',
        { id: `heat-${element.id}` },
        svg('stop', { offset: '0.35', 'stop-color': colour, 'stop-opacity': 0.65 }),
        svg('stop', { offset: '1', 'stop-color': colour, 'stop-opacity': 0 }),
      ),
    );
    layer.append(
      svg('ellipse', {
        cx: element.x + element.width / 2,
        cy: element.y + element.height / 2,
        rx: element.width / 2 + 30 + 25 * share,
        ry: element.height / 2 + 30 + 25 * share,
        fill: `url(#heat-${element.id})`,
        'pointer-events': 'none',
      }),
    );
    overlays.push({
      element: element.id,
      kind: 'heat',
      text: durationText(ms, true),
      title: say('replay.spent', { name: elementName(element), duration: durationText(ms), n: count }),
      position: { bottom: -3, left: 2 },
    });
  }
}

/** A token runs along the flow it took. */
function fly(process, id) {
  const view = views.get(process);
  if (calm.matches || process !== current || !view?.viewer) return;
  const flow = view.viewer.get('elementRegistry').get(id);
  if (!flow?.waypoints) return;
  const layer = view.viewer.get('canvas').getLayer('flying', 10);
  const path = svg('path', { d: `M${flow.waypoints.map(p => `${p.x},${p.y}`).join('L')}`, fill: 'none' });
  const dot = svg('circle', { r: 8, class: 'flying' });
  layer.append(path, dot);
  const length = path.getTotalLength();
  const begun = performance.now();
  const lasts = Math.min(900, 300 + length * 0.8) / Math.sqrt(speed);
  const move = now => {
    const share = Math.min(1, Math.max(0, (now - begun) / lasts));
    const point = path.getPointAtLength(length * share);
    dot.setAttribute('cx', point.x);
    dot.setAttribute('cy', point.y);
    if (share < 1) requestAnimationFrame(move);
    else {
      path.remove();
      dot.remove();
    }
  };
  move(begun);
}

// ------------------------------------------------------------------------------------------------------------- playing
function go(to, animate = false) {
  const from = index;
  index = Math.max(-1, Math.min(events.length - 1, to));
  const process = events[index]?.process;
  if (!pinned && process && process !== current && views.has(process)) show(process);
  else paint();
  if (animate && index > from) for (const { process: where, flow } of flowsBetween(events, from, index)) fly(where, flow);
  if (index >= events.length - 1) rest();
}

function play() {
  if (index >= events.length - 1) go(-1);
  const next = () => {
    go(nextStop(events, index, 1), true);
    if (playing) playing = setTimeout(next, restAt(events, index) / speed);
  };
  playing = setTimeout(next, 0);
  showPlaying();
}

function rest() {
  clearTimeout(playing);
  playing = 0;
  showPlaying();
}

function showPlaying() {
  parts.play.replaceChildren(drawIcon(playing ? 'pause' : 'play'), h('span', {}, say(playing ? 'pause' : 'play')));
}

run(root, async () => {
  build();
  events = prepare((await fetchJson(config.eventsUrl)).events);
  if (!events.length) {
    root.append(h('p', { class: 'empty' }, say('replay.nothing')));
    return;
  }
  parts.slider.max = events.length - 1;
  fillList();
  drawStrip();
  await show(views.has(events[0].process) ? events[0].process : config.diagrams[0].key);
  go(-1);
});
