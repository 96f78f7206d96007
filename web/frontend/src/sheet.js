/**
 * Tables as text: what a spreadsheet puts on the clipboard or into a .csv, read for the columns of a list, and written again.
 * Pure: no page, no words. A column is {key, labels: [zh, en], kind, options?: [{value, label}], longest?}; `kind` is text, number,
 * date, time, datetime, checkbox, choice or choices.
 */

/** The text of a file: UTF-8, UTF-16 with its mark, else GB18030 (what Excel writes in China). */
export function decode(bytes) {
  const [a, b] = bytes;
  if ((a === 0xff && b === 0xfe) || (a === 0xfe && b === 0xff)) return new TextDecoder(a === 0xff ? 'utf-16le' : 'utf-16be').decode(bytes);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder('gb18030').decode(bytes);
  }
}

/** Rows of cells. Tabs part the cells of a paste; a file has commas or semicolons. Cells in double quotes may hold all of these. */
export function parse(text) {
  const source = text.replace(/^\uFEFF/, '').replace(/\r\n?/g, '\n');
  const separator = separatorOf(source);
  const rows = [];
  let row = [];
  let cell = '';
  let quoted = false;
  for (let at = 0; at < source.length; at++) {
    const sign = source[at];
    if (quoted) {
      if (sign !== '"') cell += sign;
      else if (source[at + 1] === '"') cell += source[at++];
      else quoted = false;
    } else if (sign === '"' && cell === '') quoted = true;
    else if (sign === separator || sign === '\n') {
      row.push(cell);
      cell = '';
      if (sign === '\n') {
        rows.push(row);
        row = [];
      }
    } else cell += sign;
  }
  if (cell !== '' || row.length) rows.push([...row, cell]);
  return rows.map(cells => cells.map(each => each.trim()));
}

function separatorOf(source) {
  // outside quotes, in the first line that has any
  const line = source.replace(/"[^"]*"/g, '').split('\n').find(each => /[\t,;,]/.test(each)) ?? '';
  return ['\t', ',', ';', ','].find(sign => line.includes(sign)) ?? '\t';
}

const plain = text => text.normalize('NFKC').replace(/[(（][^)）]*[)）]$/, '').replace(/[\s*]/g, '').toLowerCase();

/**
 * What the rows of a table are for a list.
 *
 * @returns {{rows: Array<Record<string, string | string[] | boolean>>, byHeading: boolean,
 *   problems: Array<{row: number, column: string, why: string, values: object}>}} `row` counts the lines of the table from 1;
 *   `why` is a key of the catalogue. A cell with a problem is left out of its row.
 */
export function read(table, columns, most = 500) {
  const lines = table.map((cells, index) => ({ cells, row: index + 1 })).filter(({ cells }) => cells.some(Boolean));
  if (!lines.length) return { rows: [], byHeading: false, problems: [] };
  const problems = [];
  const found = lines[0].cells.map(cell => columns.find(c => [c.key, ...c.labels].some(name => name && plain(name) === plain(cell))));
  const named = lines[0].cells.filter(Boolean).length;
  const byHeading = found.filter(Boolean).length * 2 >= named && found.some(Boolean);
  const places = byHeading ? found : columns;
  if (byHeading) {
    lines[0].cells.forEach((cell, at) => {
      if (cell && !found[at]) problems.push({ row: lines[0].row, column: cell, why: 'sheet.no.column', values: {} });
      else if (cell && found.indexOf(found[at]) !== at) problems.push({ row: lines[0].row, column: cell, why: 'sheet.twice', values: {} });
    });
    lines.shift();
  }
  const rows = [];
  for (const { cells, row } of lines) {
    if (rows.length === most) {
      problems.push({ row, column: '', why: 'sheet.too.many', values: { most } });
      break;
    }
    const values = {};
    cells.forEach((cell, at) => {
      const column = places[at];
      if (cell === '' || (byHeading && (!column || places.indexOf(column) !== at))) return;
      if (!column) return problems.push({ row, column: String(at + 1), why: 'sheet.beyond', values: { text: short(cell) } });
      const answer = readCell(column, cell);
      if ('why' in answer) problems.push({ row, column: column.labels[0], key: column.key, why: answer.why, values: { text: short(cell), ...answer.values } });
      else values[column.key] = answer.value;
    });
    if (Object.keys(values).length) rows.push(values);
  }
  return { rows, byHeading, problems };
}

const short = text => (text.length > 40 ? `${text.slice(0, 40)}…` : text);
const YES = new Set(['true', '1', 'on', 'yes', 'y', '是', '真', '√', '✓', '✔', 'x', '★', '有']);
const NO = new Set(['false', '0', 'off', 'no', 'n', '否', '假', '×', '无', '-', '/']);

/** `{value}` as its input takes it, or `{why}`. */
function readCell(column, cell) {
  const text = /^'[=+\-@]/.test(cell) ? cell.slice(1) : cell; // as `write` guards it
  const simple = text.normalize('NFKC').trim();
  switch (column.kind) {
    case 'number': {
      const number = simple.replaceAll(',', '').replace(/^[¥￥$]/, '');
      return /^[+-]?(\d+\.?\d*|\.\d+)$/.test(number) ? { value: number } : { why: 'sheet.number' };
    }
    case 'date':
    case 'datetime':
      return readInstant(simple, column.kind);
    case 'time': {
      const time = /^(\d{1,2}):(\d{2})(:\d{2})?$/.exec(simple);
      return time && time[1] < 24 && time[2] < 60 ? { value: `${time[1].padStart(2, '0')}:${time[2]}` } : { why: 'sheet.time' };
    }
    case 'checkbox': {
      const word = simple.toLowerCase();
      return YES.has(word) ? { value: true } : NO.has(word) ? { value: false } : { why: 'sheet.yes.no' };
    }
    case 'choice': {
      const value = optionOf(column, simple);
      return value === undefined ? { why: 'sheet.choice', values: { choices: choices(column) } } : { value };
    }
    case 'choices': {
      const several = simple.split(/[、,;|/\n]/).map(each => each.trim()).filter(Boolean).map(each => optionOf(column, each));
      return several.includes(undefined) ? { why: 'sheet.choice', values: { choices: choices(column) } } : { value: several };
    }
  }
  return column.longest && text.length > column.longest ? { why: 'sheet.long', values: { most: column.longest } } : { value: text };
}

const choices = column => column.options.map(o => o.label).join('、');
const optionOf = (column, text) => column.options.find(o => [o.value, o.label].some(name => plain(name) === plain(text)))?.value;

function readInstant(text, kind) {
  const found = /^(\d{4})(?:[-/.年](\d{1,2})[-/.月](\d{1,2})日?|(\d{2})(\d{2}))(?:[T ]+(\d{1,2}):(\d{2})(?::\d{2})?)?$/.exec(text);
  if (!found) return { why: `sheet.${kind}` };
  const [, year, m1, d1, m2, d2, hour, minute] = found;
  const [month, day] = [m1 ?? m2, d1 ?? d2].map(each => each.padStart(2, '0'));
  const when = new Date(Date.UTC(year, month - 1, day));
  if (when.getUTCMonth() + 1 !== Number(month) || when.getUTCDate() !== Number(day) || hour > 23 || minute > 59) return { why: `sheet.${kind}` };
  const date = `${year}-${month}-${day}`;
  if (kind === 'date') return { value: date };
  return hour === undefined ? { why: 'sheet.datetime' } : { value: `${date}T${hour.padStart(2, '0')}:${minute}` };
}

/** A .csv that Excel opens as UTF-8. A cell that a spreadsheet would take for a formula gets an apostrophe in front. */
export function write(table) {
  const cell = text => {
    const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\r\n]|^\s|\s$/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  return `\uFEFF${table.map(row => `${row.map(cell).join(',')}\r\n`).join('')}`;
}
