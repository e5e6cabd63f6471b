"""The variables of a dashboard, filled in: what Grafana makes of a query before it is asked."""

import re
from collections.abc import Callable, Mapping
from typing import Any

VARIABLE = re.compile(r"\$\{?([A-Za-z_]\w*)\}?")
LABEL_VALUES = re.compile(r"label_values\((?P<series>.+), (?P<label>\w+)\)")
SPECIAL = re.compile(r"[\\^$.|?*+()\[\]{}]")
NOTHING = "none"  # what a variable without values comes to: no label is called so

Labels = dict[str, str]


def filled(expression: str, values: Mapping[str, str]) -> str:
    """The question as Prometheus gets it. A name that is not among the values is an error."""
    return VARIABLE.sub(lambda found: values[found[1]], expression)


def asked(variable: Mapping[str, Any]) -> tuple[str, str]:
    """Which label of which series has a variable's values."""
    found = LABEL_VALUES.fullmatch(variable["query"]["query"])
    if found is None:
        raise ValueError(f"${variable['name']}: not label_values: {variable['query']['query']}")
    return found["series"], found["label"]


def everything(
    dashboard: Mapping[str, Any],
    of_time: Mapping[str, str],
    series: Callable[[str], list[Labels]],
) -> dict[str, str]:
    """
    What the variables come to when everything is chosen, and those of the time with them.

    `series` says which series a selector has. A variable may ask for those of the ones before it;
    the first of them is the data source, which is no part of a query.
    """
    found = dict(of_time)
    for variable in dashboard["templating"]["list"][1:]:
        selector, label = asked(variable)
        values = {one[label] for one in series(filled(selector, found)) if one.get(label)}
        listed = "|".join(map(quoted, sorted(values)))
        found[variable["name"]] = variable.get("allValue") or listed or NOTHING
    return found


def quoted(value: str) -> str:
    """A value as a pattern, within the quotes of a selector, that it alone fits."""
    pattern = SPECIAL.sub(r"\\\g<0>", value)
    return pattern.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
