"""Plain data in one file that holds no code: numbers, texts, lists, dicts and arrays.

The format is safetensors. Arrays are the tensors of the file; everything else is JSON, deflated in a tensor
of bytes named "content" (in the metadata, it made files larger than pickles). The metadata hold a SHA-256
checksum of the whole file, what it is, and the version of the format:

==================  ========================================================================
bytes               content
==================  ========================================================================
8                   length of the header, little-endian
length of header    JSON: ``__metadata__`` (texts by name), and dtype, shape and place of
                    each tensor; spaces up to a multiple of 8
the rest            tensors, little-endian, one after the other, larger types first
==================  ========================================================================

It is read and written here rather than by the package safetensors: no further package is then needed,
and duplicate keys, unused tensors and JSON that takes too much memory are refused as well. That package
reads these files; what it writes again has no checksum that fits, and is refused. Knows no estimator and no
torch, so that both can be left out where they are not needed.
"""

from skae._files.disk import replacing, write_atomically
from skae._files.layout import FileError
from skae._files.locks import alone
from skae._files.reading import read
from skae._files.writing import write

__all__ = ["FileError", "alone", "read", "replacing", "write", "write_atomically"]
