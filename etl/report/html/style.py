"""Style sheet of the page, for light and dark, wide and narrow screens, and for print."""

from __future__ import annotations

import base64
import hashlib

CSS = """
:root{color-scheme:light dark;--paper:#f6f7f9;--card:#fff;--ink:#1a2230;--soft:#566173;--line:#dfe3ea;--good:#0b7a4b;
--warn:#94600a;--bad:#b3261e;--good-back:#e3f4ec;--warn-back:#fdf1da;--bad-back:#fce8e6;--one:#2563c9;
--link:#1d4fa8;--faint:#eef1f5}
@media (prefers-color-scheme:dark){:root{--paper:#10151d;--card:#181f2a;--ink:#e6eaf1;--soft:#9aa6b8;--line:#2c3646;
--good:#5fd3a0;--warn:#f0b95a;--bad:#ff8f85;--good-back:#12342a;--warn-back:#3a2c10;--bad-back:#41201e;--one:#6ea4ff;
--link:#8fb8ff;--faint:#202938}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,
"Noto Sans","Helvetica Neue",Arial,sans-serif}
main,header,footer{max-width:1120px;margin:0 auto;padding:0 20px}
header{padding-top:28px}
h1{font-size:26px;line-height:1.2;margin:0 0 4px}
h2{font-size:18px;margin:0 0 4px}
h3{font-size:15px;margin:0}
p{margin:4px 0 0}
section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:18px 20px;margin:18px 0}
.soft{color:var(--soft)}
.small{font-size:13px}
nav ul{display:flex;flex-wrap:wrap;gap:4px 18px;margin:10px 0 0;padding:0;list-style:none;font-size:14px}
a{color:var(--link)}
:target{background:var(--faint);outline:3px solid var(--link);outline-offset:3px;border-radius:4px}
section:target{background:var(--card);outline-width:1px;outline-offset:0;border-radius:10px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:18px 0 0;padding:0;
list-style:none}
.tiles li{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px 14px}
.tiles b{display:block;font-size:22px;line-height:1.25;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
.tiles span{color:var(--soft);font-size:13px}
.chip{display:inline-block;border-radius:999px;padding:1px 9px;font-size:13px;font-weight:600;white-space:nowrap;
background:var(--faint);color:var(--soft)}
.chip.good{background:var(--good-back);color:var(--good)}
.chip.warn{background:var(--warn-back);color:var(--warn)}
.chip.bad{background:var(--bad-back);color:var(--bad)}
.items{list-style:none;margin:10px 0 0;padding:0}
.items>li{border-left:4px solid var(--line);padding:8px 0 10px 14px;margin:12px 0 0}
.items>li.bad{border-color:var(--bad)}
.items>li.warn{border-color:var(--warn)}
.items>li.note{border-color:var(--soft)}
.items ul{margin:6px 0 0;padding-left:18px}
.items li{overflow-wrap:anywhere}
code{font:13px/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace;background:var(--faint);
border-radius:4px;padding:1px 5px;overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%;margin-top:10px;font-size:14px}
th,td{text-align:left;padding:6px 10px 6px 0;border-bottom:1px solid var(--line);vertical-align:top}
thead th{color:var(--soft);font-weight:600;font-size:13px;white-space:nowrap}
tbody th{font-weight:400}
tbody th,td{overflow-wrap:anywhere}
.unbroken{white-space:nowrap}
th.figure,td.figure{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
th.figure+th:not(.figure),td.figure+td:not(.figure){padding-left:14px}
tbody tr:last-child>*{border-bottom:0}
tr>:last-child{padding-right:0}
small{display:block;color:var(--soft);font-size:13px}
.split{display:grid;grid-template-columns:repeat(auto-fit,minmax(360px,1fr));gap:0 40px}
.split thead th,.split thead th.figure{white-space:normal}
.split>div{min-width:0}
.split h3{margin-top:18px}
svg{display:block}
.chart{margin-top:10px}
.chart svg{max-width:100%;margin-top:3px;border-bottom:1px solid var(--line);overflow:hidden}
.chart .gap{stroke:var(--soft);stroke-width:1;stroke-dasharray:2 3;vector-effect:non-scaling-stroke}
.one{fill:var(--one)}
.year{width:100%;margin-top:10px;background:var(--faint);border-radius:6px}
.year text{font-size:9px;fill:var(--soft)}
.dot{fill:var(--soft)}
.cross{stroke:var(--bad);stroke-width:2;fill:none}
.key{display:flex;flex-wrap:wrap;gap:4px 18px;margin:8px 0 0;padding:0;list-style:none;font-size:13px;color:var(--soft)}
.key svg{display:inline-block;margin-right:6px;vertical-align:-2px}
.lines{margin:4px 0 10px;padding-left:18px;font-size:14px}
section>div>h3{margin-top:12px}
.lines li{overflow-wrap:anywhere}
.spark{width:96px;height:20px}
.meter{width:100%;min-width:60px;height:8px;margin-top:7px}
.meter .back{fill:var(--faint)}
footer{padding-bottom:32px;color:var(--soft);font-size:13px}
@media (max-width:680px){
main,header,footer{padding-left:12px;padding-right:12px}
section{padding:14px}
.tiles{grid-template-columns:repeat(2,1fr);gap:8px}
.split{grid-template-columns:minmax(0,1fr)}
th,td{padding-right:7px}
thead th,thead th.figure{font-size:12px;white-space:normal;overflow-wrap:normal}
}
@media screen and (max-width:880px){
table.cards thead{display:none}
table.cards,table.cards tbody,table.cards tr,table.cards th,table.cards td{display:block;width:100%}
table.cards tr{border-bottom:1px solid var(--line);padding:10px 0}
table.cards tr:last-child{border-bottom:0}
table.cards th,table.cards td,table.cards .figure{border:0;padding:1px 0;text-align:left;white-space:normal}
table.cards th{font-weight:600}
table.cards td::before{content:attr(data-label) " ";color:var(--soft);font-size:13px}
table.cards td.figure{display:inline-block;width:auto;margin-right:16px}
table.cards td.figure+td:not(.figure){padding-left:0}
table.cards td.blank{display:none}
table.cards td small{display:inline-block;margin-left:6px}
table.cards td div{display:inline}
table.cards td div+div::before{content:", "}
table.cards td .spark{display:inline-block;vertical-align:middle}
th small{font-weight:400}
}
@media (max-width:360px){
main,header,footer{padding-left:6px;padding-right:6px}
section{padding:10px 8px}
table{font-size:12px}
thead th,thead th.figure{font-size:11px}
th,td{padding-right:4px}
}
@media print{
:root{color-scheme:light;--paper:#fff;--card:#fff;--ink:#000;--soft:#444;--line:#bbb;--good:#0b7a4b;--warn:#7a4d00;
--bad:#9b1c15;--good-back:#fff;--warn-back:#fff;--bad-back:#fff;--one:#2563c9;--link:#000;
--faint:#eee}
body{font-size:11pt}
table,small{font-size:8.5pt}
th,td{padding-right:6px}
thead th,thead th.figure{font-size:8pt;white-space:normal}
main,header,footer{max-width:none;padding:0}
section{border:0;padding:0;margin:14pt 0}
nav{display:none}
h2,h3,tr,.items>li,.tiles,svg{break-inside:avoid}
h2,h3{break-after:avoid}
thead{display:table-header-group}
.chip{border:1px solid currentColor}
svg,.chip{-webkit-print-color-adjust:exact;print-color-adjust:exact}
}
@page{margin:14mm}
"""


def policy() -> str:
    """Content-Security-Policy of the page: it allows this style sheet, by its digest, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(CSS.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
