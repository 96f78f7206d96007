/**
 * Reads and changes what stands in the extension namespace.
 *
 * The namespace is deliberately unknown to moddle: unknown attributes and elements survive reading and writing as they are, while a
 * registered namespace drops every element that its descriptor forgot. So nothing of a file is lost, whoever wrote it.
 */

/** An edit: `[moddle element, {property: value}]`; a list of them becomes one step that can be undone (commands.js). */
export class Extensions {
  constructor(modeler, uri) {
    this.modeler = modeler;
    this.uri = uri;
  }

  /** The prefix the file gives the namespace; a file without it gets `camunda`. */
  get prefix() {
    const { $attrs } = this.modeler.getDefinitions();
    const declared = Object.keys($attrs).find(name => name.startsWith('xmlns:') && $attrs[name] === this.uri);
    if (declared) return declared.slice(6);
    $attrs['xmlns:camunda'] = this.uri;
    return 'camunda';
  }

  attribute(holder, name) {
    return holder.get(`${this.prefix}:${name}`) ?? '';
  }

  /** `{element: …}` in the extension elements of `holder`, undefined when there is none. */
  elements(holder, name) {
    return (holder.extensionElements?.values ?? []).filter(value => value.$type === `${this.prefix}:${name}`);
  }

  /** [{name, value}] of `camunda:properties`. */
  properties(holder) {
    return this.elements(holder, 'properties')
      .flatMap(p => p.$children ?? [])
      .filter(p => p.$type === `${this.prefix}:property`);
  }

  property(holder, name) {
    return this.properties(holder).find(p => p.name === name)?.value ?? '';
  }

  make(name, attributes = {}, children = []) {
    const element = this.modeler.get('moddle').createAny(`${this.prefix}:${name}`, this.uri, attributes);
    if (children.length) {
      element.$children = children;
      for (const child of children) child.$parent = element;
    }
    return element;
  }

  setAttribute(holder, name, value) {
    return [[holder, { [`${this.prefix}:${name}`]: value === '' ? undefined : value }]];
  }

  /** Puts `made` where the elements called `name` were (at the end when there were none). */
  setElements(holder, name, made) {
    const type = `${this.prefix}:${name}`;
    const container = holder.extensionElements;
    const old = container?.values ?? [];
    const first = old.findIndex(value => value.$type === type);
    const values = old.filter(value => value.$type !== type);
    values.splice(first < 0 ? values.length : first, 0, ...made);
    if (!values.length) return [[holder, { extensionElements: undefined }]];
    if (container) {
      for (const value of made) value.$parent = container;
      return [[container, { values }]];
    }
    const fresh = this.modeler.get('bpmnFactory').create('bpmn:ExtensionElements', { values });
    fresh.$parent = holder;
    for (const value of values) value.$parent = fresh;
    return [[holder, { extensionElements: fresh }]];
  }

  /** [{name, value}] → all of `camunda:properties`; an entry keeps its place. */
  setProperties(holder, entries) {
    const children = entries
      .filter(e => e.name || e.value)
      .map(({ name, value, id }) => this.make('property', { ...(id && { id }), name, value }));
    return this.setElements(holder, 'properties', children.length ? [this.make('properties', {}, children)] : []);
  }

  setProperty(holder, name, value) {
    const entries = this.properties(holder).map(({ id, name: n, value: v }) => ({ id, name: n, value: v }));
    const there = entries.find(e => e.name === name);
    if (there) there.value = value;
    else entries.push({ name, value });
    return this.setProperties(
      holder,
      entries.filter(e => e.name !== name || e.value !== ''),
    );
  }
}

/** Copy, paste and a change of type know nothing of unknown names: take the extension attributes and elements along (asked before bpmn-js answers). */
export function copyExtensions(modeler, appliesTo) {
  const eventBus = modeler.get('eventBus');
  const moddle = modeler.get('moddle');
  const clone = element => {
    const { $type, $children, ...rest } = element;
    const copy = moddle.createAny(
      $type,
      element.$descriptor.ns.uri,
      Object.fromEntries(Object.entries(rest).filter(([key, value]) => typeof value === 'string' || key === '$body')),
    );
    if ($children) {
      copy.$children = $children.map(clone);
      for (const child of copy.$children) child.$parent = copy;
    }
    return copy;
  };
  eventBus.on('moddleCopy.canCopyProperties', 2000, ({ sourceElement, targetElement }) => {
    for (const [name, value] of Object.entries(sourceElement.$attrs ?? {})) {
      if (name.includes(':') && !name.startsWith('xmlns') && appliesTo(name, targetElement)) targetElement.$attrs[name] = value;
    }
  });
  eventBus.on('moddleCopy.canCopyProperty', 2000, ({ property, parent }) => {
    if (property?.$descriptor?.isGeneric && parent?.$type === 'bpmn:ExtensionElements') return clone(property);
    return undefined;
  });
}
