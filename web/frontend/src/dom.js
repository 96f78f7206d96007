/** The smallest thing that makes elements: no markup from strings, so nothing can be injected. */

/** `h('button', {type: 'button', onclick, 'aria-label': '…', dataset: {}}, 'text', node, null)`; null and false are left out. */
export function h(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  set(node, properties);
  node.append(...children.flat(Infinity).filter(child => child !== null && child !== undefined && child !== false));
  return node;
}

const SVG = 'http://www.w3.org/2000/svg';

export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function set(node, properties) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (name === 'class') node.className = value;
    else if (name === 'dataset') Object.assign(node.dataset, value);
    else if (name.includes('-') || name === 'role' || name === 'for' || name === 'list') node.setAttribute(name, value);
    else node[name] = value;
  }
}

/** The title of a tool: the heading of the page, unless the page has one already. */
export function title(text, sub) {
  return h(
    document.querySelector('h1') ? 'p' : 'h1',
    { class: 'workbench-title' },
    text,
    sub && h('span', { class: 'sub' }, sub),
  );
}

/** A button with an icon drawn here (no glyph that a font may lack) and a name for everybody. */
export function iconButton(icon, label, onclick, properties = {}) {
  return h(
    'button',
    { type: 'button', class: 'tool icon', title: label, 'aria-label': label, onclick, ...properties },
    drawIcon(icon),
  );
}

const ICONS = {
  plus: 'M12 5v14M5 12h14',
  minus: 'M5 12h14',
  fit: 'M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5',
  back: 'M15 5l-7 7 7 7',
  forward: 'M9 5l7 7-7 7',
  first: 'M18 5l-7 7 7 7M6 5v14',
  last: 'M6 5l7 7-7 7M18 5v14',
  play: 'M7 4.5v15l12-7.5z',
  pause: 'M8 5v14M16 5v14',
  pin: 'M12 21v-6M8 3h8l-1 7 3 3v2H6v-2l3-3z',
  undo: 'M9 7L4 12l5 5M4 12h10a6 6 0 0 1 0 12',
  redo: 'M15 7l5 5-5 5M20 12H10a6 6 0 0 0 0 12',
  open: 'M9 5h10v10M19 5L6 18',
  up: 'M6 15l6-6 6 6',
  down: 'M6 9l6 6 6-6',
  close: 'M6 6l12 12M18 6L6 18',
};

export function drawIcon(name) {
  const node = svg(
    'svg',
    { viewBox: '0 0 24 24', width: 20, height: 20, 'aria-hidden': 'true', class: `icon-${name}` },
    svg('path', { d: ICONS[name] }),
  );
  return node;
}
