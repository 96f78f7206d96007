/** Fills the rows of a list from a spreadsheet and writes them to one. The hooks are listed at the top of site.css. */
import { h } from './dom.js';
import { newRow, renumber, rowsOf } from './rows.js';
import { decode, parse, read, write } from './sheet.js';
import { extend, language, say } from './words/index.js';
import { WORDS } from './words/sheets.js';

extend(WORDS);

/** The inputs of one cell: one, or the boxes of a choice. */
const inputsOf = (row, key) => [...row.querySelectorAll('input, select, textarea')].filter(input => input.name.split('.').at(-1) === key);

function fill(row, values) {
  for (const [key, value] of Object.entries(values)) {
    for (const input of inputsOf(row, key)) {
      if (input.type === 'radio') input.checked = input.value === value;
      else if (input.type === 'checkbox') input.checked = Array.isArray(value) ? value.includes(input.value) : value;
      else input.value = value;
    }
  }
}

/** What stands in a cell, as a person reads it. */
function shown(row, column) {
  const inputs = inputsOf(row, column.key);
  const label = value => column.options?.find(o => o.value === value)?.label ?? value;
  if (column.kind === 'checkbox') return say(inputs[0]?.checked ? 'yes' : 'no');
  if (inputs.some(input => input.type === 'radio' || input.type === 'checkbox'))
    return inputs.filter(input => input.checked).map(input => label(input.value)).join('、');
  const text = inputs[0]?.value ?? '';
  return column.options ? (text && label(text)) : text;
}

const isBlank = (row, columns) => columns.every(c => (c.kind === 'checkbox' ? !inputsOf(row, c.key)[0]?.checked : shown(row, c) === ''));
const named = column => column.labels[language() === 'en' && column.labels[1] ? 1 : 0];

function save(list, columns) {
  const rows = rowsOf(list).filter(row => !isBlank(row, columns));
  const text = write([columns.map(named), ...rows.map(row => columns.map(column => shown(row, column)))]);
  const url = URL.createObjectURL(new Blob([text], { type: 'text/csv;charset=utf-8' }));
  h('a', { href: url, download: `${list.dataset.rows}.csv` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** Ask for a table; the list stays as it is until the person confirms what was read. */
function ask(list, columns) {
  const most = Number(list.dataset.max ?? 500);
  const kept = rowsOf(list).filter(row => !isBlank(row, columns));
  let found = { rows: [], problems: [] };
  const paste = h('textarea', { id: 'sheet-text', rows: 6, spellcheck: false, 'aria-describedby': 'sheet-hint' });
  const file = h('input', { id: 'sheet-file', type: 'file', accept: '.csv,.tsv,.txt,text/csv' });
  const replaces = h('input', { type: 'checkbox', id: 'sheet-replace', checked: false });
  const result = h('div', { class: 'stack', role: 'status' });
  const confirm = h('button', { type: 'button', class: 'button', disabled: true }, say('sheet.fill', { count: 0 }));
  const close = h('button', { type: 'button', class: 'button secondary' }, say('sheet.cancel'));
  const dialog = h(
    'dialog',
    { class: 'dialog sheet', 'aria-labelledby': 'sheet-title' },
    h('h2', { id: 'sheet-title' }, say('sheet.title')),
    h('p', { class: 'hint', id: 'sheet-hint' }, say('sheet.hint', { columns: columns.map(named).join('、') })),
    h('div', { class: 'field' }, h('label', { for: 'sheet-text' }, say('sheet.paste')), paste),
    h('div', { class: 'field' }, h('label', { for: 'sheet-file' }, say('sheet.file')), file),
    kept.length > 0 &&
      h('div', { class: 'field check' }, h('label', { for: 'sheet-replace' }, replaces, ' ', h('span', {}, say('sheet.replace', { count: kept.length })))),
    result,
    h('div', { class: 'row' }, confirm, close),
  );
  const look = () => {
    found = read(parse(paste.value), columns, replaces.checked ? most : Math.max(most - kept.length, 0));
    result.replaceChildren(...(paste.value.trim() ? preview(found, columns) : []));
    confirm.textContent = say('sheet.fill', { count: found.rows.length });
    confirm.disabled = found.rows.length === 0;
  };
  paste.addEventListener('input', look);
  replaces.addEventListener('change', look);
  file.addEventListener('change', async () => {
    if (!file.files[0]) return;
    paste.value = decode(new Uint8Array(await file.files[0].arrayBuffer()));
    look();
  });
  close.addEventListener('click', () => dialog.close());
  confirm.addEventListener('click', () => {
    for (const row of rowsOf(list)) if (replaces.checked || !kept.includes(row)) row.remove();
    const filled = found.rows.map(values => {
      const row = newRow(list);
      fill(row, values);
      return row;
    });
    renumber(list);
    dialog.close();
    filled[0].querySelector('input:not([type=hidden]), select, textarea')?.focus();
    list.dispatchEvent(new Event('change', { bubbles: true }));
  });
  dialog.addEventListener('close', () => {
    dialog.remove();
    if (document.activeElement === document.body) list.querySelector('[data-import]')?.focus();
  });
  document.body.append(dialog);
  dialog.showModal();
  paste.focus();
}

const MOST_SHOWN = 5;
const MOST_TOLD = 50;

function preview({ rows, byHeading, problems }, columns) {
  const used = columns.filter(column => rows.some(row => column.key in row));
  const told = problems.slice(0, MOST_TOLD).map(({ row, column, key, why, values }) => {
    const label = key ? named(columns.find(c => c.key === key)) : column;
    return h('li', {}, say(column ? 'sheet.at' : 'sheet.at.row', { row, column: label }), say(why, values));
  });
  const text = value => (value === true ? say('yes') : value === false ? say('no') : Array.isArray(value) ? value.join('、') : (value ?? ''));
  const label = (column, value) => column.options?.find(o => o.value === value)?.label ?? text(value);
  return [
    h('p', {}, say(byHeading ? 'sheet.by.heading' : 'sheet.by.order', { count: rows.length })),
    used.length > 0 &&
      h(
        'div',
        { class: 'table-wrap', tabIndex: 0, role: 'region', 'aria-label': say('sheet.preview') },
        h(
          'table',
          { class: 'table compact' },
          h('thead', {}, h('tr', {}, used.map(column => h('th', { scope: 'col' }, named(column))))),
          h('tbody', {}, rows.slice(0, MOST_SHOWN).map(row => h('tr', {}, used.map(column => h('td', {}, label(column, row[column.key])))))),
        ),
      ),
    rows.length > MOST_SHOWN && h('p', { class: 'muted' }, say('sheet.more', { count: rows.length - MOST_SHOWN })),
    told.length > 0 && h('p', { class: 'error' }, say('sheet.unread', { count: problems.length })),
    told.length > 0 && h('ul', { class: 'sheet-problems' }, told),
    problems.length > MOST_TOLD && h('p', { class: 'muted' }, say('sheet.more.unread', { count: problems.length - MOST_TOLD })),
  ].filter(Boolean);
}

for (const list of document.querySelectorAll('[data-rows][data-columns]')) {
  const columns = JSON.parse(list.dataset.columns);
  const tools = list.querySelector(':scope > [data-sheet]');
  if (!tools?.hidden) continue; // a page with several forms brings this script several times
  tools.querySelector('[data-import]').addEventListener('click', () => ask(list, columns));
  tools.querySelector('[data-export]').addEventListener('click', () => save(list, columns));
  tools.hidden = false;
}
