/** The rows of a list: adding and numbering them. The hooks are listed at the top of site.css. */

const NUMBERED = ['name', 'id', 'for', 'aria-describedby', 'aria-labelledby', 'aria-label', 'list'];

/** Give the rows of a list the indexes 0, 1, 2 … in their names and ids, and 1, 2, 3 … in what people read. */
export function renumber(list) {
  const path = list.dataset.rows;
  const rows = [...list.querySelectorAll(':scope > .row-item')];
  rows.forEach((row, index) => {
    for (const node of [row, ...row.querySelectorAll('*')]) {
      for (const attribute of NUMBERED) {
        const value = node.getAttribute(attribute);
        if (value?.includes(`${path}.`))
          node.setAttribute(
            attribute,
            value.replaceAll(new RegExp(`${path.replaceAll('.', '\\.')}\\.(\\d+|__i__)\\.`, 'g'), `${path}.${index}.`),
          );
      }
    }
    const remove = row.querySelector(':scope > [data-remove-row]');
    if (remove?.value.startsWith(`${path}.`)) remove.value = `${path}.${index}`;
    remove?.setAttribute('aria-label', (remove.getAttribute('aria-label') ?? remove.textContent).replace(/\d+/, index + 1));
    const legend = row.querySelector(':scope > legend');
    if (legend) legend.textContent = legend.textContent.replace(/\d+/, index + 1);
  });
  const count = list.querySelector(':scope > [data-row-count]');
  if (count) count.value = rows.length;
  for (const button of list.querySelectorAll(':scope > .row-item > [data-remove-row]'))
    button.disabled = rows.length <= Number(list.dataset.min ?? 0);
  for (const button of list.querySelectorAll('[data-add-row]'))
    button.disabled = rows.length >= Number(list.dataset.max ?? Infinity);
}

export const rowsOf = list => [...list.querySelectorAll(':scope > .row-item')];

/** Put an empty row behind the last and return it; `renumber` when all are there. */
export function newRow(list) {
  const template = list.querySelector(':scope > template[data-row]');
  const row = template.content.cloneNode(true).querySelector('.row-item');
  const last = rowsOf(list).at(-1);
  if (last) last.after(row);
  else template.before(row);
  return row;
}
