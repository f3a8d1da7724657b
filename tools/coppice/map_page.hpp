// SPDX-License-Identifier: BSL-1.0
#pragma once
// tools/coppice/map_page.hpp: the page that `coppice map` writes, around its data.
// Owns: markup, style and script. They fetch nothing.
// Invariant: what the data says reaches the page as text (textContent) alone, never as markup.

#include <string_view>

namespace tool {

inline constexpr std::string_view map_page_head = R"page(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
      content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>coppice map</title>
<style>
:root {
  color-scheme: light dark;
  --page: #fbfaf7; --card: #ffffff; --ink: #22261f; --soft: #5d6357; --line: #dcdad2;
  --c0: #6b7280; --c1: #9aa1ab; --c2: #7c3aed; --c3: #2f8f4e; --c4: #155e37; --c5: #2b6cb0;
  --c6: #7c5231; --c7: #ad7443; --c8: #d3985a; --c9: #e9b872; --c10: #b9a5e0; --c11: #e5e2da;
  --c12: #f1efe9;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #171a16; --card: #1f231e; --ink: #e7e9e2; --soft: #a5ab9d; --line: #363b34;
    --c0: #9aa1ab; --c1: #6b7280; --c2: #a78bfa; --c3: #4fb972; --c4: #2c8651; --c5: #5a9fe0;
    --c6: #dba965; --c7: #b88250; --c8: #8f613c; --c9: #68472e; --c10: #6f5f99; --c11: #3a3f38;
    --c12: #262b25;
  }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 70rem; background: var(--page);
  color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 2.25rem 0 .5rem; }
p { margin: .25rem 0; color: var(--soft); }
code, .mono { font-family: ui-monospace, monospace; font-size: .92em; overflow-wrap: anywhere; }
#tiles { display: flex; flex-wrap: wrap; gap: .75rem; margin-top: 1.25rem; }
#tiles div { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: .55rem .9rem; min-width: 8.5rem; flex: 1; }
#tiles b { display: block; font-size: 1.2rem; font-variant-numeric: tabular-nums; }
#tiles span { color: var(--soft); font-size: .85rem; }
#strip { display: flex; height: 1.5rem; border-radius: 6px; overflow: hidden; margin: .5rem 0; }
#map { display: grid; gap: 1px; background: var(--card); border: 1px solid var(--line);
  border-radius: 8px; padding: 8px; outline-offset: 2px; }
#map i { display: block; aspect-ratio: 1; border-radius: 1px; }
#map i.on { outline: 2px solid var(--ink); outline-offset: 1px; z-index: 1; position: relative; }
#map i.dim, #strip i.dim { opacity: .12; }
#detail { min-height: 5.2rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 8px; padding: .6rem .9rem; margin: .5rem 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); }
th { font-weight: 600; color: var(--soft); font-size: .85rem; }
.n { text-align: right; }
.n + td:not(.n), .n + th:not(.n) { padding-left: 1.5rem; }
.swatch { display: inline-block; width: .9rem; height: .9rem; border-radius: 3px;
  vertical-align: -2px; margin-right: .5rem; border: 1px solid var(--line); }
button { all: unset; cursor: pointer; }
button:focus-visible, #map:focus-visible { outline: 2px solid var(--ink); }
button[aria-pressed=true] { font-weight: 700; text-decoration: underline; }
.bars { display: flex; align-items: flex-end; gap: 2px; height: 2.6rem; width: 11rem; }
.bars i { flex: 1; background: var(--c3); border-radius: 1px 1px 0 0; min-height: 1px; }
svg { width: 100%; height: auto; background: var(--card); border: 1px solid var(--line);
  border-radius: 8px; display: block; }
svg text { fill: var(--soft); font: 12px system-ui, sans-serif; }
</style>
</head>
<body>
<header><h1 id="file"></h1><p id="about"></p></header>
<section id="tiles"></section>
<section>
<h2>The file, from its first byte to its last</h2>
<p id="scale"></p>
<div id="strip" aria-hidden="true"></div>
<div id="map" tabindex="0" role="img"></div>
<div id="detail" aria-live="polite"></div>
<table><thead><tr><th>what the bytes are</th><th class="n">bytes</th><th class="n">share</th></tr>
</thead><tbody id="legend"></tbody></table>
</section>
<section>
<h2>The tree</h2>
<p>Each bar: how many nodes of the level are filled to 0-10 %, 10-20 % ... of the size at which a
node is cut.</p>
<table><thead><tr><th>level</th><th class="n">nodes</th><th class="n">bytes</th>
<th class="n">mean fill</th><th>fill</th></tr></thead><tbody id="levels"></tbody></table>
</section>
<section>
<h2>Size over the commits</h2>
<p id="growth"></p>
<svg id="history" viewBox="0 0 1000 260" role="img"></svg>
<p class="mono" id="moment" aria-live="polite"></p>
</section>
<noscript><p>The page draws its data with a script of its own; without it there is only the data,
as JSON in the source.</p></noscript>
<script type="application/json" id="data">)page";

inline constexpr std::string_view map_page_tail = R"page(</script>
<script>
'use strict';
const data = JSON.parse(document.getElementById('data').textContent);
const names = ['file header', 'superblock slots', 'newest commit record', 'live leaf',
  'live inner node', 'live value out of line', 'garbage, newest quarter of the commits',
  'garbage, second quarter', 'garbage, third quarter', 'garbage, oldest quarter',
  'older commit record', 'gap', 'behind the newest commit'];
const at = id => document.getElementById(id);
const make = (tag, text, parent, kind) => {
  const made = document.createElement(tag);
  if (text !== '') made.textContent = text;
  if (kind) made.className = kind;
  if (parent) parent.append(made);
  return made;
};
const number = n => n.toLocaleString('en');
const plural = (n, one) => number(n) + ' ' + one + (n === 1 ? '' : 's');
const size = n => {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  while (n >= 1024 && unit < 4) { n /= 1024; ++unit; }
  return (unit ? n.toFixed(n < 10 ? 2 : 1) : n) + ' ' + units[unit];
};
const share = (part, all) => (all ? 100 * part / all : 0).toFixed(1) + ' %';

const totals = new Array(names.length).fill(0);
for (const cell of data.cells) {
  for (let i = 0; i < cell.b.length; i += 2) totals[cell.b[i]] += cell.b[i + 1];
}
const sum = (from, to) => totals.slice(from, to).reduce((a, b) => a + b, 0);
const live = sum(0, 6), garbage = sum(6, 12);

document.title = data.file + ' - coppice map';
at('file').textContent = data.file;
at('about').textContent = 'Commit ' + number(data.commit) + ' of ' + data.time;
for (const [value, label] of [[size(data.file_bytes), 'file'],
    [size(live), 'live, ' + share(live, data.file_bytes)],
    [size(garbage), 'garbage, ' + share(garbage, data.file_bytes)],
    [number(data.entries), 'entries'], [number(data.commits), 'commits'],
    [number(data.levels.length), 'levels']]) {
  const tile = make('div', '', at('tiles'));
  make('b', value, tile);
  make('span', label, tile);
}

at('scale').textContent = 'Each square is ' + size(data.cell_bytes) +
  '. Point at one, or use the arrow keys; choose a line of the table to see where it is.';
const fill = b => {
  let all = 0, from = 0;
  for (let i = 1; i < b.length; i += 2) all += b[i];
  const stops = [];
  for (let i = 0; i < b.length; i += 2) {
    const to = from + 100 * b[i + 1] / all;
    stops.push(`var(--c${b[i]}) ${from}% ${to}%`);
    from = to;
  }
  return b.length === 2 ? `var(--c${b[0]})` : `linear-gradient(to right, ${stops.join(', ')})`;
};
const map = at('map');
const pixels = data.cells.length > 1500 ? 10 : data.cells.length > 500 ? 14 : 20;
map.style.gridTemplateColumns = `repeat(auto-fill, minmax(${pixels}px, 1fr))`;
map.setAttribute('aria-label', 'The file as ' + plural(data.cells.length, 'square') + ': ' +
  names.map((name, i) => name + ' ' + share(totals[i], data.file_bytes)).join(', '));
const squares = data.cells.map(cell => {
  const square = make('i', '', map);
  square.style.background = fill(cell.b);
  return square;
});
let chosen = -1;
const choose = index => {
  if (index < 0 || index >= squares.length) return;
  if (chosen >= 0) squares[chosen].classList.remove('on');
  chosen = index;
  squares[index].classList.add('on');
  const cell = data.cells[index], from = index * data.cell_bytes;
  const detail = at('detail');
  detail.replaceChildren();
  const to = Math.min(from + data.cell_bytes, data.file_bytes);
  make('b', 'Bytes ' + number(from) + ' to ' + number(to - 1), detail);
  const parts = [];
  for (let i = 0; i < cell.b.length; i += 2) {
    parts.push(names[cell.b[i]] + ' ' + size(cell.b[i + 1]));
  }
  make('div', parts.join(', '), detail);
  const more = [];
  if (cell.c) {
    more.push(cell.c[0] === cell.c[1] ? 'written by commit ' + number(cell.c[0])
      : 'written by commits ' + number(cell.c[0]) + ' to ' + number(cell.c[1]));
  }
  if (cell.n) more.push(plural(cell.n, 'live node') + (cell.n === 1 ? ' begins' : ' begin'));
  if (more.length) make('div', more.join('; '), detail);
  if (cell.k !== undefined) {
    make('code', cell.k, make('div', 'first key of the first leaf: ', detail));
  }
};
map.addEventListener('mouseover', e => {
  const index = squares.indexOf(e.target);
  if (index >= 0) choose(index);
});
map.addEventListener('click', e => choose(squares.indexOf(e.target)));
map.addEventListener('keydown', e => {
  const columns = getComputedStyle(map).gridTemplateColumns.split(' ').length;
  const step = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns}[e.key];
  if (!step) return;
  e.preventDefault();
  choose(chosen < 0 ? 0 : chosen + step);
});
at('detail').textContent = 'Point at a square to see what is there.';

let lit = -1;
const light = index => {
  lit = lit === index ? -1 : index;
  const dark = b => lit >= 0 && !b.some((value, i) => i % 2 === 0 && value === lit);
  squares.forEach((square, i) => square.classList.toggle('dim', dark(data.cells[i].b)));
  strips.forEach((part, i) => part.classList.toggle('dim', lit >= 0 && i !== lit));
  buttons.forEach((button, i) => button && button.setAttribute('aria-pressed', i === lit));
};
const strips = names.map((name, i) => {
  const part = make('i', '', at('strip'));
  part.style.cssText = `background: var(--c${i}); flex: ${totals[i] / data.file_bytes} 0 0`;
  return part;
});
const buttons = names.map((name, i) => {
  if (!totals[i]) return null;
  const row = make('tr', '', at('legend'));
  const button = make('button', '', make('td', '', row));
  make('span', '', button, 'swatch').style.background = `var(--c${i})`;
  button.append(name);
  button.setAttribute('aria-pressed', 'false');
  button.addEventListener('click', () => light(i));
  make('td', number(totals[i]), row, 'n');
  make('td', share(totals[i], data.file_bytes), row, 'n');
  return button;
});

data.levels.map((level, depth) => [level, depth]).reverse().forEach(([level, depth]) => {
  const row = make('tr', '', at('levels'));
  make('td', depth === 0 ? 'leaves' : 'inner, level ' + depth, row);
  make('td', number(level.nodes), row, 'n');
  make('td', number(level.bytes), row, 'n');
  const full = data.node_bytes[depth === 0 ? 0 : 1] * level.nodes;
  make('td', share(level.bytes, full), row, 'n');
  const bars = make('div', '', make('td', '', row), 'bars');
  bars.setAttribute('role', 'img');
  bars.setAttribute('aria-label', 'nodes by tenths of fill: ' + level.fill.join(', '));
  const most = Math.max(...level.fill);
  level.fill.forEach((count, i) => {
    const bar = make('i', '', bars);
    bar.style.height = (100 * count / most) + '%';
    bar.title = plural(count, 'node') + ' filled to ' + i * 10 + '-' + (i + 1) * 10 + ' %';
  });
});

const points = data.history; // commit, time, entries, live bytes, end
const plot = {left: 70, right: 985, top: 15, bottom: 225};
const highest = Math.max(...points.map(p => p[4]));
const first = points[0][0], last = points[points.length - 1][0];
const x = p => first === last ? plot.right
  : plot.left + (plot.right - plot.left) * (p[0] - first) / (last - first);
const y = bytes => plot.bottom - (plot.bottom - plot.top) * bytes / highest;
const svg = at('history');
const draw = (tag, attributes, text) => {
  const made = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text) made.textContent = text;
  svg.append(made);
  return made;
};
const area = (of, colour) => {
  const line = points.map(p => `${x(p).toFixed(1)},${y(of(p)).toFixed(1)}`);
  const begin = first === last ? plot.left : x(points[0]);
  if (first === last) line.unshift(`${begin},${y(of(points[0])).toFixed(1)}`);
  draw('path', {d: `M${begin},${plot.bottom} L${line.join(' L')} L${plot.right},${plot.bottom} Z`,
    fill: `var(${colour})`});
};
area(p => p[4], '--c8');
area(p => p[3], '--c3');
for (let i = 0; i <= 4; ++i) {
  const bytes = highest * i / 4;
  draw('line', {x1: plot.left, x2: plot.right, y1: y(bytes), y2: y(bytes), stroke: 'var(--line)'});
  draw('text', {x: plot.left - 8, y: y(bytes) + 4, 'text-anchor': 'end'}, size(bytes));
}
draw('text', {x: plot.left, y: 247}, 'commit ' + number(first));
draw('text', {x: plot.right, y: 247, 'text-anchor': 'end'}, 'commit ' + number(last));
const growth = 'What each commit reaches (green, below), and what else the file held at its end ' +
  '(brown, above): from ' + size(points[0][4]) + ' to ' + size(points[points.length - 1][4]) + '.';
at('growth').textContent = growth;
svg.setAttribute('aria-label', growth);
const mark = draw('line', {y1: plot.top, y2: plot.bottom, x1: -9, x2: -9, stroke: 'var(--ink)'});
svg.addEventListener('mousemove', e => {
  const box = svg.getBoundingClientRect();
  const place = 1000 * (e.clientX - box.left) / box.width;
  const p = points.reduce((a, b) => Math.abs(x(b) - place) < Math.abs(x(a) - place) ? b : a);
  mark.setAttribute('x1', x(p));
  mark.setAttribute('x2', x(p));
  at('moment').textContent = `commit ${number(p[0])}, ${p[1]}: ${number(p[2])} ` +
    `${p[2] === 1 ? 'entry' : 'entries'}, reaches ${size(p[3])} of ${size(p[4])}`;
});
</script>
</body>
</html>
)page";

} // namespace tool
