"""The style of the page: light and dark, narrow and wide, without anything from elsewhere."""

from __future__ import annotations

__all__ = ["STYLE"]

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ink: #1b1f24; --soft: #59626d; --rule: #d9dde2; --faint: #eceff2;
  --wash: #f6f7f9; --ours: #0062a3; --theirs: #b34a00; --good: #0062a3; --bad: #b34a00;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171b; --ink: #e4e7eb; --soft: #9aa4af; --rule: #363c44; --faint: #252a30;
    --wash: #1b1f24; --ours: #6cb6f0; --theirs: #f09a5b; --good: #6cb6f0; --bad: #f09a5b;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 2.5rem 1.25rem 5rem; max-width: 66rem;
  background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
  font-variant-numeric: tabular-nums;
}
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .3rem; letter-spacing: -.015em; }
h2 { font-size: 1.25rem; line-height: 1.3; margin: 0 0 .6rem; letter-spacing: -.01em; }
h3 { font-size: 1rem; margin: 2rem 0 .3rem; }
p, ul { max-width: 44rem; margin: .5rem 0 1rem; }
ul { padding-left: 1.2rem; }
li { margin: .25rem 0; }
a { color: var(--ours); text-underline-offset: .15em; }
code { font: .9em ui-monospace, "SF Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
pre { margin: .5rem 0 1rem; padding: .75rem 1rem; overflow-x: auto; background: var(--wash); }
.lead { font-size: 1.125rem; line-height: 1.6; margin: 1.4rem 0 1.2rem; }
.soft, figcaption, caption { color: var(--soft); }
.soft { font-size: .9rem; }
.good { color: var(--good); }
.bad { color: var(--bad); font-weight: 600; }
.aside { color: var(--soft); font-size: .8125rem; white-space: nowrap; }
strong .aside { font-weight: 400; }
.theirs { color: var(--soft); }
.none { color: var(--soft); font-style: italic; }
nav { margin: 1.5rem 0 0; padding: .7rem 0; border: solid var(--rule); border-width: 1px 0; }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: .15rem 1.2rem; margin: 0;
  padding: 0; max-width: none; font-size: .9rem; }
nav li { margin: 0; }
section { margin-top: 3rem; }
.scroll { overflow-x: auto; margin: 1rem 0 1.5rem; }
.scroll:focus-visible, a:focus-visible { outline: 2px solid var(--ours); outline-offset: 2px; }
table { border-collapse: collapse; font-size: .875rem; line-height: 1.4; min-width: 24rem; }
caption { text-align: left; padding: 0 0 .4rem; position: sticky; left: 0;
  max-width: calc(100vw - 2.5rem); }
th, td { text-align: left; vertical-align: baseline; padding: .3rem .95rem .3rem 0;
  border-top: 1px solid var(--faint); font-weight: 400; }
tbody th { min-width: 7rem; }
tbody th, thead th:first-child { position: sticky; left: 0; background: var(--paper); }
tbody tr.same > * { border-top-color: transparent; padding-top: 0; }
tbody tr:first-child > * { border-top: 0; }
thead th { border: solid var(--rule); border-width: 0 0 1px; color: var(--soft);
  vertical-align: bottom; }
th.n, td.n { text-align: right; }
td.n { white-space: nowrap; }
tr > :last-child { padding-right: .2rem; }
tbody tr:hover > * { background: var(--wash); }
figure { margin: 0; min-width: 0; }
figcaption { font-size: .875rem; line-height: 1.4; margin-bottom: .4rem; }
.plots { display: grid; gap: 1.8rem 1.6rem; margin: 1.2rem 0 1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 25rem), 1fr)); }
.plots figure { max-width: 36rem; }
.broad { max-width: 36rem; margin: 1rem 0; }
svg.plot { display: block; width: 100%; height: auto; overflow: visible;
  font: 12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
svg text { fill: var(--ink); }
svg .tick, svg .label { fill: var(--soft); }
svg .grid { stroke: var(--faint); stroke-width: 1; }
svg .leader { stroke: var(--soft); stroke-width: .75; opacity: .7; }
svg .mark { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 3 3; }
svg text.mark { stroke: none; fill: var(--soft); }
svg .limit { stroke: var(--ink); stroke-width: 1.5; }
svg text.limit { stroke: none; font-weight: 600; }
svg .line { fill: none; stroke: var(--ours); stroke-width: 2; stroke-linejoin: round; }
svg .line.theirs { stroke: var(--theirs); }
svg .line.dash { stroke-dasharray: 6 4; }
svg .line.fine { stroke-dasharray: 2 3; }
svg .dot, svg .best { fill: var(--ours); }
svg .dot.theirs { fill: var(--theirs); }
svg .name.ours { fill: var(--ours); }
svg .name.theirs { fill: var(--theirs); }
svg .frontier { fill: none; stroke: var(--ours); stroke-width: 1.5; opacity: .55; }
svg text.best { fill: var(--ours); }
svg .other { fill: var(--soft); }
svg circle.other { fill: var(--paper); stroke: var(--soft); stroke-width: 1.5; }
svg .bar { stroke-width: 3; stroke: var(--ours); stroke-linecap: round; }
svg .bar.bad { stroke: var(--bad); }
svg .dot.bad { fill: var(--bad); }
svg.flame { display: block; width: 100%; min-width: 40rem; height: auto;
  font: 10px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
svg.flame rect { fill: var(--faint); }
svg.flame .py rect { fill: var(--rule); }
svg.flame .ours rect { fill: var(--ours); }
svg.flame .ours text { fill: var(--paper); }
svg.flame g:hover rect { opacity: .7; }
details { margin: 0 0 1.6rem; }
summary { cursor: pointer; color: var(--soft); font-size: .875rem; }
@media (max-width: 40rem) {
  body { padding: 1.5rem 1rem 3rem; }
  .lead { font-size: 1.05rem; }
  h1 { font-size: 1.5rem; }
  table { font-size: .8125rem; }
  th, td { padding-right: .8rem; }
}
@media print { body { max-width: none; } .scroll { overflow: visible; } }
"""
