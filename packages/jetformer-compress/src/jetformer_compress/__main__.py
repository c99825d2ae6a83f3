"""`python -m jetformer_compress`."""

from jetformer_compress.cli import main

if __name__ == "__main__":
    main()
