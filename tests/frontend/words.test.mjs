/** Chinese first, English second, and nothing left out of either. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { countdownText, durationText } from '../../web/frontend/src/time.js';
import { translate, missing, ZH } from '../../web/frontend/src/words/bpmn.js';
import { CATALOGUES, extend, language, pick, say } from '../../web/frontend/src/words/index.js';
import '../../web/frontend/src/words/modeler.js';
import { WORDS } from '../../web/frontend/src/words/sheets.js';
import '../../web/frontend/src/words/tools.js';

extend(WORDS);

const source = path.join(import.meta.dirname, '../../web/frontend/src');
const files = fs
  .readdirSync(source, { recursive: true })
  .filter(name => name.endsWith('.js') && !name.includes('words'))
  .map(name => fs.readFileSync(path.join(source, name), 'utf8'));
const speaking = lang => {
  globalThis.document = { documentElement: { lang } };
};

test('both catalogues have the same keys and the same places to fill', () => {
  const { zh, en } = CATALOGUES;
  const holes = text =>
    [...text.matchAll(/{\w+}/g)]
      .map(m => m[0])
      .sort()
      .join();

  assert.deepEqual(Object.keys(zh).sort(), Object.keys(en).sort());
  for (const key of Object.keys(zh)) assert.equal(holes(zh[key]), holes(en[key]), key);
});

test('whatever the scripts say has words', () => {
  const asked = files.flatMap(text => [...text.matchAll(/\bsay\('([^']+)'/g)].map(m => m[1]));
  const families = files.flatMap(text => [...text.matchAll(/\bsay\(`([a-z.]+)\${/g)].map(m => m[1]));

  assert.ok(asked.length > 80);
  for (const key of asked) assert.ok(key in CATALOGUES.zh, key);
  for (const family of families)
    assert.ok(
      Object.keys(CATALOGUES.zh).some(key => key.startsWith(family)),
      family,
    );
});

test('no words are left that nobody says', () => {
  const text = files.join('\n');
  const families = [...text.matchAll(/`([a-z.]+)\${/g)].map(m => m[1]);

  for (const key of Object.keys(CATALOGUES.zh)) {
    assert.ok(
      text.includes(`'${key}'`) ||
        families.some(f => key.startsWith(f)) ||
        key.startsWith('unit.') ||
        key === 'left' ||
        key === 'late',
      key,
    );
  }
});

test('Chinese sentences use Chinese punctuation', () => {
  for (const [key, text] of [...Object.entries(CATALOGUES.zh), ...Object.entries(ZH)])
    assert.doesNotMatch(text, /[\u4e00-\u9fff][,;:?!(]|[,;:?!)][\u4e00-\u9fff]/, key);
});

test('the page says which language is spoken, Chinese when it says nothing', () => {
  for (const [lang, expected] of [
    ['zh-CN', 'zh'],
    ['en', 'en'],
    ['en-GB', 'en'],
    ['', 'zh'],
    ['fr', 'zh'],
  ]) {
    speaking(lang);
    assert.equal(language(), expected);
  }
  speaking('en');
  assert.deepEqual(
    [say('left', { duration: '2 d' }), pick({ zh: '表单', en: 'Form' }), translate('Append task')],
    ['2 d left', 'Form', 'Append task'],
  );
  speaking('zh-CN');
  assert.deepEqual(
    [say('left', { duration: '2 天' }), pick({ zh: '表单', en: 'Form' }), translate('Append task')],
    ['剩 2 天', '表单', '追加任务'],
  );
});

test('a word that bpmn-js asks for in vain is remembered', () => {
  speaking('zh-CN');
  assert.equal(translate('Something quite new {x}', { x: 1 }), 'Something quite new 1');
  assert.ok(missing.has('Something quite new {x}'));
});

test('words of ours that are missing are a fault, not a blank', () => {
  assert.throws(() => say('no.such.words'));
});

test('durations are told in their two largest units, rounded down', () => {
  speaking('zh-CN');
  const [second, minute, hour, day] = [1000, 60_000, 3_600_000, 86_400_000];
  const told = [0, 59 * second, minute, hour - 1, hour, day - 1, day, 2 * day + 3 * hour + 59 * minute, 30 * day].map(ms =>
    durationText(ms),
  );

  assert.deepEqual(told, ['0 秒', '59 秒', '1 分钟', '59 分钟', '1 小时', '23 小时 59 分钟', '1 天', '2 天 3 小时', '30 天']);
  assert.equal(durationText(2 * day + 3 * hour, true), '2 天');
});

test('a deadline that passed is called overdue', () => {
  speaking('zh-CN');
  assert.deepEqual(
    [countdownText(86_400_000), countdownText(0), countdownText(-300_000)],
    ['剩 1 天', '剩 0 秒', '逾期 5 分钟'],
  );
});
