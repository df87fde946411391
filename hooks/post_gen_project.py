"""Say what to do next. No network, no git, no install: generation has no side effects."""

import json
import sys

ANSWERS = json.loads(r'''{{ cookiecutter | tojson }}''')  # fmt: skip

# A terminal that cannot show a character gets its escape, not a traceback.
sys.stdout.reconfigure(errors="backslashreplace")
print(f"""
{ANSWERS["project_name"]} is ready. Next:

  cd {ANSWERS["project_slug"]}
  uv run ml demo                     train, serve, predict: the whole story
  git init -b main && git add . && git commit -m "Start"
""")
