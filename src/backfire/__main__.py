"""`python -m backfire`, which torchrun starts: `torchrun --nproc_per_node 2 -m backfire train dpo ...`."""

from backfire.cli import main

if __name__ == "__main__":
    main()
