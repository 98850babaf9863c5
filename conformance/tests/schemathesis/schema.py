"""Which of these pairs of a schema's name and a value does a contract accept?"""

import json
import sys

import jsonschema_rs
import yaml

with open(sys.argv[1], encoding="utf-8") as file:
    components = yaml.safe_load(file)["components"]


def accepts(name, value):
    schema = {"$ref": f"#/components/schemas/{name}", "components": components}
    return jsonschema_rs.Draft202012Validator(schema).is_valid(value)


print(json.dumps([accepts(*pair) for pair in json.loads(sys.argv[2])]))
