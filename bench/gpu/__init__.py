"""Everything that only a GPU can show, in one sitting: `python -m bench.gpu`."""
