/**
 * Which fields an element has in the properties panel: BPMN's own first, then those of the engine's table (config.fields, made by
 * engine/bpmn/fields.py), in its order, with its labels and help.
 *
 * A field: {id, group, label, hint, kind of control, read(), write(value) → edits (see commands.js) or a sentence why not}.
 */
import { getBusinessObject, is, isAny } from 'bpmn-js/lib/util/ModelUtil';
import { elementName } from '../canvas.js';
import { pick, say } from '../words/index.js';

const NAME = /^[\p{L}_][\p{L}\p{N}_]*$/u;
const ID = /^[A-Za-z_][\w.-]*$/;
const DURATION = /^P(?=.)(\d+W|(\d+Y)?(\d+M)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?)$/;
const TIMERS = ['timeDate', 'timeDuration', 'timeCycle'];
/** What is asked first stands first; a group the table may add later comes before the documentation. */
const ORDER = [
  'general',
  'event',
  'message',
  'condition',
  'script',
  'form',
  'assignment',
  'due',
  'separation',
  'job',
  'decision',
  'call',
  'mapping',
  'properties',
  'loop',
  'documentation',
];
const camel = text => text.charAt(0).toLowerCase() + text.slice(1);

export class FieldTable {
  constructor(modeler, extensions, { table, catalogue, key }) {
    this.modeler = modeler;
    this.extensions = extensions;
    this.groups = new Map((table.groups ?? []).map(g => [g.id, pick(g)]));
    this.fields = table.fields ?? [];
    this.catalogue = catalogue;
    this.key = key;
    this.names = new Map(this.fields.filter(f => f.form === 'attribute').map(f => [f.name, f]));
  }

  /** Whether an extension attribute still means something after a change of type: what the table does not know stays. */
  appliesTo = (attribute, target) => {
    const field = this.names.get(attribute.slice(attribute.indexOf(':') + 1));
    return !field || field.places.some(place => place.kind === camel(target.$type.replace(/^bpmn:/, '')));
  };

  /** The BPMN things that an element stands for: [{kind, holder, events}]. */
  subjects(element) {
    const holder = getBusinessObject(element);
    const kind = e => camel(e.$type.replace(/^bpmn:/, ''));
    const events = (holder.eventDefinitions ?? []).map(d => kind(d).replace('EventDefinition', ''));
    const found = [{ kind: kind(holder), holder, events: events.length ? events : ['none'] }];
    if (holder.processRef) found.push({ kind: 'process', holder: holder.processRef, events: ['none'] });
    if (is(holder.loopCharacteristics, 'bpmn:MultiInstanceLoopCharacteristics'))
      found.push({ kind: 'multiInstanceLoopCharacteristics', holder: holder.loopCharacteristics, events: ['none'] });
    return found;
  }

  /** Every field of `element`, grouped: [{title, id, fields}]. */
  of(element) {
    const groups = new Map();
    const put = (group, field) => {
      const title = this.groups.get(group) ?? say(`group.${group}`);
      if (!groups.has(title)) groups.set(title, { id: group, title, fields: [] });
      groups.get(title).fields.push(field);
    };
    for (const [group, field] of this.bpmnFields(element)) put(group, field);
    for (const subject of this.subjects(element)) {
      for (const field of this.fields) {
        if (!field.places.some(p => p.kind === subject.kind && (!p.event || subject.events.includes(p.event)))) continue;
        if (field.name === 'suspends' && !subject.holder.triggeredByEvent) continue;
        for (const made of this.tableField(element, subject, field)) put(field.group, made);
      }
    }
    for (const subject of this.subjects(element)) {
      const other = this.otherProperties(subject);
      if (other) put('properties', other);
    }
    put('documentation', this.documentation(element));
    const rank = group => (ORDER.includes(group.id) ? ORDER.indexOf(group.id) : ORDER.length - 1.5);
    return [...groups.values()].sort((a, b) => rank(a) - rank(b));
  }

  // ------------------------------------------------------------------------------------------------- the engine's table
  tableField(element, { holder, kind }, field) {
    const { extensions: ext } = this;
    const written = field.form === 'bpmn' ? field.name : `camunda:${field.name}`;
    const base = {
      id: `${kind}-${field.name}`,
      label: pick(field.label),
      hint: pick(field.help),
      names: [field.name, written],
      check: checkOf(field.value),
      ...this.controlOf(field, element),
    };
    if (field.value === 'mapping') return this.mappings(holder, field, base);
    if (field.value === 'choice' && field.choices.length === 1 && !this.read(holder, field).replace(field.choices[0], ''))
      return []; // there is nothing to choose: its companion sets it
    const companions = value => (field.name === 'topic' ? ext.setAttribute(holder, 'type', value && 'external') : []);
    return [
      {
        ...base,
        read: () => (field.value === 'boolean' ? this.read(holder, field) === 'true' : this.read(holder, field)),
        write: value => [
          ...this.change(holder, field, value === true ? 'true' : value === false ? '' : value),
          ...companions(value),
        ],
      },
    ];
  }

  read(holder, { form, name }) {
    if (form === 'attribute') return this.extensions.attribute(holder, name);
    if (form === 'property') return this.extensions.property(holder, name);
    if (form === 'element') return this.extensions.elements(holder, name)[0]?.$body ?? '';
    const value = holder.get(name);
    return (typeof value === 'object' ? value?.body : value) ?? '';
  }

  change(holder, { form, name }, value) {
    if (form === 'attribute') return this.extensions.setAttribute(holder, name, value);
    if (form === 'property') return this.extensions.setProperty(holder, name, value);
    if (form === 'element')
      return this.extensions.setElements(holder, name, value ? [this.extensions.make(name, { $body: value })] : []);
    const isExpression = /Expression$/.test(this.modeler.get('moddle').getPropertyDescriptor(holder, name)?.type ?? '');
    return [[holder, { [name]: value === '' ? undefined : isExpression ? this.expression(holder, value) : value }]];
  }

  expression(holder, body) {
    const made = this.modeler.get('bpmnFactory').create('bpmn:FormalExpression', { body });
    made.$parent = holder;
    return made;
  }

  controlOf({ value, choices, name }, element) {
    const { catalogue } = this;
    const list = {
      groups: catalogue.groups,
      users: catalogue.users,
      form: catalogue.forms,
      'job type': catalogue.jobTypes,
      decision: catalogue.decisions,
      process: catalogue.processes,
    };
    switch (value) {
      case 'groups':
      case 'users':
        return { control: 'list', options: () => list[value] ?? [] };
      case 'elements':
        return { control: 'list', expressions: false, options: () => this.userTasks(element) };
      case 'form':
      case 'job type':
      case 'decision':
      case 'process':
        return { control: 'select', free: true, options: () => list[value] ?? [] };
      case 'choice':
        return {
          control: 'select',
          options: () => choices.map(id => ({ id, zh: say.has(`choice.${id}`) ? say(`choice.${id}`) : id })),
        };
      case 'boolean':
        return { control: 'check' };
      case 'user':
        return { control: 'text', suggest: catalogue.users ?? [] };
      case 'feel':
        return {
          control: 'text',
          mono: true,
          feel: true,
          area: ['payload', 'completionCondition', 'outputElement'].includes(name),
        };
      case 'integer':
      case 'duration':
      case 'variable':
        return { control: 'text', mono: true };
      default:
        return { control: 'text' };
    }
  }

  userTasks(element) {
    return this.modeler
      .get('elementRegistry')
      .filter(e => is(e, 'bpmn:UserTask') && !e.labelTarget && e !== element)
      .map(e => ({ id: e.id, zh: elementName(e) }));
  }

  mappings(holder, field, base) {
    const { extensions: ext } = this;
    if (field.name === 'inputOutput') {
      const type = kind => `${ext.prefix}:${kind}`;
      const children = () => ext.elements(holder, 'inputOutput').flatMap(e => e.$children ?? []);
      return ['inputParameter', 'outputParameter'].map(kind => ({
        ...base,
        id: `${base.id}-${kind}`,
        label: say(`mapping.${kind}`),
        hint: say(`mapping.${kind}.hint`),
        control: 'rows',
        add: say(`mapping.${kind}.add`),
        columns: [
          { name: 'name', label: say('mapping.variable') },
          { name: 'body', label: 'FEEL', mono: true, area: true },
        ],
        check: rows => rows.map(r => r.name && !NAME.test(r.name) && say('check.variable', { name: r.name })).find(Boolean),
        // a parameter that holds more than text (a script, a list) is kept as it is
        read: () =>
          children()
            .filter(c => c.$type === type(kind) && !c.$children)
            .map(c => ({ name: c.name ?? '', body: c.$body ?? '' })),
        write: rows => {
          const kept = children().filter(c => c.$type !== type(kind) || c.$children);
          const made = rows.map(({ name, body }) => ext.make(kind, { name, ...(body && { $body: body }) }));
          const all = kind === 'inputParameter' ? [...made, ...kept] : [...kept, ...made];
          return ext.setElements(holder, 'inputOutput', all.length ? [ext.make('inputOutput', {}, all)] : []);
        },
      }));
    }
    // a mapping that says more than the rows can (a business key, local variables) is kept as it is
    const inRows = e => Object.keys(e).every(key => key.startsWith('$') || field.parts.includes(key));
    return [
      {
        ...base,
        control: 'rows',
        add: say(`mapping.${field.name}.add`),
        label: pick(field.label),
        columns: [
          { name: 'source', label: say('mapping.source'), mono: true },
          { name: 'target', label: say('mapping.target') },
          { name: 'all', label: say('mapping.all'), check: true },
        ],
        check: rows =>
          rows.map(r => r.target && !NAME.test(r.target) && say('check.variable', { name: r.target })).find(Boolean),
        read: () =>
          ext
            .elements(holder, field.name)
            .filter(inRows)
            .map(e => ({
              source: e.sourceExpression !== undefined ? `= ${e.sourceExpression.replace(/^=\s*/, '')}` : (e.source ?? ''),
              target: e.target ?? '',
              all: e.variables === 'all',
            })),
        write: rows => {
          const made = rows.map(({ source, target, all }) => {
            if (all) return ext.make(field.name, { variables: 'all' });
            return ext.make(field.name, {
              ...(source.startsWith('=') ? { sourceExpression: source.slice(1).trim() } : { source }),
              target,
            });
          });
          const kept = ext.elements(holder, field.name).filter(e => !inRows(e));
          return ext.setElements(holder, field.name, [...kept, ...made]);
        },
      },
    ];
  }

  /** `camunda:property` entries that the table does not name: a handler gets them. */
  otherProperties({ holder, kind, events }) {
    const known = new Set(
      this.fields
        .filter(f => f.form === 'property' && f.places.some(p => p.kind === kind && (!p.event || events.includes(p.event))))
        .map(f => f.name),
    );
    const others = () => this.extensions.properties(holder).filter(p => !known.has(p.name));
    if (!['serviceTask', 'sendTask'].includes(kind) && !others().length) return null;
    return {
      id: `${kind}-properties`,
      label: say('properties.label'),
      hint: say('properties.hint'),
      control: 'rows',
      add: say('properties.add'),
      names: [],
      columns: [
        { name: 'name', label: say('properties.name') },
        { name: 'value', label: say('properties.value'), mono: true },
      ],
      read: () => others().map(({ name, value }) => ({ name: name ?? '', value: value ?? '' })),
      write: rows =>
        this.extensions.setProperties(holder, [...this.extensions.properties(holder).filter(p => known.has(p.name)), ...rows]),
    };
  }

  // ------------------------------------------------------------------------------------------------------- BPMN's own
  *bpmnFields(element) {
    const holder = getBusinessObject(element);
    const plain = (name, more = {}) => ({
      id: name,
      label: say(`bpmn.${name}`),
      names: [name],
      control: 'text',
      read: () => holder.get(name) ?? '',
      write: value => [[holder, { [name]: value === '' ? undefined : value }]],
      ...more,
    });
    if (is(holder, 'bpmn:TextAnnotation')) yield ['general', plain('text', { control: 'text', area: true })];
    else if (!is(holder, 'bpmn:Collaboration') && !is(holder, 'bpmn:Group'))
      yield ['general', plain('name', { area: isAny(holder, ['bpmn:FlowNode', 'bpmn:SequenceFlow']) })];
    yield ['general', this.idField(holder, 'id')];
    if (holder.processRef) {
      yield ['general', { ...this.idField(holder.processRef, 'process-id'), label: say('bpmn.processId') }];
      yield ['general', this.executable(holder.processRef)];
    }
    if (is(holder, 'bpmn:Process')) yield ['general', this.executable(holder)];
    if (isAny(holder, ['bpmn:BoundaryEvent']))
      yield [
        'event',
        {
          id: 'cancelActivity',
          label: say('bpmn.cancelActivity'),
          names: ['cancelActivity'],
          control: 'check',
          read: () => holder.cancelActivity !== false,
          write: on => [[holder, { cancelActivity: on }]],
        },
      ];
    if (is(holder, 'bpmn:StartEvent') && holder.$parent?.triggeredByEvent)
      yield [
        'event',
        {
          id: 'isInterrupting',
          label: say('bpmn.isInterrupting'),
          names: ['isInterrupting'],
          control: 'check',
          read: () => holder.isInterrupting !== false,
          write: on => [[holder, { isInterrupting: on }]],
        },
      ];
    for (const definition of holder.eventDefinitions ?? []) yield* this.eventFields(definition);
    if (isAny(holder, ['bpmn:ReceiveTask', 'bpmn:SendTask']))
      yield ['message', this.reference(holder, 'message', 'bpmn:Message', 'name')];
    if (
      is(holder, 'bpmn:SequenceFlow') &&
      isAny(holder.sourceRef, ['bpmn:ExclusiveGateway', 'bpmn:InclusiveGateway', 'bpmn:Activity'])
    )
      yield* this.flowFields(element, holder);
    if (is(holder, 'bpmn:ScriptTask')) {
      yield [
        'script',
        {
          id: 'script',
          label: say('bpmn.script'),
          hint: say('bpmn.script.hint'),
          names: ['script'],
          control: 'text',
          area: true,
          mono: true,
          feel: true,
          read: () => holder.script ?? '',
          write: value => [[holder, { script: value || undefined, scriptFormat: value ? 'feel' : undefined }]],
        },
      ];
    }
    if (is(holder, 'bpmn:Activity')) yield ['loop', this.loop(holder)];
  }

  idField(holder, id) {
    const fixed = is(holder, 'bpmn:Process') && holder.id === this.key;
    const check = value => {
      if (!ID.test(value)) return say('check.id');
      const other = this.modeler.get('elementRegistry').get(value);
      return value !== holder.id && (other || this.modeler.get('moddle').ids.assigned(value)) ? say('check.id.taken') : '';
    };
    return {
      id,
      label: say('bpmn.id'),
      hint: fixed ? say('bpmn.id.fixed') : '',
      names: ['id'],
      control: 'text',
      mono: true,
      readOnly: fixed,
      check,
      read: () => holder.id,
      write: value => [[holder, { id: value }]],
    };
  }

  executable(process) {
    return {
      id: 'isExecutable',
      label: say('bpmn.isExecutable'),
      names: ['isExecutable'],
      control: 'check',
      read: () => process.isExecutable === true,
      write: on => [[process, { isExecutable: on }]],
    };
  }

  *eventFields(definition) {
    const kind = definition.$type.replace(/^bpmn:|EventDefinition$/g, '');
    if (kind === 'Timer') {
      const type = () => TIMERS.find(t => definition[t]) ?? '';
      yield [
        'event',
        {
          id: 'timerType',
          label: say('timer.type'),
          names: ['timer'],
          control: 'select',
          options: () => TIMERS.map(t => ({ id: t, zh: say(`timer.${t}`) })),
          read: type,
          write: next => [
            [
              definition,
              Object.fromEntries(
                TIMERS.map(t => [t, t === next ? this.expression(definition, definition[type()]?.body ?? '') : undefined]),
              ),
            ],
          ],
        },
      ];
      if (type()) {
        yield [
          'event',
          {
            id: 'timerValue',
            label: say('timer.value'),
            hint: say(`timer.${type()}.hint`),
            names: ['timer', ...TIMERS],
            control: 'text',
            mono: true,
            read: () => definition[type()]?.body ?? '',
            check: value => timerProblem(type(), value),
            write: value => [[definition, { [type()]: this.expression(definition, value) }]],
          },
        ];
      }
    } else if (kind === 'Conditional') {
      yield [
        'event',
        {
          id: 'eventCondition',
          label: say('bpmn.condition'),
          hint: say('bpmn.condition.event.hint'),
          names: ['condition'],
          control: 'text',
          mono: true,
          area: true,
          feel: true,
          read: () => definition.condition?.body ?? '',
          write: value => [[definition, { condition: value ? this.expression(definition, value) : undefined }]],
        },
      ];
    } else if (kind === 'Link') {
      yield [
        'event',
        {
          id: 'linkName',
          label: say('bpmn.link'),
          hint: say('bpmn.link.hint'),
          names: ['link'],
          control: 'text',
          read: () => definition.name ?? '',
          write: value => [[definition, { name: value || undefined }]],
        },
      ];
    } else if (kind === 'Message') yield ['message', this.reference(definition, 'message', 'bpmn:Message', 'name')];
    else if (kind === 'Signal') yield ['event', this.reference(definition, 'signal', 'bpmn:Signal', 'name')];
    else if (kind === 'Error') yield ['event', this.reference(definition, 'error', 'bpmn:Error', 'errorCode')];
    else if (kind === 'Escalation')
      yield ['event', this.reference(definition, 'escalation', 'bpmn:Escalation', 'escalationCode')];
  }

  /** A message, signal, error or escalation by the name people know it by; one that the file has is used again. */
  reference(holder, kind, type, key) {
    const definitions = this.modeler.getDefinitions();
    const all = () => (definitions.rootElements ?? []).filter(e => is(e, type));
    const nameOf = e => e?.get(key) || e?.name || '';
    return {
      id: kind,
      label: say(`bpmn.${kind}`),
      hint: say(`bpmn.${kind}.hint`),
      names: [kind, `${kind}Ref`],
      control: 'text',
      suggest: [...new Set(all().map(nameOf))].filter(Boolean).map(id => ({ id })),
      read: () => nameOf(holder[`${kind}Ref`]),
      write: value => {
        if (!value) return [[holder, { [`${kind}Ref`]: undefined }]];
        const there = all().find(e => nameOf(e) === value);
        if (there) return [[holder, { [`${kind}Ref`]: there }]];
        const made = this.modeler.get('bpmnFactory').create(type, { name: value, ...(key !== 'name' && { [key]: value }) });
        made.$parent = definitions;
        return [
          [definitions, { rootElements: [...definitions.rootElements, made] }],
          [holder, { [`${kind}Ref`]: made }],
        ];
      },
    };
  }

  *flowFields(element, flow) {
    const isDefault = () => flow.sourceRef.default === flow;
    if (!isDefault()) {
      yield [
        'condition',
        {
          id: 'condition',
          label: say('bpmn.condition'),
          hint: say('bpmn.condition.hint'),
          names: ['condition', 'conditionExpression'],
          control: 'text',
          mono: true,
          area: true,
          feel: true,
          read: () => flow.conditionExpression?.body ?? '',
          write: value => [[flow, { conditionExpression: value ? this.expression(flow, value) : undefined }]],
        },
      ];
    }
    yield [
      'condition',
      {
        id: 'default',
        label: say('bpmn.default'),
        hint: say('bpmn.default.hint'),
        names: ['default'],
        control: 'check',
        read: isDefault,
        write: on => ({ element: element.source, edits: [[flow.sourceRef, { default: on ? flow : undefined }]] }),
      },
    ];
  }

  loop(holder) {
    const now = () =>
      is(holder.loopCharacteristics, 'bpmn:MultiInstanceLoopCharacteristics')
        ? holder.loopCharacteristics.isSequential
          ? 'sequential'
          : 'parallel'
        : '';
    return {
      id: 'loopKind',
      label: say('loop.kind'),
      names: ['loopCharacteristics'],
      control: 'select',
      empty: say('loop.none'),
      options: () => ['parallel', 'sequential'].map(id => ({ id, zh: say(`loop.${id}`) })),
      read: now,
      write: next => {
        if (!next) return [[holder, { loopCharacteristics: undefined }]];
        if (now()) return [[holder.loopCharacteristics, { isSequential: next === 'sequential' }]];
        const made = this.modeler
          .get('bpmnFactory')
          .create('bpmn:MultiInstanceLoopCharacteristics', { isSequential: next === 'sequential' });
        made.$parent = holder;
        return [[holder, { loopCharacteristics: made }]];
      },
    };
  }

  documentation(element) {
    const own = getBusinessObject(element);
    const holder = own.processRef ?? own;
    return {
      id: 'documentation',
      label: say('bpmn.documentation'),
      hint: say('bpmn.documentation.hint'),
      names: ['documentation'],
      control: 'text',
      area: true,
      read: () => holder.get('documentation')?.[0]?.text ?? '',
      write: text => {
        const rest = (holder.get('documentation') ?? []).slice(1);
        if (!text) return [[holder, { documentation: rest }]];
        const made = this.modeler.get('bpmnFactory').create('bpmn:Documentation', { text });
        made.$parent = holder;
        return [[holder, { documentation: [made, ...rest] }]];
      },
    };
  }
}

/** A quick look at a value while it is typed; the server has the last word. */
function checkOf(kind) {
  if (kind === 'variable') return value => (value && !NAME.test(value) ? say('check.variable', { name: value }) : '');
  if (kind === 'integer') return value => (value && !/^(\d+|=.+)$/s.test(value) ? say('check.integer') : '');
  if (kind === 'duration')
    return value =>
      value && !(value.startsWith('=') || DURATION.test(value.replace(/^R\d+\//, ''))) ? say('check.retries') : '';
  return () => '';
}

/** Bare ISO 8601 is looked at; everything else is FEEL and the server's business. */
export function timerProblem(type, value) {
  if (!value) return say('check.timer.empty');
  if (value.startsWith('=') || !/^(R?\d*\/?-?P|\d{4}-)/.test(value)) return '';
  if (type === 'timeDuration') return DURATION.test(value) ? '' : say('check.duration');
  if (type === 'timeCycle')
    return /^R\d*\//.test(value) && DURATION.test(value.replace(/^R\d*\/(\d{4}-[^/]+\/)?/, '')) ? '' : say('check.cycle');
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/.test(value) ? '' : say('check.date');
}
