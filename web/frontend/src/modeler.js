/**
 * Draws and changes diagrams.
 *
 * Draws into `#modeler`. Config: {key, name, version, sha256, draftUrl, checkUrl, layoutUrl, deployUrl, diffUrl, conformanceUrl, fields, catalogue,
 * findings, csrf, back}. `fields`: engine/bpmn/fields.py as JSON; `catalogue`: {forms, groups, jobTypes, decisions, processes, users}, each
 * [{id, zh, en}]. A null URL takes its button away. The server has the last word on every diagram: nothing here refuses one.
 */
import Modeler from 'bpmn-js/lib/Modeler';
import ColorPicker from 'bpmn-js-color-picker';
import { CreateAppendAnythingModule } from 'bpmn-js-create-append-anything';
import TokenSimulation from 'bpmn-js-token-simulation';
import Minimap from 'diagram-js-minimap';
import { Decoration, elementName, fit, reveal, typeName, zoomButtons } from './canvas.js';
import { drawIcon, h, iconButton, title } from './dom.js';
import commands, { readLayout } from './modeler/commands.js';
import { copyExtensions, Extensions } from './modeler/extensions.js';
import { FieldTable } from './modeler/fields.js';
import menus from './modeler/menus.js';
import { Panel } from './modeler/panel.js';
import { quickLook } from './modeler/quick.js';
import { config, request, RequestFailed, run, sendXml } from './page.js';
import { clockText, presentInstant } from './time.js';
import translation, { missing } from './words/bpmn.js';
import { language, say } from './words/index.js';
import './words/modeler.js';
import 'bpmn-js/dist/assets/bpmn-font/css/bpmn-codes.css';
import 'bpmn-js/dist/assets/bpmn-font/css/bpmn.css';
import 'bpmn-js-token-simulation/assets/css/bpmn-js-token-simulation.css';
import 'diagram-js-minimap/assets/diagram-js-minimap.css';
import 'bpmn-js-color-picker/colors/color-picker.css';
import './modeler.css';

const VIEW = { left: 130, around: 30 }; // the palette lies over the left edge
const root = document.getElementById('modeler');
const parts = {};
let modeler;
let panel;
let decoration;
let base = config.sha256 ?? ''; // what the draft was when it was read or saved last
let saved; // the last command of what the server has; its place on the stack alone would not tell an undone one from another
let replaced = false; // a file or a layout took the place of the draft: changed whatever the stack says
let findings = [];
let fresh = true; // the findings are the server's, of the diagram as it stands
let known = new Set(); // what the quick look says of a diagram that the server has judged: the server has the last word

const stack = () => modeler.get('commandStack');
const lastCommand = () => stack()._stack[stack()._stackIdx];
const isDirty = () => replaced || lastCommand() !== saved;
const xmlOf = async () => (await modeler.saveXML({ format: true })).xml;

// ------------------------------------------------------------------------------------------------------------ the page
function build() {
  const tool = (label, onclick, more = {}) => h('button', { type: 'button', class: 'tool', onclick, ...more }, label);
  parts.status = h('span', { class: 'modeler-status', role: 'status' });
  parts.save = tool(say('modeler.save'), () => act(save), { class: 'tool primary', title: 'Ctrl+S' });
  parts.undo = iconButton('undo', say('modeler.undo'), () => stack().undo(), { disabled: true });
  parts.redo = iconButton('redo', say('modeler.redo'), () => stack().redo(), { disabled: true });
  parts.simulate = tool(say('modeler.simulate'), () => modeler.get('toggleMode').toggleMode(), { 'aria-pressed': 'false' });
  parts.file = h('input', {
    type: 'file',
    accept: '.bpmn,.xml,application/xml',
    hidden: true,
    'aria-label': say('modeler.import'),
    onchange: () => act(importFile),
  });
  parts.autosave = h('input', {
    type: 'checkbox',
    id: 'autosave',
    checked: remembered(),
    onchange: () => {
      remember(parts.autosave.checked);
      if (parts.autosave.checked) later();
    },
  });
  const menu = h(
    'details',
    { class: 'menu' },
    h('summary', { class: 'tool' }, say('modeler.download')),
    h(
      'div',
      { class: 'menu-items' },
      tool(say('modeler.download.bpmn'), () => download('bpmn')),
      tool(say('modeler.download.svg'), () => download('svg')),
    ),
  );
  document.addEventListener('click', event => {
    if (!menu.contains(event.target) || event.target.closest('.menu-items')) menu.open = false;
  });

  parts.canvas = h('div', { class: 'diagram-canvas', 'aria-label': say('diagram.of', { name: config.name }) });
  parts.properties = h('div', {
    class: 'side-panel',
    id: 'side-properties',
    role: 'tabpanel',
    'aria-labelledby': 'tab-properties',
  });
  parts.findings = h('div', {
    class: 'side-panel',
    id: 'side-findings',
    role: 'tabpanel',
    'aria-labelledby': 'tab-findings',
    hidden: true,
  });
  parts.elements = h('div', {
    class: 'side-panel',
    id: 'side-elements',
    role: 'tabpanel',
    'aria-labelledby': 'tab-elements',
    hidden: true,
  });
  parts.count = h('span', { class: 'count' });
  const tab = (name, label, ...more) =>
    h(
      'button',
      {
        type: 'button',
        role: 'tab',
        id: `tab-${name}`,
        'aria-controls': `side-${name}`,
        'aria-selected': String(name === 'properties'),
        onclick: () => openTab(name),
      },
      label,
      ...more,
    );
  parts.tabs = h(
    'div',
    { class: 'tabs', role: 'tablist', 'aria-label': say('modeler.side') },
    tab('properties', say('modeler.properties')),
    tab('findings', say('modeler.findings'), parts.count),
    tab('elements', say('modeler.elements')),
  );
  parts.tabs.addEventListener('keydown', event => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const tabs = [...parts.tabs.children];
    const next = tabs[(tabs.indexOf(document.activeElement) + step + tabs.length) % tabs.length];
    next.click();
    next.focus();
  });
  parts.notice = h('div', { class: 'modeler-notice', hidden: true });
  parts.work = h(
    'div',
    { class: 'modeler-work' },
    parts.canvas,
    h(
      'aside',
      { class: 'modeler-side', 'aria-label': say('modeler.side') },
      parts.tabs,
      parts.properties,
      parts.findings,
      parts.elements,
    ),
  );
  root.replaceChildren(
    h('div', { class: 'too-small' }, h('h1', {}, config.name || config.key), h('p', { class: 'alert warn' }, say('modeler.small'))),
    h(
      'div',
      { class: 'workbench-bar' },
      config.back &&
        h(
          'a',
          { class: 'tool icon', href: config.back.url, title: config.back.label, 'aria-label': config.back.label },
          drawIcon('back'),
        ),
      title(config.name || config.key, config.version ? say('modeler.based', { n: config.version }) : say('modeler.new')),
      parts.save,
      tool(say('modeler.check'), () => act(checkNow)),
      config.conformanceUrl && tool(say('modeler.conformance'), () => act(report)),
      config.layoutUrl && tool(say('modeler.layout'), () => act(layOut)),
      config.deployUrl && tool(say('modeler.deploy'), () => act(deploy)),
      h('span', { class: 'divider' }),
      parts.undo,
      parts.redo,
      h('span', { class: 'divider' }),
      parts.simulate,
      config.diffUrl && h('a', { class: 'tool', href: config.diffUrl, target: '_blank', rel: 'noopener' }, say('modeler.diff')),
      menu,
      tool(say('modeler.import'), () => parts.file.click()),
      parts.file,
      h('span', { class: 'spring' }),
      h('label', { class: 'autosave', for: 'autosave' }, parts.autosave, say('modeler.autosave')),
      zoomButtons(() => modeler, VIEW),
    ),
    h('div', { class: 'modeler-line' }, parts.status),
    parts.notice,
    parts.work,
  );
}

function openTab(name) {
  for (const tab of parts.tabs.children) {
    const chosen = tab.id === `tab-${name}`;
    tab.setAttribute('aria-selected', String(chosen));
    tab.tabIndex = chosen ? 0 : -1;
    parts[tab.id.slice(4)].hidden = !chosen;
  }
}

function tell(text, tone = '') {
  parts.status.textContent = text;
  parts.status.className = `modeler-status ${tone}`;
}

/** A message that stays until it is answered; `actions`: [[label, function or url]]. */
function notice(text, tone, actions = []) {
  const button = ([label, action]) =>
    typeof action === 'string'
      ? h('a', { class: 'tool', href: action, target: '_blank', rel: 'noopener' }, label)
      : h(
          'button',
          {
            type: 'button',
            class: 'tool',
            onclick: () => {
              parts.notice.hidden = true;
              if (action) act(action);
            },
          },
          label,
        );
  parts.notice.hidden = false;
  parts.notice.replaceChildren(
    h(
      'div',
      { class: `alert ${tone}`, role: 'alert' },
      h('p', {}, text),
      h('div', { class: 'button-row' }, ...actions.map(button), button([say('close'), null])),
    ),
  );
}

/** Runs something that asks the server, one at a time, and says why it failed. What is asked meanwhile follows, the same thing does not. */
let busy = null; // {action, done}
let next = null;
async function act(action) {
  if (next || busy?.action === action) return;
  if (busy) {
    next = action;
    await busy.done;
    next = null;
  }
  let finish;
  busy = {
    action,
    done: new Promise(resolve => {
      finish = resolve;
    }),
  };
  root.setAttribute('aria-busy', 'true');
  try {
    await action();
  } catch (error) {
    if (!(error instanceof RequestFailed)) console.error(error);
    tell(error.message, 'bad');
    if (error.body?.findings) takeFindings(error.body.findings, true);
  } finally {
    busy = null;
    root.removeAttribute('aria-busy');
    finish();
  }
}

// ---------------------------------------------------------------------------------------------------------- the diagram
const BLANK = `<?xml version="1.0" encoding="UTF-8"?>
<bpmn:definitions xmlns:bpmn="http://www.omg.org/spec/BPMN/20100524/MODEL" xmlns:bpmndi="http://www.omg.org/spec/BPMN/20100524/DI" xmlns:dc="http://www.omg.org/spec/DD/20100524/DC" xmlns:camunda="http://camunda.org/schema/1.0/bpmn" id="KEY_definitions" targetNamespace="http://bpmn.io/schema/bpmn">
  <bpmn:process id="KEY" isExecutable="true"><bpmn:startEvent id="start" /></bpmn:process>
  <bpmndi:BPMNDiagram id="KEY_diagram"><bpmndi:BPMNPlane id="KEY_plane" bpmnElement="KEY"><bpmndi:BPMNShape id="start_di" bpmnElement="start"><dc:Bounds x="200" y="200" width="36" height="36" /></bpmndi:BPMNShape></bpmndi:BPMNPlane></bpmndi:BPMNDiagram>
</bpmn:definitions>`;

const hashOf = response => (response.headers.get('ETag') ?? '').replace(/^W\/|"/g, '');

async function load() {
  let xml;
  try {
    const response = await request(config.xmlUrl ?? config.draftUrl);
    base = hashOf(response) || base;
    xml = await response.text();
  } catch (error) {
    if (error.status !== 404) throw error;
    xml = BLANK.replaceAll('KEY', config.key);
  }
  await open(xml);
  replaced = false;
  if (config.findings) takeFindings(config.findings);
  tell(say('modeler.opened'));
}

/** Shows a file. One without a drawing is laid out first; what the reader did not understand is said, for saving would lose it. */
async function open(xml) {
  let warnings;
  try {
    ({ warnings } = await modeler.importXML(xml));
  } catch (error) {
    if (!config.layoutUrl || !/no diagram to display|没有图/.test(error.message)) throw error;
    ({ warnings } = await modeler.importXML(await (await sendXml(config.layoutUrl, xml)).text()));
    replaced = true;
  }
  decoration = new Decoration(modeler);
  saved = lastCommand();
  fit(modeler, VIEW);
  showElements();
  if (warnings.length)
    notice(
      say('modeler.not.understood', {
        n: warnings.length,
        what: warnings
          .slice(0, 3)
          .map(w => w.message.split('\n')[0])
          .join('；'),
      }),
      'warn',
    );
}

async function importFile() {
  const [file] = parts.file.files;
  parts.file.value = '';
  if (!file || (isDirty() && !confirm(say('modeler.import.confirm')))) return;
  const before = await xmlOf();
  try {
    await open(await file.text());
  } catch (error) {
    await modeler.importXML(before);
    throw error;
  }
  replaced = true;
  changed();
  tell(say('modeler.imported', { name: file.name }));
}

async function download(kind) {
  const text = kind === 'svg' ? (await modeler.saveSVG()).svg : await xmlOf();
  const link = h('a', {
    href: URL.createObjectURL(new Blob([text], { type: kind === 'svg' ? 'image/svg+xml' : 'application/xml' })),
    download: `${config.key}.${kind}`,
  });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

// ------------------------------------------------------------------------------------------------------ what the server does
async function save({ over } = {}) {
  const at = lastCommand();
  const xml = await xmlOf();
  tell(say('modeler.saving'));
  let answer;
  try {
    answer = await (await sendXml(config.draftUrl, xml, { method: 'PUT', base: over ?? base })).json();
  } catch (error) {
    if (error.status !== 412) throw error;
    tell(say('modeler.conflict.short'), 'bad');
    notice(say('modeler.conflict'), 'bad', [
      ...(config.diffUrl ? [[say('modeler.conflict.compare'), config.diffUrl]] : []),
      [say('modeler.conflict.download'), () => download('bpmn')],
      [say('modeler.conflict.theirs'), takeTheirs],
      [say('modeler.conflict.mine'), overwrite],
    ]);
    return false;
  }
  base = answer.sha256;
  saved = at;
  replaced = false;
  if (answer.findings) takeFindings(answer.findings);
  tell(say('modeler.saved', { at: clockText(presentInstant()) }), 'ok');
  return true;
}

async function takeTheirs() {
  if (confirm(say('modeler.conflict.theirs.confirm'))) await load();
}

async function overwrite() {
  if (confirm(say('modeler.conflict.mine.confirm'))) await save({ over: hashOf(await request(config.draftUrl)) });
}

async function check() {
  const at = lastCommand();
  const { findings: found } = await (
    await sendXml(
      `${config.checkUrl}${config.checkUrl.includes('?') ? '&' : '?'}key=${encodeURIComponent(config.key)}`,
      await xmlOf(),
    )
  ).json();
  if (at === lastCommand()) takeFindings(found);
}

/** The report reads what is saved. A browser that opens no window after the saving gets a link. */
async function report() {
  if ((isDirty() || !base) && !(await save())) return;
  if (!window.open(config.conformanceUrl, '_blank'))
    notice(say('modeler.conformance.ready'), '', [[say('modeler.conformance'), config.conformanceUrl]]);
}

async function checkNow() {
  tell(say('modeler.checking'));
  await check();
  const errors = findings.filter(f => f.severity !== 'warning').length;
  tell(
    errors
      ? say('modeler.checked.bad', { n: errors })
      : findings.length
        ? say('modeler.checked.warn', { n: findings.length })
        : say('modeler.checked.ok'),
    errors ? 'bad' : 'ok',
  );
  openTab('findings');
}

async function layOut() {
  tell(say('modeler.laying.out'));
  const before = await xmlOf();
  const laid = await (await sendXml(config.layoutUrl, before)).text();
  const { places, complete } = await readLayout(modeler, laid);
  if (complete) stack().execute('psmflow.layout', { places });
  else {
    await open(laid);
    replaced = true;
    notice(say('modeler.laid.out.anew'), 'info', [
      [
        say('modeler.laid.out.back'),
        async () => {
          await open(before);
          replaced = true;
        },
      ],
    ]);
  }
  fit(modeler, VIEW);
  tell(say('modeler.laid.out'), 'ok');
}

async function deploy() {
  await check();
  const errors = findings.filter(f => f.severity === 'error' || f.severity === 'draft').length;
  if (errors) {
    openTab('findings');
    tell(say('modeler.deploy.refused', { n: errors }), 'bad');
    return;
  }
  if (
    !(await ask(
      say('modeler.deploy'),
      say('modeler.deploy.confirm', { name: config.name || config.key }),
      say('modeler.deploy.yes'),
    ))
  )
    return;
  if (isDirty() && !(await save())) return;
  const answer = await (await sendXml(config.deployUrl, await xmlOf(), { base })).json();
  if (answer.findings) takeFindings(answer.findings);
  if (answer.version === null || answer.version === undefined) tell(say('modeler.deployed.same'), 'ok');
  else {
    tell(say('modeler.deployed', { n: answer.version }), 'ok');
    if (answer.url) notice(say('modeler.deployed', { n: answer.version }), 'ok', [[say('modeler.deployed.open'), answer.url]]);
  }
}

/** A question in a dialog of ours; true when it was answered with yes. */
function ask(title, text, yes) {
  return new Promise(resolve => {
    const dialog = h(
      'dialog',
      { class: 'dialog', 'aria-labelledby': 'ask-title' },
      h('h2', { id: 'ask-title' }, title),
      h('p', {}, text),
      h(
        'form',
        { method: 'dialog', class: 'form-actions' },
        h('button', { class: 'button', value: 'yes' }, yes),
        h('button', { class: 'button secondary', value: '' }, say('cancel')),
      ),
    );
    dialog.addEventListener('close', () => {
      resolve(dialog.returnValue === 'yes');
      dialog.remove();
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

// ------------------------------------------------------------------------------------------------------------- findings
function takeFindings(list, open = false) {
  const en = language() === 'en';
  findings = list.map(f => ({
    ...f,
    text: (en && f.en) || f.zh,
    mend: (en ? (f.mend_en ?? f.mendEn) : (f.mend_zh ?? f.mendZh)) || '',
  }));
  fresh = true;
  showFindings(findings);
  glance().then(quick => {
    known = new Set(quick.map(sameAs));
  });
  if (open) openTab('findings');
}

const RANK = { error: 0, draft: 1, warning: 2, quick: 3 };

function showFindings(all) {
  const sorted = [...all].sort((a, b) => RANK[a.severity] - RANK[b.severity]);
  const registry = modeler.get('elementRegistry');
  const shape = id =>
    registry.get(id) ??
    registry.find(e => e.businessObject?.processRef?.id === id) ??
    registry.find(e => e.businessObject?.loopCharacteristics?.id === id);
  const marks = new Map();
  for (const finding of sorted) {
    const element = shape(finding.element);
    if (element?.parent) marks.set(element.id, [...(marks.get(element.id) ?? []), finding]);
  }
  decoration?.show(
    [...marks].map(([id, list]) => [id, `has-${list[0].severity}`]),
    [...marks].map(([id, list]) => ({
      element: id,
      kind: 'mark',
      look: list[0].severity,
      text: list.length > 1 ? `! ${list.length}` : '!',
      title: list.map(f => f.text).join('\n'),
      position: { top: -11, right: 11 },
      onclick: () => {
        reveal(modeler, id);
        openTab('properties');
      },
    })),
  );
  panel.showFindings(sorted);
  const errors = sorted.filter(f => f.severity === 'error' || f.severity === 'draft').length;
  parts.count.textContent = sorted.length;
  parts.count.hidden = !sorted.length;
  parts.count.classList.toggle('bad', errors > 0);
  const jump = finding => {
    const element = shape(finding.element);
    if (element) reveal(modeler, element.id);
    openTab('properties');
  };
  parts.findings.replaceChildren(
    h(
      'p',
      { class: 'panel-note', role: 'status' },
      sorted.length
        ? say(fresh ? 'modeler.findings.count' : 'modeler.findings.old', { errors, warnings: sorted.length - errors })
        : say(fresh ? 'modeler.findings.none' : 'modeler.findings.pending'),
    ),
    h(
      'ul',
      { class: 'findings' },
      ...sorted.map(f => {
        const element = shape(f.element);
        return h(
          'li',
          { class: `is-${f.severity}` },
          h(
            'button',
            { type: 'button', onclick: () => jump(f) },
            h('span', { class: 'badge' }, say(`severity.${f.severity}`)),
            h('strong', {}, element ? elementName(element) : (f.element ?? say('modeler.whole'))),
            h('span', { class: 'what' }, f.text),
            f.mend && h('span', { class: 'mend' }, f.mend),
            f.line > 0 && h('span', { class: 'muted' }, say('modeler.line', { n: f.line })),
          ),
        );
      }),
    ),
  );
}

// --------------------------------------------------------------------------------------------------------- element list
function showElements() {
  if (parts.elements.hidden && parts.elements.childElementCount) parts.elements.dataset.stale = '1';
  const old = parts.elements.querySelector('input')?.value ?? '';
  const filter = h('input', {
    type: 'search',
    id: 'element-filter',
    value: old,
    placeholder: say('modeler.elements.filter'),
    'aria-label': say('modeler.elements.filter'),
    oninput: () => fill(),
  });
  const list = h('ul', { class: 'element-list' });
  const fill = () => {
    const wanted = filter.value.trim().toLowerCase();
    const elements = modeler.get('elementRegistry').filter(e => e.parent && !e.labelTarget && e.type !== 'label');
    const order = e => (e.waypoints ? 1e9 : 0) + Math.round((e.x ?? 0) / 40) * 1e4 + (e.y ?? 0);
    const items = elements
      .map(e => ({ e, name: elementName(e), type: typeName(e) }))
      .filter(({ e, name, type }) => !wanted || `${name} ${type} ${e.id}`.toLowerCase().includes(wanted))
      .sort((a, b) => order(a.e) - order(b.e));
    list.replaceChildren(
      ...items.map(({ e, name, type }) =>
        h(
          'li',
          {},
          h(
            'button',
            {
              type: 'button',
              onclick: () => {
                reveal(modeler, e.id);
                openTab('properties');
                document.getElementById('tab-properties').focus();
              },
            },
            h('span', { class: 'what' }, name),
            h('span', { class: 'muted' }, `${type} · ${e.id}`),
          ),
        ),
      ),
    );
  };
  fill();
  parts.elements.replaceChildren(filter, list);
}

// ---------------------------------------------------------------------------------------------------------- after a change
let timer = 0;
function changed() {
  parts.undo.disabled = !stack().canUndo();
  parts.redo.disabled = !stack().canRedo();
  tell(isDirty() ? say('modeler.unsaved') : '');
  fresh = false;
  clearTimeout(timer);
  timer = setTimeout(look, 400);
}

const sameAs = finding => `${finding.rule} ${finding.element}`;

/** The quick look, which is comfort: when it stumbles over a diagram half drawn, it says nothing and the server's check follows. */
async function glance() {
  try {
    return await quickLook(modeler.getDefinitions());
  } catch (error) {
    console.error(error);
    return [];
  }
}

/** First our own quick look, then the server's check once the hands rest. */
async function look() {
  showElements();
  const seen = new Set(findings.map(f => f.element));
  const quick = await glance();
  if (!fresh) showFindings([...findings, ...quick.filter(f => !seen.has(f.element) && !known.has(sameAs(f)))]);
  timer = setTimeout(later, 1500);
}

async function later() {
  if (busy) {
    timer = setTimeout(later, 1500);
    return;
  }
  try {
    if (parts.autosave.checked && isDirty()) await act(save);
    else await check();
  } catch (error) {
    if (!(error instanceof RequestFailed)) throw error; // not reachable now: the quick look stays, and saving will say why
  }
}

const AUTOSAVE = 'psmflow.autosave';
function remembered() {
  try {
    return localStorage.getItem(AUTOSAVE) === '1';
  } catch {
    return false; // storage may be forbidden
  }
}
function remember(on) {
  try {
    localStorage.setItem(AUTOSAVE, on ? '1' : '0');
  } catch {
    // storage may be forbidden: then it holds for this page only
  }
}

run(root, async () => {
  build();
  modeler = new Modeler({
    container: parts.canvas,
    additionalModules: [translation, commands, TokenSimulation, Minimap, ColorPicker, CreateAppendAnythingModule, menus],
  });
  root.modeler = modeler;
  root.untranslated = missing;
  const extensions = new Extensions(modeler, config.fields?.namespace ?? 'http://camunda.org/schema/1.0/bpmn');
  const table = new FieldTable(modeler, extensions, {
    table: config.fields ?? {},
    catalogue: config.catalogue ?? {},
    key: config.key,
  });
  copyExtensions(modeler, table.appliesTo);
  panel = new Panel(modeler, table, parts.properties);
  modeler.on('commandStack.changed', changed);
  modeler.on('tokenSimulation.toggleMode', ({ active }) => {
    parts.simulate.setAttribute('aria-pressed', String(active));
    root.classList.toggle('is-simulating', active);
    for (const part of [parts.properties, parts.findings]) part.inert = active;
    if (active) tell(say('modeler.simulating'));
    else tell('');
  });
  await load();
  modeler.get('minimap').close();
  addEventListener('beforeunload', event => {
    if (isDirty()) event.preventDefault();
  });
  addEventListener('keydown', event => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 's') {
      event.preventDefault();
      act(save);
    }
  });
  if (!config.findings) await act(check);
});
