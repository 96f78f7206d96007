/** The replay's fold, word for word what engine/events.py records. Run: node --test tests/frontend/ */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flowsBetween, fold, nextStop, prepare, restAt } from '../../web/frontend/src/replay/fold.js';

let clock = 0;
const event = (type, token, element, more = {}) => ({
  seq: 0,
  at: new Date(Date.UTC(2026, 10, 16, 1) + (clock += 60_000)).toISOString(),
  type,
  token,
  element,
  process: 'bid',
  text: more.text ?? '',
  ...more,
});
const history = (...events) => prepare(events.map((e, k) => ({ ...e, seq: k + 1 })));
const counts = (state, kind, process = 'bid') => Object.fromEntries(state.diagrams.get(process)?.[kind] ?? []);
const after = (events, n = events.length - 1) => fold(events, n);

test('before the first event nothing stands anywhere', () => {
  assert.equal(after(history(), -1).diagrams.size, 0);
});

test('a token stands where its activity started and has left when it completed', () => {
  const events = history(
    event('ActivityStarted', 1, 'write'),
    event('ActivityCompleted', 1, 'write'),
    event('FlowTaken', 1, 'write', { flow: 'f1', to_token: 2 }),
    event('ActivityStarted', 2, 'review'),
  );

  assert.deepEqual(counts(after(events, 0), 'tokens'), { write: 1 });
  assert.deepEqual(counts(after(events, 2), 'tokens'), {});
  assert.deepEqual(counts(after(events), 'tokens'), { review: 1 });
  assert.deepEqual(counts(after(events), 'flows'), { f1: 1 });
  assert.deepEqual(counts(after(events), 'done'), { write: 1 });
});

test('a loop counts every completion', () => {
  const rounds = [1, 2, 3].flatMap(n => [event('ActivityStarted', n, 'write'), event('ActivityCompleted', n, 'write')]);

  assert.deepEqual(counts(after(history(...rounds)), 'done'), { write: 3 });
});

test('a join takes tokens in without completing anything', () => {
  const events = history(
    event('ActivityStarted', 1, 'join'),
    event('ActivityStarted', 2, 'join'),
    event('TokenJoined', 1, 'join', { into: 2 }),
    event('ActivityCompleted', 2, 'join'),
  );

  assert.deepEqual(counts(after(events, 1), 'tokens'), { join: 2 });
  assert.deepEqual(counts(after(events, 2), 'tokens'), { join: 1 });
  assert.deepEqual(counts(after(events), 'done'), { join: 1 });
});

test('a multi-instance activity shows its instances, not one more for itself', () => {
  const events = history(
    event('ActivityStarted', 1, 'review'),
    event('ActivityStarted', 2, 'review', { host: 1 }),
    event('ActivityStarted', 3, 'review', { host: 1 }),
    event('ActivityCompleted', 2, 'review'),
  );

  assert.deepEqual(counts(after(events, 2), 'tokens'), { review: 2 });
  assert.deepEqual(counts(after(events), 'tokens'), { review: 1 });
});

test('an interrupted activity is told from a completed one', () => {
  const events = history(event('ActivityStarted', 1, 'write'), event('ActivityCancelled', 1, 'write', { by: 'deadline' }));

  assert.deepEqual(counts(after(events), 'cancelled'), { write: 1 });
  assert.deepEqual(counts(after(events), 'done'), {});
});

test('an incident stays until it is resolved and does not outlive its token', () => {
  const events = history(
    event('ActivityStarted', 1, 'scan'),
    event('IncidentOpened', 1, 'scan'),
    event('IncidentResolved', 1, 'scan'),
    event('IncidentOpened', 1, 'scan'),
    event('ActivityCancelled', 1, 'scan'),
  );

  assert.deepEqual(counts(after(events, 1), 'incidents'), { scan: 1 });
  assert.deepEqual(counts(after(events, 2), 'incidents'), {});
  assert.deepEqual(counts(after(events), 'incidents'), {});
});

test('called processes are kept apart by their key', () => {
  const events = history(event('ActivityStarted', 1, 'call'), event('ActivityStarted', 2, 'write', { process: 'pricing' }));

  assert.deepEqual(counts(after(events), 'tokens'), { call: 1 });
  assert.deepEqual(counts(after(events), 'tokens', 'pricing'), { write: 1 });
});

test('the time spent includes what is still running', () => {
  clock = 0;
  const events = history(
    event('ActivityStarted', 1, 'write'),
    event('ActivityStarted', 2, 'price'),
    event('ActivityCompleted', 1, 'write'),
    event('UserTaskReminded', 2, 'price'),
  );

  assert.deepEqual(after(events).diagrams.get('bid').spent.get('write'), { ms: 120_000, count: 1 });
  assert.deepEqual(after(events).diagrams.get('bid').spent.get('price'), { ms: 120_000, count: 1 });
});

test('when the instance ends nothing stands anywhere', () => {
  for (const type of ['InstanceCompleted', 'InstanceCancelled']) {
    const state = after(history(event('ActivityStarted', 1, 'write'), event('IncidentOpened', 1, 'write'), event(type)));

    assert.deepEqual([counts(state, 'tokens'), counts(state, 'incidents'), state.ended], [{}, {}, true]);
  }
});

test('the fold changes nothing it was given and gives the same every time', () => {
  const events = history(
    ...[1, 2, 3, 4].flatMap(n => [
      event('ActivityStarted', n, `t${n % 2}`),
      event('FlowTaken', n, `t${n % 2}`, { flow: `f${n % 2}` }),
      event('ActivityCompleted', n, `t${n % 2}`),
    ]),
  );
  const frozen = JSON.stringify(events);
  for (let k = -1; k < events.length; k += 1) assert.deepEqual(fold(events, k), fold(events, k));

  assert.equal(JSON.stringify(events), frozen);
});

test('after any step the tokens are those that started and did not leave', () => {
  // a walk over many interleavings, against the plainest possible reckoning
  let seed = 7;
  const random = n => (seed = (seed * 1103515245 + 12345) % 2147483648) % n;
  for (let round = 0; round < 200; round += 1) {
    const alive = new Map();
    const events = [];
    for (let token = 1; events.length < 40;) {
      if (!alive.size || random(2)) {
        alive.set(token, `e${random(4)}`);
        events.push(event('ActivityStarted', token, alive.get(token)));
        token += 1;
      } else {
        const [leaving, element] = [...alive][random(alive.size)];
        alive.delete(leaving);
        events.push(event(['ActivityCompleted', 'ActivityCancelled', 'TokenJoined'][random(3)], leaving, element));
      }
    }
    const expected = {};
    for (const element of alive.values()) expected[element] = (expected[element] ?? 0) + 1;
    assert.deepEqual(Object.entries(counts(after(history(...events)), 'tokens')).sort(), Object.entries(expected).sort());
  }
});

test('going on passes over what says nothing, but not over flows', () => {
  const events = history(
    event('ActivityStarted', 1, 'a', { text: '开始' }),
    event('JobCreated', 1, 'a'),
    event('FlowTaken', 1, 'a', { flow: 'f' }),
    event('VariablesChanged', 1, 'a'),
    event('ActivityStarted', 2, 'b', { text: '开始' }),
  );

  assert.deepEqual(
    [0, 2, 4].map((_, k, list) => nextStop(events, list[k], 1)),
    [2, 4, 4],
  );
  assert.equal(nextStop(events, 4, -1), 2);
  assert.equal(nextStop(events, 0, -1), -1);
});

test('only flows ahead are shown moving', () => {
  const events = history(
    event('FlowTaken', 1, 'a', { flow: 'f1' }),
    event('FlowTaken', 2, 'a', { flow: 'f2' }),
    event('ActivityStarted', 3, 'b'),
  );

  assert.deepEqual(flowsBetween(events, 0, 2), [{ process: 'bid', flow: 'f2' }]);
});

test('a wait of weeks is played in little more than a second', () => {
  const events = prepare([{ at: '2026-11-01T00:00:00Z' }, { at: '2026-11-20T00:00:00Z' }, { at: '2026-11-20T00:00:01Z' }]);

  assert.deepEqual([restAt(events, 0), Math.round(restAt(events, 1))], [1200, 350]);
});
