/** A first look while drawing, before the server has looked: stock bpmnlint rules, imported one by one (no resolver magic, no eval). */
import Linter from 'bpmnlint/lib/linter.js';
import conditionalFlows from 'bpmnlint/rules/conditional-flows.js';
import endRequired from 'bpmnlint/rules/end-event-required.js';
import fakeJoin from 'bpmnlint/rules/fake-join.js';
import noDisconnected from 'bpmnlint/rules/no-disconnected.js';
import noDuplicates from 'bpmnlint/rules/no-duplicate-sequence-flows.js';
import noJoinFork from 'bpmnlint/rules/no-gateway-join-fork.js';
import noImplicitSplit from 'bpmnlint/rules/no-implicit-split.js';
import singleDefinition from 'bpmnlint/rules/single-event-definition.js';
import startRequired from 'bpmnlint/rules/start-event-required.js';
import superfluousGateway from 'bpmnlint/rules/superfluous-gateway.js';
import { translate } from '../words/bpmn.js';

const RULES = {
  'conditional-flows': conditionalFlows,
  'end-event-required': endRequired,
  'fake-join': fakeJoin,
  'no-disconnected': noDisconnected,
  'no-duplicate-sequence-flows': noDuplicates,
  'no-gateway-join-fork': noJoinFork,
  'no-implicit-split': noImplicitSplit,
  'single-event-definition': singleDefinition,
  'start-event-required': startRequired,
  'superfluous-gateway': superfluousGateway,
};
const rules = Object.fromEntries(Object.keys(RULES).map(name => [name, 'warn']));

/** Findings like the server's, all of severity `quick`. */
export async function quickLook(definitions) {
  // some rules remember what they have seen: a linter that looks twice calls every flow a duplicate
  const linter = new Linter({
    config: { rules },
    resolver: { resolveRule: (_, name) => RULES[name], resolveConfig: () => null },
  });
  const results = await linter.lint(definitions);
  return Object.entries(results).flatMap(([rule, reports]) =>
    reports.map(({ id, message }) => ({ rule, severity: 'quick', element: id, line: 0, text: translate(message), mend: '' })),
  );
}
