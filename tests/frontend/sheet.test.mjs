/** Tables from spreadsheets: read as people have them, told where they cannot be, and written so that none becomes a formula. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode, parse, read, write } from '../../web/frontend/src/sheet.js';

const COLUMNS = [
  { key: 'clause_no', labels: ['条款', 'Clause'], kind: 'text', longest: 10 },
  { key: 'requirement', labels: ['招标要求', 'Requirement'], kind: 'text' },
  {
    key: 'direction',
    labels: ['偏离', 'Deviation'],
    kind: 'choice',
    options: [
      { value: 'none', label: '无偏离' },
      { value: 'negative', label: '负偏离' },
    ],
  },
  { key: 'is_star', labels: ['★ 条款', 'Starred'], kind: 'checkbox' },
  { key: 'score', labels: ['分值', 'Score'], kind: 'number' },
  { key: 'due', labels: ['期限', 'Due'], kind: 'date' },
];
const all = text => read(parse(text), COLUMNS);

test('a paste has tabs, and cells in quotes with line ends and quotes', () => {
  assert.deepEqual(parse('4.1\t"两行\n说 ""是"""\r\n4.2\t无,逗号\r\n'), [
    ['4.1', '两行\n说 "是"'],
    ['4.2', '无,逗号'],
  ]);
});

test('a file has commas, or semicolons, and may end without a line end', () => {
  assert.deepEqual(parse('\uFEFFa,"b,c",d'), [['a', 'b,c', 'd']]);
  assert.deepEqual(parse('a;b\n"x,y";2'), [['a', 'b'], ['x,y', '2']]);
});

test('files are UTF-8, UTF-16 with its mark, or GB18030', () => {
  assert.equal(decode(new TextEncoder().encode('条款')), '条款');
  assert.equal(decode(Uint8Array.from([0xff, 0xfe, 0x61, 0x67])), '条'.replace('条', '\u6761'));
  assert.equal(decode(Uint8Array.from([0xcc, 0xf5, 0xbf, 0xee])), '条款');
});

test('columns are found by Chinese label, English label or key, in any order', () => {
  const { rows, byHeading, problems } = all('偏离 * \tscore\tCLAUSE\n负偏离\t1,200\t4.2\n');

  assert.equal(byHeading, true);
  assert.deepEqual(rows, [{ direction: 'negative', score: '1200', clause_no: '4.2' }]);
  assert.deepEqual(problems, []);
});

test('without names of columns they are taken in order, and blank lines are passed over', () => {
  const { rows, byHeading } = all('4.1\t双机热备\t无偏离\t是\t20\t2026年3月5日\n\n4.2\t接口\tnone\t否\t3.5\t2026/3/6\n');

  assert.equal(byHeading, false);
  assert.deepEqual(rows, [
    { clause_no: '4.1', requirement: '双机热备', direction: 'none', is_star: true, score: '20', due: '2026-03-05' },
    { clause_no: '4.2', requirement: '接口', direction: 'none', is_star: false, score: '3.5', due: '2026-03-06' },
  ]);
});

test('what cannot be read is told with line, column and why; the rest of its row is kept', () => {
  const { rows, problems } = all('条款,偏离,★ 条款,分值,期限,备注\n4.1,大概,也许,十,2026-02-30,x\n12345678901,无偏离,,,,\n');

  assert.deepEqual(rows, [{ clause_no: '4.1' }, { direction: 'none' }]);
  assert.deepEqual(
    problems.map(p => [p.row, p.column, p.why]),
    [
      [1, '备注', 'sheet.no.column'],
      [2, '偏离', 'sheet.choice'],
      [2, '★ 条款', 'sheet.yes.no'],
      [2, '分值', 'sheet.number'],
      [2, '期限', 'sheet.date'],
      [3, '条款', 'sheet.long'],
    ],
  );
});

test('a column named twice, a cell beyond the last and a row too many are told', () => {
  assert.deepEqual(all('条款,条款\n1,2').problems.map(p => p.why), ['sheet.twice']);
  assert.deepEqual(all('1,a,无偏离,是,2,2026-01-01,zu viel').problems.map(p => [p.row, p.column, p.why]), [[1, '7', 'sheet.beyond']]);
  const { rows, problems } = read(parse('条款\n1\n2\n3'), COLUMNS, 2);
  assert.equal(rows.length, 2);
  assert.deepEqual(problems.map(p => [p.row, p.why]), [[4, 'sheet.too.many']]);
});

test('nothing gives nothing', () => {
  for (const text of ['', '\n\n', '\t\t\n', '条款\t偏离']) assert.deepEqual(all(text).rows, [], JSON.stringify(text));
});

test('a cell that begins like a formula is guarded when written, and comes back as it was', () => {
  const formulas = ['=1+1', '+1', '-1', '@SUM(A1)'];
  const text = write([['招标要求'], ...formulas.map(f => [f])]);

  assert.equal(text, "\uFEFF招标要求\r\n'=1+1\r\n'+1\r\n'-1\r\n'@SUM(A1)\r\n");
  assert.deepEqual(all(text).rows.map(r => r.requirement), formulas);
});

test('commas, quotes and line ends survive being written and read', () => {
  const cells = ['a,b', 'say "so"', '两行\n文字', ' x '];

  assert.deepEqual(parse(write([cells])), [cells.map(c => c.trim())]);
});
