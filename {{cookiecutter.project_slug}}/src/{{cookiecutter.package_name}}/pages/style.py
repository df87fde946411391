"""The look of every page: in the dark, on paper and on a phone too."""

STYLE = """
:root { color-scheme: light dark; --paper: #fbfbf9; --card: #fff; --ink: #1d2125; --quiet: #697077; --rule: #e3e3de;
  --mark: #2f6db5; --v0: #2f6db5; --v1: #7c5cc4; --v2: #1d8a84; --band: #2f6db522;
  --good: #1a7f4b; --good-paper: #e4f4ea; --soon: #8a6100; --soon-paper: #fdf2d3; --bad: #b3261e; --bad-paper: #fbe5e3 }
@media (prefers-color-scheme: dark) { :root { --paper: #14171a; --card: #1c2024; --ink: #e6e8ea; --quiet: #98a1aa;
  --rule: #2e343a; --mark: #6ea8f0; --v0: #6ea8f0; --v1: #b39df0; --v2: #4fc4bc; --band: #6ea8f026;
  --good: #5fd08f; --good-paper: #16301f; --soon: #e8bd55; --soon-paper: #352a0f;
  --bad: #ff8f85; --bad-paper: #3d1b18 } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1.2rem 1rem 2rem; max-width: 66rem; background: var(--paper); color: var(--ink);
  font: .94rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif;
  overflow-wrap: anywhere }
header { padding: 1rem 1.2rem; border-radius: 10px; border-left: 6px solid }
header.good { background: var(--good-paper); border-color: var(--good) }
header.soon { background: var(--soon-paper); border-color: var(--soon) }
header.bad { background: var(--bad-paper); border-color: var(--bad) }
header .where { margin: 0; color: var(--quiet) }
h1 { margin: .1rem 0 0; font-size: 1.3rem; font-weight: 500; line-height: 1.35 }
.verdict { font-weight: 750 }
.good .verdict { color: var(--good) } .soon .verdict { color: var(--soon) } .bad .verdict { color: var(--bad) }
h2 { margin: 0 0 .5rem; font-size: 1rem } h3 { margin: 0 0 .3rem; font-size: .92rem }
.quiet, figcaption, footer { color: var(--quiet); font-size: .82rem }
section, figure, details { background: var(--card); border: 1px solid var(--rule); border-radius: 10px;
  padding: .9rem 1.1rem; margin: 1rem 0 0 }
.columns { display: grid; grid-template-columns: minmax(0, 1fr) 20rem; gap: 0 1rem }
.plots { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 0 1rem }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .25rem .9rem; margin: 0 }
dt { color: var(--quiet) } dd { margin: 0 }
.todo { list-style: none; margin: 0; padding: 0 }
.todo li { display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: .15rem 1rem; align-items: baseline;
  padding: .25rem 0 .25rem .8rem; border-left: 3px solid var(--rule); margin: .5rem 0 }
.todo .quiet { grid-column: 1 / -1 }
.todo li.bad { border-color: var(--bad) } .todo li.soon { border-color: var(--soon) }
.todo li.bad b { color: var(--bad) } .todo li.soon b { color: var(--soon) }
code { font: .86rem ui-monospace, "SF Mono", Menlo, "Liberation Mono", monospace; background: var(--paper);
  border: 1px solid var(--rule); border-radius: 5px; padding: .1rem .4rem; white-space: nowrap;
  overflow-x: auto; max-width: 100% }
.calendar { display: grid; grid-template-columns: repeat(7, minmax(0, 1fr)); gap: 4px; text-align: center }
.calendar [title] {
  display: grid; grid-template-columns: 1fr 1fr; align-items: center; border-radius: 5px;
  padding: .22rem .1rem }
.calendar i { font-style: normal; font-size: .74rem; opacity: .75 }
.calendar .good { background: var(--good-paper); color: var(--good) }
.calendar .soon { background: var(--soon-paper); color: var(--soon) }
.calendar .bad { background: var(--bad-paper); color: var(--bad); outline: 1px solid }
svg { display: block; width: 100%; height: auto; font-size: 12px }
svg text { fill: var(--quiet) } svg .left { text-anchor: end } svg .below { text-anchor: middle }
svg .grid { stroke: var(--rule) } svg .band { fill: var(--band) }
svg .mark { fill: var(--mark) } svg .v0 { fill: var(--v0) } svg .v1 { fill: var(--v1) } svg .v2 { fill: var(--v2) }
span.v0 { color: var(--v0) } span.v1 { color: var(--v1) } span.v2 { color: var(--v2) }
svg .bad { fill: var(--bad) } svg .cross { stroke: var(--bad); stroke-width: 2; fill: none }
svg .thread { stroke: var(--mark); stroke-width: 1; opacity: .5; fill: none }
svg .baseline { stroke: var(--quiet); stroke-width: 1.5; stroke-dasharray: 5 4; fill: none }
summary { cursor: pointer; font-weight: 600 }
.wide { overflow-x: auto; margin-top: .6rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; white-space: nowrap }
th, td { text-align: left; padding: .16rem .9rem .16rem 0; border-top: 1px solid var(--rule) }
th { border: 0; color: var(--quiet); font-weight: 500 } .number { text-align: right }
footer { margin: 1.2rem .2rem 0 }
@media (max-width: 46rem) { .columns, .plots, .todo li { grid-template-columns: minmax(0, 1fr) } svg { font-size: 15px }
  body { padding: .7rem .7rem 1.5rem } section, figure, details { padding: .8rem .9rem } code { font-size: .8rem } }
@media print { :root { --paper: #fff; --card: #fff; --ink: #000; font-size: 11px } body { max-width: none; padding: 0 }
  section, figure, details { break-inside: avoid } * { print-color-adjust: exact; -webkit-print-color-adjust: exact } }
"""
