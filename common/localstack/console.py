"""A page on which Prometheus itself shows the dashboards, where there is no Grafana: each panel a link to its graph."""

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

RATE_INTERVAL = "1m"
SHOWN = "15m"

PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Gridmesh</title><style>
  body {{ font-family: sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; line-height: 1.4 }}
  dd {{ margin: 0 0 .6em 0; color: #555 }}
</style></head>
<body>
<h1>Gridmesh</h1>
<p>The panels of the dashboards, each as a graph of Prometheus. <a href="/alerts">Alerts</a>,
<a href="/targets">who is asked for figures</a>.</p>
{dashboards}
</body>
</html>
"""


def page(folder: Path) -> str:
    """The page, as a template of Prometheus, of the dashboards in a folder; their order is that of their names."""
    found = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    return PAGE.format(dashboards="\n".join(_dashboard(each) for each in found))


def graph(expressions: Sequence[str]) -> str:
    """The path of a page on which Prometheus draws some expressions, of Grafana's variables the widest choice."""
    fields: dict[str, str] = {}
    for number, expression in enumerate(expressions):
        fields |= {
            f"g{number}.expr": expression.replace("$__rate_interval", RATE_INTERVAL).replace("$region", ".*"),
            f"g{number}.tab": "0",
            f"g{number}.range_input": SHOWN,
        }
    return f"/graph?{urlencode(fields)}"


def _dashboard(dashboard: Mapping[str, Any]) -> str:
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    lines = [f"<h2>{escape(dashboard['title'])}</h2>", f"<p>{escape(dashboard['description'])}</p>", "<dl>"]
    lines += [_panel(panel) for panel in panels]
    return "\n".join((*lines, "</dl>"))


def _panel(panel: Mapping[str, Any]) -> str:
    link = graph([target["expr"] for target in panel["targets"]])
    return f'<dt><a href="{escape(link)}">{escape(panel["title"])}</a></dt><dd>{escape(panel["description"])}</dd>'
