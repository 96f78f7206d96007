/** Comfort for staff pages; each works without it. The hooks are listed at the top of site.css. */
import { newRow, renumber } from './rows.js';
import { countdownText, presentInstant } from './time.js';
import { say } from './words/index.js';

const DAY = 86_400_000;

function showCountdowns() {
  const now = presentInstant();
  for (const time of document.querySelectorAll('time[data-deadline]')) {
    const left = Date.parse(time.dataset.deadline || time.dateTime) - now;
    if (Number.isNaN(left)) continue;
    time.title ||= time.textContent.trim();
    time.textContent = countdownText(left, time.dataset.countdown === 'short');
    time.classList.toggle('is-soon', left >= 0 && left < DAY);
    time.classList.toggle('is-late', left < 0);
  }
}
if (document.querySelector('time[data-deadline]')) {
  showCountdowns();
  setInterval(showCountdowns, 20_000);
  document.addEventListener('visibilitychange', showCountdowns);
}

// --------------------------------------------------------------------------------------------------------------- forms
const unsaved = new Set();

for (const form of document.querySelectorAll('form')) {
  let sentAt = -Infinity;
  form.addEventListener('submit', event => {
    const question = event.submitter?.dataset.confirm ?? form.dataset.confirm;
    if (question && !confirm(question)) return event.preventDefault();
    if (!('many' in form.dataset) && performance.now() - sentAt < 4000) return event.preventDefault();
    sentAt = performance.now();
    unsaved.delete(form);
  });
  if ('warnUnsaved' in form.dataset) {
    form.addEventListener('input', () => unsaved.add(form));
    form.addEventListener('change', () => unsaved.add(form));
  }
}
addEventListener('beforeunload', event => {
  if (unsaved.size) event.preventDefault();
});

// a failed form: go to the summary, so that a screen reader begins there
document.querySelector('.error-summary[tabindex]')?.focus();

// --------------------------------------------------------------------------------------------------------------- clicks
document.addEventListener('click', event => {
  const button = event.target.closest('button');
  if (!button) return;
  const list = button.closest('[data-rows]');
  if (list && 'addRow' in button.dataset) {
    if (!list.querySelector(':scope > template[data-row]')) return; // the server adds the row
    event.preventDefault();
    const row = newRow(list);
    renumber(list);
    row.querySelector('input:not([type=hidden]), select, textarea')?.focus();
    list.dispatchEvent(new Event('change', { bubbles: true }));
  } else if (list && 'removeRow' in button.dataset) {
    event.preventDefault();
    const row = button.closest('.row-item');
    const next = row.nextElementSibling?.matches('.row-item') ? row.nextElementSibling : row.previousElementSibling;
    row.remove();
    renumber(list);
    (next?.querySelector?.('input, select, textarea') ?? list.querySelector('[data-add-row]'))?.focus();
    list.dispatchEvent(new Event('change', { bubbles: true }));
  } else if ('copy' in button.dataset || 'copyFrom' in button.dataset) {
    event.preventDefault();
    copy(button);
  } else if ('print' in button.dataset) {
    event.preventDefault();
    print();
  } else if ('open' in button.dataset) {
    const dialog = document.getElementById(button.dataset.open);
    if (!dialog?.showModal) return;
    event.preventDefault();
    dialog.showModal();
  } else if ('close' in button.dataset) {
    const dialog = button.closest('dialog');
    if (!dialog) return;
    event.preventDefault();
    dialog.close();
  }
});

async function copy(button) {
  const text = button.dataset.copy || document.querySelector(button.dataset.copyFrom)?.textContent.trim() || '';
  const before = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = say('copied');
  } catch {
    // no permission, or a page without https: show it, so that it can be copied by hand
    prompt(say('copy.by.hand'), text);
  }
  setTimeout(() => {
    button.textContent = before;
  }, 2000);
}

for (const select of document.querySelectorAll('select[data-submit]'))
  select.addEventListener('change', () => select.form?.requestSubmit());
for (const node of document.querySelectorAll('[data-needs-script]')) node.hidden = false;