/**
 * The controls of the properties panel: plain HTML, each {node, show(value)}.
 *
 * `commit(value)` is called when a person has finished a change and returns a sentence when the value cannot be. `show` brings a control
 * to the value in the diagram without touching the focus.
 */
import { h } from '../dom.js';
import { pick, say } from '../words/index.js';

/** A text field, or a text area that grows; `suggest`: [{id, zh, en}] to choose from while typing. */
export function textControl({ id, commit, area = false, mono = false, suggest = [], readOnly = false, numeric = false }) {
  const list = suggest.length
    ? h('datalist', { id: `${id}-list` }, ...suggest.map(s => h('option', { value: s.id }, pick(s))))
    : null;
  const input = h(area ? 'textarea' : 'input', {
    id,
    class: mono ? 'mono' : '',
    autocomplete: 'off',
    spellcheck: !mono && !area,
    readOnly,
    ...(area ? { rows: 2 } : { type: 'text' }),
    ...(numeric && { inputMode: 'numeric' }),
    ...(list && { list: list.id }),
  });
  const grow = () => {
    if (area) {
      input.style.height = 'auto';
      input.style.height = `${Math.min(320, input.scrollHeight + 2)}px`;
    }
  };
  let shown = '';
  let typing = false; // what a person types is theirs until the diagram has it, whatever is refreshed meanwhile
  input.addEventListener('change', () => {
    const value = input.value.trim();
    if (value === shown) typing = false;
    else if (!commit(value)) {
      shown = value;
      typing = false;
    }
  });
  input.addEventListener('input', () => {
    typing = true;
    grow();
  });
  return {
    node: list ? h('div', {}, input, list) : input,
    input,
    show(value) {
      if (value === shown && (typing || input.value.trim() === value)) return;
      shown = value;
      typing = false;
      input.value = value;
      requestAnimationFrame(grow);
    },
  };
}

export function checkControl({ id, commit }) {
  const input = h('input', { id, type: 'checkbox', onchange: () => commit(input.checked) });
  return {
    node: input,
    input,
    show(value) {
      input.checked = Boolean(value);
    },
  };
}

/** A choice from a list; a value that is not in it stays and is marked; `free` lets a person type one. */
export function selectControl({ id, commit, options, free = false, empty = say('panel.none') }) {
  const select = h('select', { id });
  const typed = textControl({ id: `${id}-typed`, commit, mono: true });
  typed.input.setAttribute('aria-label', say('panel.typed'));
  typed.node.hidden = true;
  const TYPE = '\u0000type';
  select.addEventListener('change', () => {
    if (select.value === TYPE) {
      typed.node.hidden = false;
      typed.input.focus();
      return;
    }
    typed.node.hidden = true;
    commit(select.value);
  });
  return {
    node: h('div', {}, select, typed.node),
    input: select,
    show(value) {
      const known = options().some(o => o.id === value);
      select.replaceChildren(
        empty !== null && h('option', { value: '' }, empty),
        ...options().map(o => h('option', { value: o.id }, optionText(o))),
        value && !known && h('option', { value }, value.startsWith('=') ? value : say('panel.unregistered', { id: value })),
        free && h('option', { value: TYPE }, say('panel.type.it')),
      );
      for (const child of [...select.childNodes]) if (child.nodeType === Node.TEXT_NODE) child.remove();
      select.value = value;
      typed.show(value);
      if (!value.startsWith('=')) typed.node.hidden = true;
      else typed.node.hidden = false;
    },
  };
}

const optionText = option => {
  const label = pick(option);
  return label && label !== option.id ? say('panel.option', { label, id: option.id }) : option.id;
};

/** Several of a list, comma separated in the file, shown as labels that can be taken away; `= …` is an expression. */
export function listControl({ id, commit, options, expressions = true, label }) {
  const chosen = h('ul', { class: 'chosen' });
  const select = h('select', { id });
  const typed = textControl({ id: `${id}-typed`, mono: true, commit: value => commit(value) });
  typed.input.setAttribute('aria-label', say('panel.expression.for', { label }));
  const TYPE = '\u0000type';
  let ids = [];
  select.addEventListener('change', () => {
    if (select.value === TYPE) {
      typed.node.hidden = false;
      typed.input.focus();
    } else if (select.value) commit([...ids, select.value].join(','));
  });
  return {
    node: h('div', { class: 'list-control' }, chosen, select, typed.node),
    input: select,
    show(value) {
      const expression = value.startsWith('=');
      ids = expression
        ? []
        : value
            .split(',')
            .map(s => s.trim())
            .filter(Boolean);
      const known = options();
      chosen.replaceChildren(
        ...ids.map(one => {
          const option = known.find(o => o.id === one);
          const name = option ? pick(option) || one : one;
          return h(
            'li',
            { class: option ? '' : 'unknown', title: one },
            option ? name : say('panel.unregistered', { id: one }),
            h(
              'button',
              {
                type: 'button',
                class: 'take-away',
                'aria-label': say('panel.remove', { name }),
                onclick: () => {
                  commit(ids.filter(i => i !== one).join(','));
                  select.focus();
                },
              },
              '×',
            ),
          );
        }),
      );
      const offered = known.filter(o => !ids.includes(o.id));
      const entries = [
        h('option', { value: '' }, ids.length ? say('panel.add.another') : say('panel.add')),
        ...offered.map(o => h('option', { value: o.id }, optionText(o))),
      ];
      if (expressions) entries.push(h('option', { value: TYPE }, say('panel.expression')));
      select.replaceChildren(...entries);
      select.value = '';
      typed.show(expression ? value : '');
      typed.node.hidden = !expression;
    },
  };
}

/** Rows of small fields: `columns` [{name, label, mono, width}]; the value is a list of records. */
export function rowsControl({ id, commit, columns, add, label }) {
  const body = h('div', { class: 'rows-body' });
  const button = h(
    'button',
    {
      type: 'button',
      class: 'tool small',
      id,
      onclick: () => {
        body.append(row({}, body.children.length));
        body.lastElementChild.querySelector('input, select').focus();
      },
    },
    add,
  );
  let shown = '[]';
  const read = () =>
    [...body.children].map(line =>
      Object.fromEntries(
        columns.map(({ name, check }, k) => {
          const field = line.querySelectorAll('[data-column]')[k];
          return [name, check ? field.checked : field.value.trim()];
        }),
      ),
    );
  const done = () => {
    const value = read().filter(record => columns.some(({ name }) => record[name]));
    shown = JSON.stringify(value);
    commit(value);
  };
  function row(record, number) {
    const fields = columns.map(({ name, label: text, mono, check, area }) => {
      const named = `${label} ${number + 1} ${text}`;
      const field = check
        ? h('input', { type: 'checkbox', checked: Boolean(record[name]), 'aria-label': named })
        : h(area ? 'textarea' : 'input', {
            ...(area ? { rows: 1 } : { type: 'text' }),
            class: mono ? 'mono' : '',
            value: record[name] ?? '',
            placeholder: text,
            'aria-label': named,
            autocomplete: 'off',
            spellcheck: false,
          });
      field.dataset.column = name;
      field.addEventListener('change', done);
      return check ? h('label', { class: 'row-check' }, field, text) : field;
    });
    return h(
      'div',
      { class: 'rows-line' },
      h('div', { class: 'rows-fields' }, ...fields),
      h(
        'button',
        {
          type: 'button',
          class: 'take-away',
          'aria-label': say('panel.remove', { name: `${label} ${number + 1}` }),
          onclick: event => {
            event.currentTarget.closest('.rows-line').remove();
            done();
            button.focus();
          },
        },
        '×',
      ),
    );
  }
  return {
    node: h('div', { class: 'rows-control' }, body, button),
    input: button,
    show(value) {
      const text = JSON.stringify(
        value.map(record =>
          Object.fromEntries(
            columns.map(({ name }) => [name, record[name] || (columns.find(c => c.name === name).check ? false : '')]),
          ),
        ),
      );
      if (text === shown) return;
      shown = text;
      body.replaceChildren(...value.map(row));
    },
  };
}
