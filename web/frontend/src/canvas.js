/** A bpmn-js viewer as our pages want it: fitted, zoomed by buttons, and the bpmn.io mark left free. */
import NavigatedViewer from 'bpmn-js/lib/NavigatedViewer';
import { is } from 'bpmn-js/lib/util/ModelUtil';
import { h, iconButton } from './dom.js';
import translation, { translate } from './words/bpmn.js';
import { say } from './words/index.js';
import 'bpmn-js/dist/assets/diagram-js.css';
import 'bpmn-js/dist/assets/bpmn-js.css';
import './canvas.css';

/** `embedded`: on a page that scrolls the wheel scrolls the page; zooming needs Ctrl there. */
export function createViewer(container, { embedded = false } = {}) {
  const viewer = new NavigatedViewer({ container, additionalModules: [translation] });
  if (embedded)
    container.addEventListener(
      'wheel',
      event => {
        if (!event.ctrlKey && !event.metaKey) event.stopPropagation();
      },
      { capture: true },
    );
  return viewer;
}

/** Show the whole diagram, at most in its natural size; `left` px stay free for a palette. */
export function fit(viewer, { left = 24, around = 24, largest = 1 } = {}) {
  const canvas = viewer.get('canvas');
  canvas.resized();
  const { inner, outer } = canvas.viewbox();
  if (!outer.width || !outer.height || !inner.width) return;
  const scale = Math.min(largest, (outer.width - left - around) / inner.width, (outer.height - 2 * around) / inner.height);
  const width = outer.width / scale;
  const height = outer.height / scale;
  canvas.viewbox({
    x: inner.x - left / scale - Math.max(0, (width - left / scale - around / scale - inner.width) / 2),
    y: inner.y - (height - inner.height) / 2,
    width,
    height,
  });
}

export function zoom(viewer, factor) {
  const canvas = viewer.get('canvas');
  canvas.zoom(Math.min(4, Math.max(0.1, canvas.zoom() * factor)), 'auto');
}

/** Zoom buttons for the viewer that `current()` gives. */
export function zoomButtons(current, options) {
  return h(
    'div',
    { class: 'tool-group', role: 'group', 'aria-label': say('zoom') },
    iconButton('minus', say('zoom.out'), () => zoom(current(), 1 / 1.25)),
    iconButton('plus', say('zoom.in'), () => zoom(current(), 1.25)),
    iconButton('fit', say('zoom.fit'), () => fit(current(), options)),
  );
}

/** The name people know an element by. */
export function elementName(element) {
  if (!element) return '';
  const { businessObject } = element;
  return (businessObject?.name || businessObject?.text || '').replace(/\s+/g, ' ').trim() || typeName(element);
}

/** 用户任务, 定时边界事件 … */
export function typeName(element) {
  const definition = element.businessObject?.eventDefinitions?.[0]?.$type
    .replace(/^bpmn:|EventDefinition$/g, '')
    .replace('Compensate', 'Compensation');
  const words = element.type.replace(/^bpmn:/, '').replace(/([a-z])([A-Z])/g, (_, a, b) => `${a} ${b.toLowerCase()}`);
  if (element.businessObject?.triggeredByEvent) return translate('Event sub-process');
  return translate(
    { 'Sub process': 'Sub-process', 'Event based gateway': 'Event-based gateway' }[words] ??
      (definition ? `${definition} ${words.toLowerCase()}` : words),
  );
}

/** Show an element in the middle, near enough to read; nothing beyond the diagram's edge where the diagram is larger than the view. */
export function closeUp(viewer, id, scale) {
  const canvas = viewer.get('canvas');
  const element = viewer.get('elementRegistry').get(id);
  const { inner, outer } = canvas.viewbox();
  if (!element || !outer.width) return;
  const along = (middle, start, length, view) =>
    length < view ? start - (view - length) / 2 : Math.min(Math.max(middle - view / 2, start), start + length - view);
  const width = outer.width / scale;
  const height = outer.height / scale;
  canvas.viewbox({
    x: along(element.x + element.width / 2, inner.x - 24, inner.width + 48, width),
    y: along(element.y + element.height / 2, inner.y - 24, inner.height + 48, height),
    width,
    height,
  });
}

/** Bring an element into view, on its own plane when it is inside a collapsed sub-process. */
export function reveal(viewer, id, { select = true } = {}) {
  const element = viewer.get('elementRegistry').get(id);
  if (!element) return null;
  const canvas = viewer.get('canvas');
  const root = canvas.findRoot(element);
  if (root && canvas.getRootElement() !== root) canvas.setRootElement(root);
  if (element !== root) canvas.scrollToElement(element, { top: 80, right: 120, bottom: 80, left: 120 });
  if (select) viewer.get('selection').select(element === root ? [] : element);
  return element;
}

/** Key of the process a call activity calls, '' when it is not one or computes it. */
export function calledKey(element) {
  return is(element, 'bpmn:CallActivity') ? element.businessObject.calledElement || '' : '';
}

/** Keeps markers and overlays equal to what is wanted, touching only what changed: naive repainting takes most of a second on large diagrams. */
export class Decoration {
  constructor(viewer) {
    this.viewer = viewer;
    this.markers = new Map(); // 'id class' -> [id, class]
    this.overlays = new Map(); // 'id kind' -> {id, text, overlay}
  }

  /** `markers`: [[element id, class]]; `overlays`: [{element, kind, look, text, title, position, onclick}] */
  show(markers, overlays) {
    const canvas = this.viewer.get('canvas');
    const registry = this.viewer.get('elementRegistry');
    const wanted = new Map(markers.filter(([id]) => registry.get(id)).map(pair => [pair.join(' '), pair]));
    for (const [key, [id, name]] of this.markers) if (!wanted.has(key)) canvas.removeMarker(id, name);
    for (const [key, [id, name]] of wanted) if (!this.markers.has(key)) canvas.addMarker(id, name);
    this.markers = wanted;

    const service = this.viewer.get('overlays');
    const shown = new Map(overlays.filter(({ element }) => registry.get(element)).map(o => [`${o.element} ${o.kind}`, o]));
    for (const [key, old] of this.overlays) {
      if (shown.get(key)?.text !== old.text || shown.get(key)?.title !== old.title) {
        service.remove(old.overlay);
        this.overlays.delete(key);
      }
    }
    for (const [key, o] of shown) {
      if (this.overlays.has(key)) continue;
      const html = h(
        o.onclick ? 'button' : 'div',
        {
          class: `on-diagram ${o.kind} ${o.look ?? ''}`,
          title: o.title,
          ...(o.onclick && { type: 'button', onclick: o.onclick, 'aria-label': o.title }),
        },
        o.text,
      );
      this.overlays.set(key, {
        text: o.text,
        title: o.title,
        overlay: service.add(o.element, o.kind, { position: o.position, html }),
      });
    }
  }
}
