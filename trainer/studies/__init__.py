"""Programs that measured what docs/ tells: run one as `python -m trainer.studies.NAME --help`."""
