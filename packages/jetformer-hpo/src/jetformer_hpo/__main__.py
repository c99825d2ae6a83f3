"""`python -m jetformer_hpo`."""

from jetformer_hpo.cli import main

if __name__ == "__main__":
    main()
