/** Our own words: Chinese first, English when the page's `lang` says so. Both catalogues have the same keys (a test says so). */
import en from './en.js';
import zh from './zh.js';

export const CATALOGUES = { zh: { ...zh }, en: { ...en } };

/** Tools bring the words that staff pages have no use for. */
export function extend(more) {
  Object.assign(CATALOGUES.zh, more.zh);
  Object.assign(CATALOGUES.en, more.en);
}

/** `zh` or `en`. */
export function language() {
  const lang = globalThis.document?.documentElement.lang ?? 'zh';
  return lang.toLowerCase().startsWith('en') ? 'en' : 'zh';
}

/** The text of `key`, with `{name}` replaced by `values.name`. A key without text is a fault of ours and throws. */
export function say(key, values = {}) {
  const text = CATALOGUES[language()][key];
  if (text === undefined) throw new Error(`no words for ${key}`);
  return text.replace(/{(\w+)}/g, (_, name) => values[name] ?? '');
}

/** Whether there are words for `key`: for choices that come from the server and may be newer than we are. */
say.has = key => key in CATALOGUES.zh;

/** Picks by language from a record such as {zh, en} or a plain text. */
export function pick(text) {
  if (text === null || typeof text !== 'object') return text ?? '';
  return text[language()] || text.zh || text.en || '';
}
