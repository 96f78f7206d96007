/** What a page gives its script, and how the script talks to the server and to the reader. */
import { h } from './dom.js';
import { language, say } from './words/index.js';
import './words/tools.js';

/** The JSON of `<script type="application/json" id="config">`. */
export const config = JSON.parse(document.getElementById('config').textContent);

export class RequestFailed extends Error {
  constructor(status, body) {
    super((language() === 'en' && body?.message_en) || body?.message || body?.error || say('request.failed', { status }));
    this.status = status;
    this.body = body;
  }
}

async function answer(response) {
  if (response.redirected && new URL(response.url).pathname.includes('login'))
    throw new RequestFailed(401, { message: say('request.login') });
  if (response.ok) return response;
  const body = await response.json().catch(() => null);
  throw new RequestFailed(
    response.status,
    body ?? (response.status === 401 || response.status === 403 ? { message: say('request.login') } : null),
  );
}

/** `fetch`, that throws RequestFailed for everything but success; a broken line becomes a sentence. */
export async function request(url, options = {}) {
  let response;
  try {
    response = await fetch(url, { credentials: 'same-origin', ...options });
  } catch {
    throw new RequestFailed(0, { message: say('request.offline') });
  }
  return answer(response);
}

export const fetchText = async url => (await request(url)).text();
export const fetchJson = async url => (await request(url, { headers: { Accept: 'application/json' } })).json();

const csrf = () => config.csrf ?? document.querySelector('input[name=csrf_token]')?.value ?? '';

/** Send a diagram. `base`: the SHA-256 it was made from (If-Match). */
export function sendXml(url, xml, { method = 'POST', base } = {}) {
  const headers = {
    'Content-Type': 'application/xml; charset=utf-8',
    Accept: 'application/json, application/xml',
    'X-CSRF-Token': csrf(),
  };
  if (base !== undefined) headers['If-Match'] = `"${base}"`;
  return request(url, { method, headers, body: xml });
}

/** The page is drawn: tests and screenshots wait for this. */
export function ready() {
  document.documentElement.dataset.ready = '1';
}

/** Runs `start` and shows in `root` why it could not. */
export async function run(root, start) {
  try {
    await start();
    ready();
  } catch (error) {
    root.prepend(h('p', { class: 'alert bad', role: 'alert' }, say('open.failed', { reason: error.message })));
    document.documentElement.dataset.ready = 'failed';
    console.error(error);
  }
}
