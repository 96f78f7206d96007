/**
 * Builds `../static/dist`: what the browser loads. The same sources give the same bytes on every machine.
 *
 *   node build.mjs            writes the files
 *   node build.mjs --verify   builds in memory and fails, naming the files, when `../static/dist` differs
 *
 * Names carry the first ten hex digits of the SHA-256 of their content, so that they may be cached for ever.
 * `manifest.json` maps stable names to them: {"modeler.js": "modeler-0123456789.js"}.
 */
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import zlib from 'node:zlib';
import { fileURLToPath } from 'node:url';
import * as esbuild from 'esbuild';

const here = path.dirname(fileURLToPath(import.meta.url));
const target = path.join(here, '../static/dist');
const verify = process.argv.includes('--verify');

const LICENCES = /^(MIT|ISC|BSD-2-Clause|BSD-3-Clause|0BSD|Apache-2\.0|CC0(-1\.0)?)$/;

/** bpmn-js-token-simulation has no translate service: its literals are bound to our catalogue here, and the build fails when one is gone. */
const SIMULATION_WORDS = {
  'toggle-mode/modeler/ToggleMode.js': [['Token Simulation <', '${say("Token Simulation")} <']],
  'log/Log.js': [
    ['\'<p class="bts-entry placeholder">No Entries</p>\'', '`<p class="bts-entry placeholder">No Entries</p>`'],
    ['>No Entries<', '>${say("No Entries")}<'],
    ['"Toggle Simulation Log"', '"${say("Toggle Simulation Log")}"'],
    ['        Simulation Log', '        ${say("Simulation Log")}'],
    ['"Close"', '"${say("Close")}"'],
    ["'SubProcess') : 'Process'", "say('SubProcess')) : say('Process')"],
    ["completed ? 'finished' : 'canceled'", "completed ? say('finished') : say('canceled')"],
    ['} started`', '} ${say("started")}`'],
    ...[
      'Service Task',
      'User Task',
      'Call Activity',
      'Script Task',
      'Business Rule Task',
      'Manual Task',
      'Receive Task',
      'Send Task',
      'Task',
      'Exclusive Gateway',
      'Parallel Gateway',
      'Inclusive Gateway',
      'Start Event',
      'Intermediate Event',
      'Boundary Event',
      'End Event',
    ].map(word => [`|| '${word}'`, `|| say('${word}')`]),
  ],
  'reset-simulation/ResetSimulation.js': [
    ['title="Reset Simulation"', 'title="${say("Reset Simulation")}"'],
    ["'Reset Simulation'", "say('Reset Simulation')"],
  ],
  'pause-simulation/PauseSimulation.js': [
    ['"Play/Pause Simulation"', '"${say("Play/Pause Simulation")}"'],
    ["'Pause Simulation'", "say('Pause Simulation')"],
    ["'Play Simulation'", "say('Play Simulation')"],
  ],
  'element-support/ElementSupport.js': [
    ["'Found unsupported elements'", "say('Found unsupported elements')"],
    ["'Not supported'", "say('Not supported')"],
  ],
  'set-animation-speed/SetAnimationSpeed.js': [['Set animation speed = ', '${say("Set animation speed")} = ']],
  'context-pads/handler/ExclusiveGatewayHandler.js': [['"Set Sequence Flow"', '"${say("Set Sequence Flow")}"']],
  'context-pads/handler/InclusiveGatewayHandler.js': [['"Set Sequence Flow"', '"${say("Set Sequence Flow")}"']],
  'context-pads/handler/TriggerHandler.js': [['"Trigger Event"', '"${say("Trigger Event")}"']],
  'context-pads/handler/PauseHandler.js': [
    ["${ wait ? 'Remove' : 'Add' } pause point", "${ wait ? say('Remove pause point') : say('Add pause point') }"],
  ],
  'simulation-state/SimulationState.js': [["'Finished'", "say('Finished')"]],
};

/** Every replacement must apply; a new version of the package that moves a literal fails the build instead of showing English. */
function replaceAll(source, pairs, where) {
  for (const [from, to] of pairs) {
    if (!source.includes(from)) throw new Error(`${where}: "${from}" is gone; see build.mjs`);
    source = source.replaceAll(from, to);
  }
  return source;
}

const simulationWords = {
  name: 'simulation-words',
  setup(build) {
    build.onResolve({ filter: /^psmflow:words$/ }, () => ({ path: path.join(here, 'src/words/bpmn.js') }));
    build.onLoad({ filter: /bpmn-js-token-simulation[\\/]lib[\\/]features[\\/].*\.js$/ }, ({ path: file }) => {
      const name = file
        .split(/bpmn-js-token-simulation[\\/]lib[\\/]features[\\/]/)
        .pop()
        .replaceAll('\\', '/');
      const pairs = SIMULATION_WORDS[name];
      if (!pairs) return undefined;
      const source = replaceAll(fs.readFileSync(file, 'utf8'), pairs, name);
      return { contents: `import { translate as say } from 'psmflow:words';\n${source}`, loader: 'js' };
    });
  },
};

/** One woff2 file instead of four copies as data URIs, so that the policy can say font-src 'self'. */
const iconFont = {
  name: 'icon-font',
  setup(build) {
    build.onLoad({ filter: /bpmn-font[\\/]css[\\/]bpmn\.css$/ }, ({ path: file }) => {
      const source = fs.readFileSync(file, 'utf8');
      const contents = source.replace(
        /@font-face\s*{[^}]*}/,
        "@font-face{font-family:'bpmn';src:url('../font/bpmn.woff2') format('woff2')}",
      );
      if (contents === source) throw new Error('bpmn.css has no @font-face');
      return { contents, loader: 'css', resolveDir: path.dirname(file) };
    });
  },
};

const shared = {
  absWorkingDir: here,
  bundle: true,
  minify: true,
  write: false,
  metafile: true,
  target: ['es2021'],
  charset: 'utf8',
  legalComments: 'none',
  loader: { '.woff2': 'file' },
  outdir: target,
  entryNames: '[name]',
  assetNames: '[name]',
  chunkNames: 'shared-[hash]',
  plugins: [simulationWords, iconFont],
  logLevel: 'warning',
};
const builds = await Promise.all([
  esbuild.build({
    ...shared,
    format: 'esm',
    splitting: true,
    entryNames: '[name]-part',
    entryPoints: ['modeler', 'viewer', 'replay', 'diff'].map(name => `src/${name}.js`),
  }),
  esbuild.build({ ...shared, format: 'iife', entryPoints: ['src/app.js', 'src/sheets.js', 'src/site.css'] }),
]);

/**
 * Pages say `<script src="…" defer>`; diagram code comes as modules, which share most of their bytes. So each of these scripts begins
 * with a few bytes that ask for its module and for the shared parts at the same time.
 */
function beginnings({ outputFiles, metafile }) {
  return Object.entries(metafile.outputs)
    .filter(([file, { entryPoint }]) => entryPoint && file.endsWith('.js'))
    .map(([file, { imports }]) => {
      const name = path.basename(file);
      const parts = [...imports.map(i => path.basename(i.path)), name].map(part => `import("./${part}");`);
      return { path: path.join(target, name.replace('-part.js', '.js')), contents: Buffer.from(`${parts.join('')}\n`) };
    })
    .concat(outputFiles.map(file => ({ path: file.path.replace(/-part\.css$/, '.css'), contents: file.contents })));
}

/** {file name: content}, named by content: what a file refers to is named first. */
function nameByContent(outputs) {
  const content = new Map(outputs.map(o => [path.basename(o.path), Buffer.from(o.contents)]));
  const named = new Map();
  const pending = new Set();
  const settle = name => {
    if (named.has(name)) return named.get(name);
    if (pending.has(name)) throw new Error(`circular reference at ${name}`);
    pending.add(name);
    let bytes = content.get(name);
    if (/\.(js|css)$/.test(name)) {
      let text = bytes.toString('utf8');
      for (const other of content.keys()) {
        if (other !== name && text.includes(`./${other}"`)) text = text.replaceAll(`./${other}"`, `./${settle(other).name}"`);
      }
      bytes = Buffer.from(text);
    }
    const hash = crypto.createHash('sha256').update(bytes).digest('hex').slice(0, 10);
    const { name: stem, ext } = path.parse(name);
    const result = { name: `${stem.replace(/^shared-.*/, 'shared')}-${hash}${ext}`, bytes };
    named.set(name, result);
    return result;
  };
  for (const name of content.keys()) settle(name);
  return named;
}

/** The licence text of every package of which something really is in the output, and of what some of them carry without one (licences/). */
function notices(metafiles) {
  const folders = new Map();
  for (const input of metafiles.flatMap(m => Object.values(m.outputs).flatMap(o => Object.keys(o.inputs)))) {
    const found = input.match(/^(.*node_modules\/((?:@[^/]+\/)?[^/]+))\//);
    if (found) folders.set(found[1], found[2]);
  }
  const refused = [];
  const parts = [...folders]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([folder]) => {
      const root = path.join(here, folder);
      const about = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'));
      const file = fs
        .readdirSync(root)
        .sort()
        .find(name => /^(licen[sc]e|copying)/i.test(name));
      const text = file ? fs.readFileSync(path.join(root, file), 'utf8').replaceAll('\r\n', '\n').trim() : '';
      const watermark = /bpmn\.io project watermark/.test(text);
      const licence = watermark
        ? 'bpmn.io (MIT, the mark stays visible)'
        : about.license || (/^(The )?MIT License/im.test(text) ? 'MIT' : 'unknown');
      if (!file) refused.push(`${about.name}: no licence file`);
      else if (!watermark && !LICENCES.test(licence)) refused.push(`${about.name}: ${licence}`);
      return `===== ${about.name} ${about.version}: ${licence}\n\n${text}\n`;
    });
  for (const file of fs.readdirSync(path.join(here, 'licences')).sort())
    parts.push(fs.readFileSync(path.join(here, 'licences', file), 'utf8'));
  if (refused.length) throw new Error(`Licences to look at first:\n  ${refused.join('\n  ')}`);
  return Buffer.from(
    `Parts of the files beside this one come from other projects, under these licences.\n\n${parts.join('\n')}`,
  );
}

const files = new Map();
const manifest = {};
for (const outputs of [beginnings(builds[0]), builds[1].outputFiles]) {
  for (const [plain, { name, bytes }] of nameByContent(outputs)) {
    files.set(name, bytes);
    if (/^(modeler|viewer|replay|diff|app|sheets|site)\.(js|css)$/.test(plain)) manifest[plain] = name;
  }
}
files.set('manifest.json', Buffer.from(`${JSON.stringify(Object.fromEntries(Object.entries(manifest).sort()), null, 1)}\n`));
files.set('THIRD_PARTY_NOTICES.txt', notices(builds.map(b => b.metafile)));

const sizes = [...files]
  .sort(([a], [b]) => (a < b ? -1 : 1))
  .map(([name, bytes]) => [name, bytes.length, zlib.gzipSync(bytes, { level: 9 }).length]);
for (const [name, raw, packed] of [
  ...sizes,
  ['total', sizes.reduce((n, s) => n + s[1], 0), sizes.reduce((n, s) => n + s[2], 0)],
]) {
  console.log(name.padEnd(34), String(raw).padStart(9), String(packed).padStart(8));
}

if (verify) {
  const there = new Set(fs.existsSync(target) ? fs.readdirSync(target) : []);
  const wrong = [...files]
    .filter(([name, bytes]) => !there.has(name) || !fs.readFileSync(path.join(target, name)).equals(bytes))
    .map(([name]) => `differs or missing: ${name}`)
    .concat([...there].filter(name => !files.has(name)).map(name => `left over: ${name}`));
  if (wrong.length) {
    console.error(`../static/dist is not what the sources give:\n  ${wrong.join('\n  ')}\nRun: npm run build`);
    process.exit(1);
  }
  console.log('../static/dist is what the sources give');
} else {
  fs.rmSync(target, { recursive: true, force: true });
  fs.mkdirSync(target, { recursive: true });
  for (const [name, bytes] of files) fs.writeFileSync(path.join(target, name), bytes);
}
