"""`python -m archiver.config` prints the JSON Schema of the configuration, with the keys of every installed plug-in."""

import json
import sys

from archiver.config import json_schema

sys.stdout.write(json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n")
