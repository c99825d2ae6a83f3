"""`python -m jetformer_data`."""

from jetformer_data.cli import app

if __name__ == "__main__":
    app()
