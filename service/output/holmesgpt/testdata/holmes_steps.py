# What HolmesGPT does with a file of custom toolsets and with the tools in it, by
# the libraries that it uses (PyYAML, Jinja, shlex, subprocess): see tools.py,
# toolset_manager.py and utils/env.py in its source. Reads {"document", "runs":
# [{"toolset", "tool", "params"}], "shell", "environ"} from standard input and
# writes {"toolsets": names, "instructions": rendered, "commands": [...]}; the commands are run by the shell.
import json
import os
import re
import shlex
import subprocess
import sys

import yaml
from jinja2 import Template


def check_keys(value):
    # benedict, by which the file is read, takes dots in keys for paths.
    if isinstance(value, dict):
        for k, v in value.items():
            if not isinstance(k, str) or "." in k:
                raise ValueError(f"a key that benedict refuses: {k!r}")
            check_keys(v)
    elif isinstance(value, list):
        for v in value:
            check_keys(v)


def replace_env(value):
    if isinstance(value, str):
        for name in re.findall(r"{{\s*env\.([^}]*)\s*}}", value):
            if name.strip() not in os.environ:
                raise ValueError(f"ENV var replacement {name} does not exist")
            value = re.sub(r"{{\s*env\." + re.escape(name.strip()) + r"\s*}}", os.environ[name.strip()], value)
        return value
    if isinstance(value, dict):
        return {k: replace_env(v) for k, v in value.items()}
    if isinstance(value, list):
        return [replace_env(v) for v in value]
    return value


def sanitize(param):
    return "" if param == "" else shlex.quote(str(param))


job = json.load(sys.stdin)
os.environ.update(job["environ"])
parsed = yaml.safe_load(job["document"])
check_keys(parsed)
parsed["toolsets"].update(parsed.get("mcp_servers", {}))
toolsets = {name: replace_env(ts) for name, ts in parsed["toolsets"].items()}
commands = []
for run in job["runs"]:
    tool = next(t for t in toolsets[run["toolset"]]["tools"] if t["name"] == run["tool"])
    inferred = re.findall(r"\{\{\s*([\w]+)[\.\|]?.*?\s*\}\}", tool["command"])
    if set(inferred) != set(tool.get("parameters", {})) or any(p not in run["params"] and d["required"] for p, d in tool.get("parameters", {}).items()):
        raise ValueError(f"{run['tool']}: other parameters are inferred: {inferred}")
    command = Template(os.path.expandvars(tool["command"])).render({k: sanitize(str(v)) for k, v in run["params"].items()})
    commands.append(command)
    result = subprocess.run(command, shell=True, executable=job["shell"], text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if result.returncode or result.stdout:
        raise ValueError(f"{command!r} ends with {result.returncode}: {result.stdout}")
instructions = {k: Template(v.get("llm_instructions", "")).render() for k, v in toolsets.items()}
json.dump({"toolsets": {k: v["description"] for k, v in toolsets.items()}, "instructions": instructions, "commands": commands}, sys.stdout)
