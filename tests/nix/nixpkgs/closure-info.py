"""Writes `store-paths` and `registration` of a closure, from the graph that Nix gives."""

import json
import os

# Nix 2.8 names the file as it is outside of the sandbox.
with open(".attrs.json") as file:
    attrs = json.load(file)
out = attrs["outputs"]["out"]
paths = sorted(attrs["closure"], key=lambda path: path["path"])
os.mkdir(out)
with open(f"{out}/store-paths", "w") as file:
    file.writelines(f"{path['path']}\n" for path in paths)
with open(f"{out}/registration", "w") as file:
    for path in paths:
        references = path["references"]
        lines = [path["path"], path["narHash"], path["narSize"], "", len(references), *references]
        file.writelines(f"{line}\n" for line in lines)
