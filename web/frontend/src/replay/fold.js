/**
 * What the recorded events say up to a step: pure, so that every view of the replay page derives from it and cannot disagree.
 *
 * An event: {seq, at, type, actor, process, element, token, to_token, flow, text} and, where the engine gives it, `host`: the token of
 * the multi-instance activity that a single instance belongs to. `type` is the class name in engine/events.py.
 */

/** Instants are parsed once; events stay in the order of the log. */
export function prepare(events) {
  return events.map(event => ({ ...event, ms: Date.parse(event.at) }));
}

function emptyDiagram() {
  return { tokens: new Map(), done: new Map(), flows: new Map(), cancelled: new Map(), incidents: new Map(), spent: new Map() };
}

const add = (map, key, n) => map.set(key, (map.get(key) ?? 0) + n);

/**
 * The state after `events[0..index]` (-1: before the first).
 *
 * Returns {diagrams: Map(process → {tokens, done, flows, cancelled, incidents, spent}), token: Map(token → {process, element, since}), ended}.
 * The six are Maps by element (flows: by sequence flow): `tokens` how many stand there, `done`/`cancelled` how often it ended so, `flows` how
 * often taken, `incidents` how many are open, `spent` {ms, count}: time between start and end of its runs, running ones up to this step.
 */
export function fold(events, index) {
  const diagrams = new Map();
  const at = process => {
    let diagram = diagrams.get(process);
    if (!diagram) diagrams.set(process, (diagram = emptyDiagram()));
    return diagram;
  };
  const token = new Map();
  const instances = new Map(); // token of a multi-instance activity → how many of its instances run
  const open = new Map(); // 'token element' → open incidents
  let ended = false;

  const spend = (place, until) => {
    const { spent } = at(place.process);
    const total = spent.get(place.element) ?? { ms: 0, count: 0 };
    total.ms += until - place.since;
    total.count += 1;
    spent.set(place.element, total);
  };
  const leave = (event, word) => {
    const place = token.get(event.token);
    if (place) {
      token.delete(event.token);
      if (place.host !== undefined) add(instances, place.host, -1);
      if (word !== 'joined' && !instances.has(event.token)) spend(place, event.ms);
    }
    const incidents = `${event.token} ${event.element}`;
    if (open.delete(incidents)) close(event);
    if (word !== 'joined' && !instances.has(event.token)) add(at(event.process)[word], event.element, 1);
  };
  const close = event => {
    const { incidents } = at(event.process);
    const left = (incidents.get(event.element) ?? 0) - 1;
    if (left > 0) incidents.set(event.element, left);
    else incidents.delete(event.element);
  };

  for (let k = 0; k <= index; k += 1) {
    const event = events[k];
    switch (event.type) {
      case 'ActivityStarted':
        token.set(event.token, {
          process: event.process,
          element: event.element,
          since: event.ms,
          host: event.host ?? undefined,
        });
        if (event.host !== undefined && event.host !== null) add(instances, event.host, 1);
        break;
      case 'ActivityCompleted':
        leave(event, 'done');
        break;
      case 'ActivityCancelled':
        leave(event, 'cancelled');
        break;
      case 'TokenJoined':
        leave(event, 'joined');
        break;
      case 'FlowTaken':
        add(at(event.process).flows, event.flow, 1);
        break;
      case 'IncidentOpened':
        if (!open.has(`${event.token} ${event.element}`)) {
          open.set(`${event.token} ${event.element}`, true);
          add(at(event.process).incidents, event.element, 1);
        }
        break;
      case 'IncidentResolved':
        if (open.delete(`${event.token} ${event.element}`)) close(event);
        break;
      case 'InstanceCompleted':
      case 'InstanceCancelled':
        for (const [id, place] of token) if (!instances.has(id)) spend(place, event.ms);
        token.clear();
        instances.clear();
        open.clear();
        for (const diagram of diagrams.values()) diagram.incidents.clear();
        ended = true;
        break;
      default: // says something, moves nothing
    }
  }
  const now = index >= 0 ? events[index].ms : 0;
  for (const [id, place] of token) {
    if (instances.get(id) > 0) continue; // its instances stand there
    add(at(place.process).tokens, place.element, 1);
    spend(place, now);
  }
  return { diagrams, token, ended };
}

/** The flows that light up when going from step `from` to the later step `to`: [{process, flow}], at most `limit`, the last ones. */
export function flowsBetween(events, from, to, limit = 8) {
  const flows = [];
  for (let k = Math.max(0, from + 1); k <= to; k += 1)
    if (events[k].type === 'FlowTaken') flows.push({ process: events[k].process, flow: events[k].flow });
  return flows.slice(-limit);
}

/** Where the next stop is: steps at the same instant by the same cause are walked one by one, silent ones (no text, no flow) are passed over. */
export function nextStop(events, index, step) {
  let k = index + step;
  while (k >= 0 && k < events.length - 1 && !events[k].text && events[k].type !== 'FlowTaken') k += step;
  return Math.max(-1, Math.min(events.length - 1, k));
}

/** How long to rest at a step while playing, ms: real waits of hours and days become 350 to 1,200 ms. */
export function restAt(events, index) {
  const gap = index >= 0 && index + 1 < events.length ? events[index + 1].ms - events[index].ms : 0;
  return 350 + Math.min(850, (gap / 3_600_000) * 20);
}
