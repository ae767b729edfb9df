"""How the page looks: at every width, in light and dark, without anything from elsewhere."""

STYLE = """
:root { color-scheme: light dark; --back: #fff; --text: #1d2733; --faint: #5b6672; --edge: #d5dbe1;
  --measured: #0b62a8; --estimated: #a85a00; --second: #4d7c0f; --promised: #6b7280;
  --limit: #b4232a; --release: #6d3fc0; --alarm: #d1242f; --panel: #f6f8fa; }
@media (prefers-color-scheme: dark) { :root { --back: #12171d; --text: #dfe6ee; --faint: #9aa7b4;
  --edge: #36414d; --measured: #6cb6ff; --estimated: #f0a35e; --second: #a3d15c;
  --promised: #9aa7b4; --limit: #ff8a8a; --release: #c0a2ff; --alarm: #ff6b6b; --panel: #1a222b; } }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back);
  max-width: 76rem; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: .25rem 0; } h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; }
p { margin: .4rem 0; max-width: 60rem; } a { color: var(--measured); }
.faint, figcaption, .none { color: var(--faint); } .bad { color: var(--alarm); font-weight: 600; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .6rem;
  margin: 1rem 0; }
dl div { background: var(--panel); border: 1px solid var(--edge); border-radius: .5rem;
  padding: .6rem .8rem; }
dt { color: var(--faint); font-size: .85rem; } dd { margin: 0; font-size: 1.05rem; }
dd small { display: block; color: var(--faint); }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr));
  gap: 1.25rem; }
.inputs { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 10rem), 1fr));
  gap: .75rem; }
figure { margin: 0; min-width: 0; border: 1px solid var(--edge); border-radius: .5rem;
  padding: .7rem .8rem .5rem; }
figcaption { font-size: .9rem; } figcaption b { color: var(--text); font-size: 1rem; }
.small figcaption b { font-size: .8rem; overflow-wrap: anywhere; }
.small { display: flex; flex-direction: column; justify-content: space-between; }
.legend { display: flex; flex-wrap: wrap; gap: .15rem .9rem; list-style: none; margin: .4rem 0 0;
  padding: 0; font-size: .8rem; }
.legend svg { width: 28px; height: 10px; margin-right: .35rem; overflow: visible; }
.plot { display: grid; grid-template-columns: 3.2rem 1fr; padding-top: 1.2rem; }
.small .plot { padding-top: .4rem; grid-template-columns: 2.6rem 1fr; }
.area { position: relative; height: 12rem; } .small .area { height: 4rem; }
.area svg { position: absolute; inset: 0; width: 100%; height: 100%; overflow: visible; }
.y { position: relative; font-size: .72rem; color: var(--faint); }
.y span { position: absolute; right: .4rem; transform: translateY(-50%); white-space: nowrap; }
.x { grid-column: 2; position: relative; height: 1.3rem; font-size: .72rem; color: var(--faint); }
.x span { position: absolute; top: .2rem; transform: translateX(-50%); white-space: nowrap; }
.x .first { transform: translateX(-15%); }
.name { position: absolute; top: -1.15rem; transform: translateX(-50%); font-size: .72rem;
  color: var(--release); white-space: nowrap; }
svg path, svg polygon { vector-effect: non-scaling-stroke; fill: none; }
.grid { stroke: var(--edge); stroke-width: 1; } .zero { stroke: var(--faint); }
.line { stroke-width: 2; stroke-linejoin: round; }
.dot { stroke-width: 7; stroke-linecap: round; } .small .dot { stroke-width: 5; }
.measured { stroke: var(--measured); } .second { stroke: var(--second); }
.estimated { stroke: var(--estimated); } .line.estimated { stroke-dasharray: 6 4; }
.promised { stroke: var(--promised); stroke-width: 1.5; }
.limit { stroke: var(--limit); stroke-width: 1.5; stroke-dasharray: 2 3; }
.bar { stroke-width: 11; stroke-opacity: .3; } .bar.estimated { stroke-width: 4; }
svg .band { stroke: none; } .band.measured { fill: var(--measured); fill-opacity: .2; }
.band.estimated { fill: var(--estimated); fill-opacity: .16; }
.band.second { fill: var(--second); fill-opacity: .18; }
path.release { stroke: var(--release); stroke-width: 1.5; stroke-dasharray: 8 3; }
path.alarm { stroke: var(--alarm); stroke-width: 2; stroke-opacity: .75; }
path.many { stroke-width: 1; stroke-opacity: .35; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: .85rem; width: 100%; }
th, td { text-align: left; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--edge);
  vertical-align: top; overflow-wrap: normal; } th { white-space: nowrap; }
td.prose { min-width: 15rem; overflow-wrap: anywhere; }
details { margin: 1rem 0; } summary { cursor: pointer; }
"""
