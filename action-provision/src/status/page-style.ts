/** The style of the status page: colours by the reader's own choice of light or dark. */
export const PAGE_STYLE = `
:root{--bg:#fff;--panel:#f6f7f9;--line:#dcdfe4;--text:#1b1f24;--soft:#5a6470;--bar:#3b74d6;--bad:#c0262d;--warn:#8a5a00;--good:#1a7437;--hover:#eef3fc}
@media (prefers-color-scheme:dark){:root{--bg:#0f1216;--panel:#181c22;--line:#2b313a;--text:#e6e9ed;--soft:#98a2ae;--bar:#5b93ee;--bad:#ff7b80;--warn:#e3b341;--good:#56c271;--hover:#1d2530}}
*{box-sizing:border-box}
body{margin:0;padding:1.25rem clamp(.75rem,3vw,2.5rem);background:var(--bg);color:var(--text);font:15px/1.45 system-ui,sans-serif}
h1{margin:0;font-size:1.5rem}h2{margin:0 0 .5rem;font-size:1rem}
header p{margin:.2rem 0 1rem;color:var(--soft)}
code{font:13px ui-monospace,monospace}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.75rem}
.card,.chart{background:var(--panel);border:1px solid var(--line);border-radius:8px;padding:.75rem 1rem}
.card b{display:block;font-size:1.6rem;line-height:1.2}.card span{color:var(--soft)}
.card.bad b,.bad{color:var(--bad)}.card.warn b,.warn{color:var(--warn)}.card.good b{color:var(--good)}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(22rem,100%),1fr));gap:.75rem;margin:.75rem 0}
.chart ul{list-style:none;margin:0;padding:0}
.chart li{display:grid;grid-template-columns:minmax(6rem,14rem) 1fr 4rem;gap:.6rem;align-items:center;padding:.1rem 0}
.label{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}.count{text-align:right;font-variant-numeric:tabular-nums}
.bar{height:.6rem;border-radius:3px;background:var(--line);overflow:hidden}.bar i{display:block;height:100%;background:var(--bar)}
.gap{color:var(--soft);margin:.25rem 0}
.tools{display:flex;flex-wrap:wrap;gap:1rem;align-items:center;margin:1rem 0 .5rem}
input{font:inherit;color:inherit;background:var(--panel);border:1px solid var(--line);border-radius:6px;padding:.4rem .6rem;width:min(24rem,70vw)}
output{color:var(--soft)}
.scroll{overflow-x:auto;border:1px solid var(--line);border-radius:8px}
table{font-size:14px;border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.3rem .55rem;border-bottom:1px solid var(--line);white-space:nowrap;max-width:22rem;overflow:hidden;text-overflow:ellipsis}
th{background:var(--panel);padding:0}
th button{all:unset;display:block;width:100%;box-sizing:border-box;padding:.45rem .55rem;cursor:pointer;font-weight:600}
th button:focus-visible,input:focus-visible{outline:2px solid var(--bar);outline-offset:-2px}
tbody tr:hover{background:var(--hover)}
td.number,th.number button{text-align:right}
small{color:var(--soft);display:block}
`;
