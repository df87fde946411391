"""Train a model: `python train.py --config configs/v1.yaml`. The same as `ml train`."""

import sys

from {{cookiecutter.package_name}}.cli import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
