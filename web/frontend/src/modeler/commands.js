/** Our own steps for the command stack: each is undone and redone as a whole. */

/** Several edits of moddle elements at once: {element, edits: [[moddle element, {property: value}]]}. */
function BatchHandler(modeling) {
  this.preExecute = ({ element, edits }) => {
    for (const [holder, properties] of edits) {
      // the element's own object goes the long way: ids, labels and drawing follow it
      if (holder === element.businessObject) modeling.updateProperties(element, properties);
      else modeling.updateModdleProperties(element, holder, properties);
    }
  };
}
BatchHandler.$inject = ['modeling'];

const bounds = ({ x, y, width, height }) => ({ x, y, width, height });
const points = waypoints => waypoints.map(({ x, y }) => ({ x, y }));

/**
 * A new layout of the same elements: {places: Map(element → {x, y, width, height} or {waypoints})}. Undoing restores shape and drawing
 * information apart: reading a file rounds the shapes, and the file shall come back as it was.
 */
function LayoutHandler(bpmnFactory) {
  const owned = (made, owner) => Object.assign(made, { $parent: owner });
  const diOf = (element, where) => {
    const { di } = element;
    if (where.waypoints) return { waypoint: where.waypoints.map(p => owned(bpmnFactory.create('dc:Point', p), di)) };
    const box = bpmnFactory.create('dc:Bounds', { ...where });
    if (!element.labelTarget) return { bounds: owned(box, di) };
    const label = owned(bpmnFactory.create('bpmndi:BPMNLabel', { bounds: box }), di);
    box.$parent = label;
    return { label };
  };
  this.execute = context => {
    context.before = new Map();
    for (const [element, where] of context.places) {
      const drawn = diOf(element, where);
      const di = Object.fromEntries(Object.keys(drawn).map(key => [key, element.di[key]]));
      context.before.set(element, { shape: element.waypoints ? { waypoints: element.waypoints } : bounds(element), di });
      Object.assign(element, where);
      for (const [key, value] of Object.entries(drawn)) element.di.set(key, value);
    }
    return [...context.places.keys()];
  };
  this.revert = ({ before }) => {
    for (const [element, { shape, di }] of before) {
      Object.assign(element, shape);
      for (const [key, value] of Object.entries(di)) element.di.set(key, value);
    }
    return [...before.keys()];
  };
}
LayoutHandler.$inject = ['bpmnFactory'];

function Registration(commandStack) {
  commandStack.registerHandler('psmflow.batch', BatchHandler);
  commandStack.registerHandler('psmflow.layout', LayoutHandler);
}
Registration.$inject = ['commandStack'];

export default { __init__: ['psmflowCommands'], psmflowCommands: ['type', Registration] };

/**
 * What a laid-out file says of the elements that are here: {places, complete}. `complete` is false when it draws others than we
 * have, so that only reading the file anew shows them.
 */
export async function readLayout(modeler, xml) {
  const { rootElement } = await modeler.get('moddle').fromXML(xml);
  const registry = modeler.get('elementRegistry');
  const places = new Map();
  const drawn = new Set();
  for (const diagram of rootElement.diagrams ?? []) {
    for (const di of diagram.plane?.planeElement ?? []) {
      const id = di.bpmnElement?.id;
      const element = id && registry.get(id);
      drawn.add(id);
      if (!element || Boolean(di.waypoint) !== Boolean(element.waypoints)) return { places, complete: false };
      if (di.waypoint) places.set(element, { waypoints: points(di.waypoint) });
      else if (di.bounds) places.set(element, bounds(di.bounds));
      if (Boolean(di.isExpanded) !== Boolean(element.di.isExpanded) && /SubProcess/.test(element.type))
        return { places, complete: false };
      const label = element.label ?? registry.get(`${id}_label`);
      if (label && di.label?.bounds) places.set(label, bounds(di.label.bounds));
    }
  }
  const undrawn = registry.filter(e => e.parent && !e.labelTarget && e.type !== 'label' && !drawn.has(e.id));
  return { places, complete: undrawn.length === 0 };
}
