"""Writes what the reference renders into features.jsonl.

Each line of features.jsonl has a template, and either the text or the error
that jinja2 3.1.6 gives with the settings of the transformers library for the
data in data.json. A line with "refuses" is one that this package refuses on
purpose, with that text in its message, whatever the reference does.

    pip install jinja2==3.1.6 && python3 reference.py
"""

import copy
import datetime
import json
import pathlib
import warnings

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

HERE = pathlib.Path(__file__).parent
NOW = datetime.datetime(2025, 7, 10, 12, 0, 0)


class Generation(jinja2.ext.Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_run"), [], [], body).set_lineno(line)

    def _run(self, caller):
        return caller()


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def environment():
    env = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
    )
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda format: NOW.strftime(format)
    return env


def main():
    warnings.simplefilter("ignore")
    env = environment()
    data = json.loads((HERE / "data.json").read_text())
    path = HERE / "features.jsonl"
    lines = []
    for line in path.read_text().split("\n"):
        if not line:
            continue
        case = json.loads(line)
        out = {"template": case["template"]}
        if "refuses" in case:
            out["refuses"] = case["refuses"]
        else:
            try:
                out["text"] = env.from_string(case["template"]).render(**copy.deepcopy(data))
            except Exception as e:
                out["error"] = f"{type(e).__name__}: {e}"
        lines.append(json.dumps(out, ensure_ascii=True))
    path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
