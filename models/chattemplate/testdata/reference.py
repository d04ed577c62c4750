"""Writes what the reference renders into features.jsonl.

Each line of features.jsonl has a template, and either the text or the error
that transformers gives for the data in data.json. A line with "refuses" is one
that this package refuses on purpose, with that text in its message, whatever
the reference does.

    pip install jinja2==3.1.6 transformers==5.23.0 && python3 reference.py
"""

import copy
import datetime
import json
import pathlib
import warnings

from transformers.utils import chat_template_utils

HERE = pathlib.Path(__file__).parent


class Noon(datetime.datetime):
    """A clock that stands still, for strftime_now."""

    @classmethod
    def now(cls, tz=None):
        return datetime.datetime(2025, 7, 10, 12, 0, 0)


def render(template, data):
    try:
        compiled = chat_template_utils._compile_jinja_template(template)
        return {"text": compiled.render(**copy.deepcopy(data))}
    except Exception as e:
        return {"error": f"{type(e).__name__}: {e}"}


def main():
    warnings.simplefilter("ignore")
    chat_template_utils.datetime = Noon
    data = json.loads((HERE / "data.json").read_text())
    path = HERE / "features.jsonl"
    lines = []
    for line in path.read_text().split("\n"):
        if not line:
            continue
        case = json.loads(line)
        if "refuses" not in case:
            case = {"template": case["template"], **render(case["template"], data)}
        lines.append(json.dumps(case))
    path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
