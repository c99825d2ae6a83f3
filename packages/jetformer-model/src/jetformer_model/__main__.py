"""`python -m jetformer_model`."""

from jetformer_model.cli import main

if __name__ == "__main__":
    main()
